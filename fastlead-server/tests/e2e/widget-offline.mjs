// The widget while its server is away: the page does not suffer, what was sent waits, and arrives once.
import assert from 'node:assert/strict';
import { PATIENCE_MILLIS, accessible, run, withAxe } from './browser.mjs';
import { desk, picture, relay, site, watch } from './site.mjs';

const HUMAN_MILLIS = 1_700;
const RETRY_MILLIS = 60_000;
const DAY_MILLIS = 86_400_000;

const human = async (page) => {
  const from = await page.evaluate(() => performance.now());
  await page.waitForFunction((until) => performance.now() > until, from + HUMAN_MILLIS);
};

async function visitor({ browser, shop, host, faults }) {
  const context = await browser.newContext({ locale: 'ru-RU', viewport: { width: 360, height: 740 } });
  context.setDefaultTimeout(PATIENCE_MILLIS);
  watch(context, [shop.origin, host.origin], faults, { deadHost: true });
  await withAxe(context);
  return context;
}

async function opened(context, url) {
  const page = await context.newPage();
  await page.goto(url);
  await page.locator('.form').waitFor();
  return page;
}

async function send(page, phone) {
  const form = page.locator('.form');
  await form.locator('input[name=phone]').fill(phone);
  await form.locator('input[type=checkbox]').first().check();
  await human(page);
  await form.locator('button[type=submit]').click();
}

const waiting = (page) => page.evaluate(() => JSON.parse(localStorage.getItem('fastlead:wait:demo') ?? '[]'));
const isTaken = (page) => page.locator('.form').getByText('Спасибо, заявка принята').waitFor({ timeout: RETRY_MILLIS });

async function w9ADeadHostCostsThePageNothing(world) {
  const { host, url, out } = world;
  const context = await visitor(world);
  const first = await opened(context, url);
  await first.close();
  await host.cut();
  const stranger = await visitor(world);
  const page = await stranger.newPage();
  const started = Date.now();
  await page.goto(url, { waitUntil: 'load' });
  assert.ok(Date.now() - started < 5_000, 'the page does not wait for the host');
  assert.equal(await page.locator('#own').innerText(), 'Своё', 'the page is there');
  await stranger.close();
  // Whoever was here before has the script and the form of that visit.
  const back = await opened(context, url);
  await send(back, '8 900 000-00-51');
  await back.locator('.form').getByText('Заявка пока не принята').waitFor();
  assert.equal((await waiting(back)).length, 1, 'it is written down');
  await picture(back, out, 'widget-waits.png');
  await accessible(back, 'body', 'waiting');
  await host.start();
  await isTaken(back);
  assert.deepEqual(await waiting(back), [], 'what was taken is erased');
  await world.office.one('+79000000051');
  await context.close();
}

async function w10AnotherVisitSendsIt(world) {
  const { host, url, office } = world;
  const context = await visitor(world);
  const page = await opened(context, url);
  await host.cut();
  await send(page, '8 900 000-00-52');
  await page.locator('.form').getByText('Заявка пока не принята').waitFor();
  await page.close();
  await host.start();
  const later = await context.newPage();
  const sent = later.waitForResponse((response) => response.url().includes('/v1/capture/') && response.status() === 202);
  await later.goto(url);
  await sent;
  await later.waitForFunction(() => localStorage.getItem('fastlead:wait:demo') === null);
  await office.one('+79000000052');
  await context.close();
}

async function w10DoubleClicksTwoTabsAndRetriesMakeOneLead(world) {
  const { host, url, office } = world;
  const context = await visitor(world);
  const page = await opened(context, url);
  const form = page.locator('.form');
  const before = host.captures.length;
  const release = host.hold();
  await form.locator('input[name=phone]').fill('8 900 000-00-53');
  await form.locator('input[type=checkbox]').first().check();
  await human(page);
  await form.locator('button[type=submit]').dblclick();
  await form.locator('input[name=phone]').press('Enter');
  release();
  await isTaken(page);
  assert.equal(host.captures.length - before, 1, 'a double click sends once');
  assert.ok(host.captures.at(-1).startsWith('POST '), 'nothing is asked before');
  await office.one('+79000000053');

  // The answer is lost on its way: nobody knows whether it was taken, so it is sent again, and counts once.
  const second = await opened(context, url);
  await second.route('**/v1/capture/**', async (route) => {
    await route.fetch();
    await route.abort('connectionreset');
  }, { times: 1 });
  await send(second, '8 900 000-00-54');
  await second.locator('.form').getByText('Заявка пока не принята').waitFor();
  await office.one('+79000000054');
  // Two more tabs have it in their storage and send it at the same moment.
  const third = await context.newPage();
  await Promise.all([third.goto(url), second.evaluate(() => window.dispatchEvent(new Event('online')))]);
  await isTaken(second);
  await third.waitForFunction(() => localStorage.getItem('fastlead:wait:demo') === null);
  await office.one('+79000000054');
  await context.close();
}

async function w10AtMostADay(world) {
  const { host, url, office } = world;
  const context = await visitor(world);
  const page = await opened(context, url);
  await host.cut();
  await send(page, '8 900 000-00-55');
  await page.locator('.form').getByText('Заявка пока не принята').waitFor();
  await page.evaluate((age) => {
    const list = JSON.parse(localStorage.getItem('fastlead:wait:demo'));
    localStorage.setItem('fastlead:wait:demo', JSON.stringify([...list.map((item) => ({ ...item, at: item.at - age })), 5, null]));
  }, DAY_MILLIS);
  await page.close();
  await host.start();
  const later = await opened(context, url);
  // The next one is sent after those that wait; it is alone.
  await send(later, '8 900 000-00-56');
  await isTaken(later);
  assert.deepEqual(await waiting(later), []);
  assert.deepEqual(await office.leads('+79000000055'), []);
  await context.close();
}

async function w11RefusedAfterItHasWaited(world) {
  const { host, url } = world;
  const context = await visitor(world);
  const page = await opened(context, url);
  await host.cut();
  await send(page, '8 900 000-00-5');
  await page.locator('.form').getByText('Заявка пока не принята').waitFor();
  await host.start();
  const form = page.locator('.form');
  await form.getByText('Заявка, которая ждала ответа сервера, не принята').waitFor({ timeout: RETRY_MILLIS });
  await form.getByText('Проверьте номер телефона').waitFor();
  assert.equal(await form.locator('input[name=phone]').inputValue(), '8 900 000-00-5', 'what was typed is there');
  assert.deepEqual(await waiting(page), [], 'what was refused is not sent again');
  await context.close();
}

async function w10NothingIsKeptWhereTheSiteSaysSo(world) {
  const { host, shop, office } = world;
  const url = shop.page('/unkept', { body: `<script async src="${host.origin}/w.js" data-source="demo" data-queue="off"></script>` });
  const context = await visitor(world);
  const page = await opened(context, url);
  await host.cut();
  await send(page, '8 900 000-00-57');
  await page.locator('.form').getByText('Не закрывайте страницу').waitFor();
  assert.deepEqual(await waiting(page), []);
  await host.start();
  await isTaken(page);
  await office.one('+79000000057');
  await context.close();
}

await run('widget-offline', async (browser, base, out, faults) => {
  const host = await relay(base);
  const shop = await site(host.origin);
  const url = shop.page('/shop', { body: `<p id="own">Своё</p><script async src="${host.origin}/w.js" data-source="demo"></script>` });
  const world = { browser, host, shop, url, out, faults, office: await desk(base) };
  for (const story of [
    w9ADeadHostCostsThePageNothing, w10AnotherVisitSendsIt, w10DoubleClicksTwoTabsAndRetriesMakeOneLead, w10AtMostADay,
    w11RefusedAfterItHasWaited, w10NothingIsKeptWhereTheSiteSaysSo,
  ]) {
    await story(world).catch((error) => { throw new Error(story.name, { cause: error }); });
    console.log(story.name);
  }
  shop.close();
  await host.cut();
});
