// The widget on sites of other people: where it stands, what it looks like, what it takes and what it says.
import assert from 'node:assert/strict';
import { PATIENCE_MILLIS, accessible, run, sideways, withAxe } from './browser.mjs';
import { desk, picture, relay, site, watch } from './site.mjs';

const GZIP_BYTES_MAX = 6 * 1024;
const HUMAN_MILLIS = 1_700;
const PHONE_SCREEN = { width: 360, height: 740 };

// The form takes anything faster than 1.5 s for a program.
const human = async (page) => {
  const from = await page.evaluate(() => performance.now());
  await page.waitForFunction((until) => performance.now() > until, from + HUMAN_MILLIS);
};

const tag = (host, attributes = '') => `<script async src="${host}/w.js" data-source="demo" ${attributes}></script>`;

async function open(world, path, parts, { locale = 'ru-RU', viewport = PHONE_SCREEN, ...options } = {}) {
  const { browser, shop, host, faults } = world;
  const url = shop.page(path, parts);
  const context = await browser.newContext({ locale, viewport, ...options });
  context.setDefaultTimeout(PATIENCE_MILLIS);
  watch(context, [shop.origin, host.origin], faults);
  await withAxe(context);
  const page = await context.newPage();
  return { page, context, url };
}

async function fill(form, phone) {
  await form.locator('input[name=name]').fill('Вера Пример');
  await form.locator('input[name=phone]').fill(phone);
  await form.locator('input[type=checkbox]').first().check();
}

async function w1SmallEnough({ host }) {
  const response = await fetch(`${host.origin}/w.js`, { headers: { 'accept-encoding': 'gzip' } });
  assert.equal(response.headers.get('content-encoding'), 'gzip', 'the server compresses it itself');
  const bytes = Number(response.headers.get('content-length'));
  assert.ok(bytes > 0 && bytes <= GZIP_BYTES_MAX, `${bytes} bytes in gzip`);
  const again = await fetch(`${host.origin}/w.js`, { headers: { 'accept-encoding': 'gzip', 'if-none-match': response.headers.get('etag') } });
  assert.equal(again.status, 304, 'whoever has the script is not sent it again');
}

async function w2NothingBeforeThePageIsRead(world) {
  const { shop, host } = world;
  let finish;
  const { page, context } = await open(world, '/slow', {});
  const url = shop.written('/slow-written', (outgoing) => {
    outgoing.write(`<!doctype html><html lang="ru"><title>x</title>${tag(host.origin)}
      <p>${'начало '.repeat(400)}</p><div data-fastlead="demo"></div><p id="after">после</p>`);
    finish = () => outgoing.end('<p id="end">конец</p></html>');
  });
  const loaded = page.waitForEvent('requestfinished', (request) => request.url().endsWith('/w.js'));
  await page.goto(url, { waitUntil: 'commit' });
  await loaded;
  await page.locator('#after').waitFor();
  assert.equal(await page.locator('.form').count(), 0, 'the page is still read');
  assert.equal(await page.evaluate(() => document.readyState), 'loading');
  finish();
  await page.locator('.form').waitFor();
  await context.close();

  // Where the place has a height, nothing moves.
  const steady = await open(world, '/steady', {
    css: '[data-fastlead] { min-height: 46rem; }',
    body: `<h1>Магазин</h1><div data-fastlead="demo"></div><p>После формы</p>${tag(host.origin)}`,
  });
  await steady.page.goto(steady.url);
  await steady.page.locator('.form').waitFor();
  const moved = await steady.page.evaluate(() => new Promise((resolve) => {
    new PerformanceObserver((list) => resolve(list.getEntries().map((entry) => entry.value)))
      .observe({ type: 'layout-shift', buffered: true });
    requestAnimationFrame(() => requestAnimationFrame(() => resolve([])));
  }));
  assert.deepEqual(moved, [], 'the page has moved');
  await steady.context.close();
}

// Rules as themes have them, which hide and paint everything.
const HOSTILE = `
  div:empty { display: none !important; }
  button, input, label, section, form, h2, p { display: none !important; color: red !important; font-size: 5px !important; }
  * { font-family: monospace !important; line-height: 5 !important; text-transform: uppercase; letter-spacing: 1em; }
  .form { border: 7px solid rgb(9, 9, 9); padding: 1px; }
  [data-fastlead] { --fastlead-accent: rgb(1, 99, 3); --fastlead-radius: 3px; }`;

async function w3To7UnderAStrictPolicyAndHostileStyles(world) {
  const { host, out } = world;
  const { page, context, url } = await open(world, '/hostile', {
    css: HOSTILE,
    body: `<div class="form" id="theirs">Своя</div><div data-fastlead="demo"></div>${tag(host.origin)}${tag(host.origin, 'data-mode="button"')}`,
  });
  await page.goto(url);
  const form = page.locator('[data-fastlead] .form');
  await form.waitFor();
  const style = (locator, name) => locator.evaluate((node, property) => getComputedStyle(node)[property], name);
  for (const [locator, name, value] of [
    [form, 'fontSize', '16px'], [form, 'textTransform', 'none'], [form, 'letterSpacing', 'normal'],
    [form.locator('button'), 'backgroundColor', 'rgb(1, 99, 3)'], [form.locator('button'), 'borderTopLeftRadius', '1.98px'],
    [form.locator('h2'), 'color', 'rgb(27, 31, 39)'], [page.locator('[data-fastlead] > div'), 'display', 'block'], [page.locator('#theirs'), 'borderTopWidth', '7px'],
    [page.locator('#theirs'), 'paddingTop', '1px'], [page.locator('.call'), 'zIndex', '1000'], [page.locator('.call'), 'position', 'fixed'],
  ]) assert.equal(await style(locator, name), value, name);
  assert.ok(!(await style(form, 'fontFamily')).includes('monospace'));
  for (const one of [form.locator('input[name=phone]'), form.locator('button'), page.locator('.call')]) {
    assert.ok(await one.isVisible(), 'hostile rules hide nothing');
  }
  await page.addStyleTag({ url: shopStyle(world, ':root { --fastlead-z: 77; }') });
  assert.equal(await style(page.locator('.call'), 'zIndex'), '77', 'the site says how high it lies');
  assert.deepEqual(await context.cookies(), [], 'no cookies');
  await accessible(page, '[data-fastlead]', 'hostile styles');
  await sideways(page);
  await picture(page, out, 'widget-hostile.png');
  await context.close();

  // The policy is in force, and what it refuses is noticed.
  const noticed = [];
  const strict = await open({ ...world, faults: noticed }, '/strict', {});
  await strict.page.goto(strict.url);
  const html = (parent) => { try { parent.insertAdjacentHTML('beforeend', '<i></i>'); return 'taken'; } catch { return 'refused'; } };
  assert.equal(await strict.page.locator('body').evaluate(html), 'refused');
  await strict.context.close();
  assert.equal(noticed.length, 1, 'a violation is a fault of the story');
}

let styles = 0;
function shopStyle({ shop }, css) {
  const path = `/style-${(styles += 1)}`;
  shop.page(path, { css });
  return `${shop.origin}${path}.css`;
}

async function w8ThePopup(world) {
  const { host, out, second } = world;
  const tall = '<p>Текст страницы</p>'.repeat(80);
  const { page, context, url } = await open(world, '/popup', {
    body: `<button id="one" data-fastlead-open>Записаться</button> <a id="two" href="/nowhere" data-fastlead-open="demo">Позвоните мне</a>
      <button id="other" data-fastlead-open="${second}">Другая форма</button>${tall}
      ${tag(host.origin, 'data-mode="popup"')}<script async src="${host.origin}/w.js" data-source="${second}" data-mode="popup"></script>`,
  });
  await page.goto(url);
  const dialog = page.locator('dialog[open]');
  const focused = () => page.evaluate(() => document.activeElement?.id);
  const ready = page.waitForFunction(() => document.querySelectorAll('body > div').length === 2);
  await ready;
  const close = {
    '#one': () => page.keyboard.press('Escape'),
    '#two': () => page.mouse.click(4, 4),
  };
  for (const [opener, shut] of Object.entries(close)) {
    await page.locator(opener).click();
    await dialog.waitFor();
    assert.equal(await dialog.count(), 1, 'one form at a time');
    const before = await page.evaluate(() => scrollY);
    await page.mouse.move(4, 4);
    await page.mouse.wheel(0, 600);
    await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
    assert.equal(await page.evaluate(() => scrollY), before, 'the page behind stands still');
    await picture(page, out, 'widget-popup.png');
    await accessible(page, 'body', 'popup');
    await shut();
    await dialog.waitFor({ state: 'detached' });
    assert.equal(`#${await focused()}`, opener, 'the focus returns');
    assert.equal(await page.evaluate(() => document.documentElement.style.overflow), '');
  }
  assert.ok(page.url().endsWith('/popup'), 'a link there opens the form and leads nowhere');
  await page.locator('#other').click();
  await dialog.getByRole('heading', { name: 'Вторая форма' }).waitFor();
  await dialog.getByRole('button', { name: 'Закрыть' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.equal(await focused(), 'other');
  await context.close();
}

async function w11To13TheTruthThePhoneAndTheBoxes(world) {
  const { host, out, office } = world;
  const { page, context, url } = await open(world, '/form', { body: `<h1>Магазин</h1>${tag(host.origin)}` });
  await page.goto(url);
  const form = page.locator('.form');
  await form.waitFor();
  const boxes = form.locator('input[type=checkbox]');
  assert.equal(await boxes.count(), 2, 'a box for each purpose');
  for (const box of await boxes.all()) assert.equal(await box.isChecked(), false, 'no box is ticked beforehand');

  // W13: without a required consent nothing is sent and nothing is kept.
  const sent = host.captures.length;
  await form.locator('input[name=phone]').fill('8 900 000-00-41');
  await form.getByRole('button', { name: 'Отправить' }).click();
  await form.getByText('Без согласия на обработку персональных данных').waitFor();
  assert.equal(await form.locator('input[type=checkbox]:focus').count(), 1, 'the focus is on what is missing');
  assert.equal(host.captures.length, sent);
  assert.equal(await page.evaluate(() => localStorage.getItem('fastlead:wait:demo')), null);
  await picture(page, out, 'widget-consent.png');
  await accessible(page, 'body', 'a fault');
  const [shown] = await Promise.all([context.waitForEvent('page'), form.getByRole('link', { name: 'прочитать' }).first().click()]);
  await shown.getByText('Я даю оператору').waitFor();
  await shown.close();

  // W11: refused, with the field; a number that the server alone can tell is none.
  await boxes.first().check();
  await form.locator('input[name=phone]').fill('8 900 000-00-0');
  await human(page);
  await form.getByRole('button', { name: 'Отправить' }).click();
  const fault = form.getByText('Проверьте номер телефона');
  await fault.waitFor();
  assert.equal(await form.locator('input[name=phone]').getAttribute('aria-invalid'), 'true');
  assert.equal(await form.locator('input[name=name]').getAttribute('aria-invalid'), 'false');

  // W12: the number is arranged while it is typed, and the caret stays after the same digit.
  const phone = form.locator('input[name=phone]');
  await phone.fill('');
  await phone.pressSequentially('89000000042');
  assert.equal(await phone.inputValue(), '8 900 000-00-42');
  await phone.evaluate((input) => input.setSelectionRange(5, 5));
  await page.keyboard.type('1');
  assert.deepEqual(await phone.evaluate((input) => [input.value, input.selectionStart]), ['890010000042', 5]);
  await page.keyboard.press('Backspace');
  assert.deepEqual(await phone.evaluate((input) => [input.value, input.selectionStart]), ['8 900 000-00-42', 5]);
  await phone.fill('+49 151 10000010');
  await phone.blur();
  assert.equal(await phone.inputValue(), '+49 151 10000010', 'other countries stay as they are');
  await phone.fill('89000000042');
  await phone.blur();
  assert.equal(await phone.inputValue(), '+7 900 000-00-42', 'it is shown as it is read');

  await form.getByRole('button', { name: 'Отправить' }).click();
  await form.getByText('Спасибо, заявка принята').waitFor();
  await picture(page, out, 'widget-thanks.png');
  await accessible(page, 'body', 'thanks');
  const lead = await office.one('+79000000042');
  assert.deepEqual(lead.capture.consents.map(({ purpose, granted }) => [purpose, granted]), [['personal_data', true], ['advertising', false]]);
  await form.getByRole('button', { name: 'Отправить ещё одну' }).click();
  assert.equal(await phone.inputValue(), '', 'the form is empty again');
  assert.equal(await boxes.first().isChecked(), false);

  // W11: too fast for a person; the visitor is asked to send it again.
  await fill(form, '8 900 000-00-43');
  await form.getByRole('button', { name: 'Отправить' }).click();
  await form.getByText('Форма отправлена слишком быстро').waitFor();
  assert.deepEqual(await office.leads('+79000000043'), []);
  await context.close();
}

async function w13TheTextThatWasShownIsProved(world) {
  const { host, office, second, out } = world;
  const { page, context, url } = await open(world, '/english', {
    lang: 'en', body: `<div data-fastlead="${second}"></div><script async src="${host.origin}/w.js" data-source="${second}"></script>`,
  }, { locale: 'en-GB' });
  await page.goto(url);
  const form = page.locator('.form');
  await form.getByText('I agree, version 1').waitFor();
  const text = await form.innerText();
  assert.ok(!/[А-Яа-яЁё]/.test(text), `the English form has Russian words: ${text}`);
  await picture(page, out, 'widget-english.png');
  await accessible(page, 'body', 'English');

  // The owner changes the text while the visitor reads.
  await world.change('2');
  await fill(form, '+7 900 000-00-44');
  await human(page);
  const [document] = await Promise.all([context.waitForEvent('page'), form.getByRole('link', { name: 'read' }).click()]);
  await document.getByText('English text 1').waitFor();
  await document.close();
  await form.getByRole('button', { name: 'Send' }).click();
  await form.getByText('We will call before noon').waitFor();
  const lead = await office.one('+79000000044');
  const { consents } = await office.get(`/v1/leads/${lead.id}/consents`);
  assert.deepEqual(consents.map(({ label, text: exact, granted }) => [label, exact, granted]), [['I agree, version 1', 'English text 1', true]]);
  await context.close();
}

async function w14WhereTheVisitorCameFrom(world) {
  const { host, office } = world;
  const { page, context, url } = await open(world, '/touch', { body: tag(host.origin) });
  const long = 'x'.repeat(400);
  for (const query of [
    `?utm_source=yandex&UTM_Term=${long}&yclid=77&secret=1`, '', '?utm_source=mail&phone=79000000000', '?page=2',
  ]) {
    await page.goto(url + query);
    await page.locator('.form').waitFor();
  }
  const kept = await page.evaluate(() => ({ ...localStorage }));
  assert.ok(!JSON.stringify(kept).includes('secret') && !JSON.stringify(kept).includes('79000000000'), 'listed names alone are kept');
  await fill(page.locator('.form'), '8 900 000-00-45');
  await human(page);
  await page.locator('.form button[type=submit]').click();
  await page.locator('.form').getByText('Спасибо').waitFor();
  const { attribution } = (await office.one('+79000000045')).capture;
  assert.equal(attribution.first.utm_source, 'yandex', 'the first touch stays');
  assert.equal(JSON.parse(kept['fastlead:first']).utm_term.length, 300);
  assert.equal(attribution.first.utm_term, 'x'.repeat(256), 'the server keeps less');
  assert.equal(attribution.first.click_ids.yclid, '77');
  assert.equal(attribution.last.utm_source, 'mail', 'the last one that was marked');
  assert.equal(attribution.last.page, `${url}?page=2`);
  await context.close();
}

async function w15WithoutStorage(world) {
  const { host, office } = world;
  for (const [number, refuse] of [
    ['46', () => { Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('refused', 'SecurityError'); } }); }],
    ['47', () => { Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }; }],
  ]) {
    const { page, context, url } = await open(world, '/private', { body: tag(host.origin) });
    await context.addInitScript(refuse);
    await page.goto(`${url}?utm_source=private`);
    await fill(page.locator('.form'), `8 900 000-00-${number}`);
    await human(page);
    await page.locator('.form button[type=submit]').click();
    await page.locator('.form').getByText('Спасибо').waitFor();
    const { attribution } = (await office.one(`+790000000${number}`)).capture;
    assert.equal(attribution.last.utm_source, 'private');
    await context.close();
  }
}

// A second source, with two languages and words of its own.
async function secondSource(office) {
  const { items } = await office.get('/v1/sources');
  const demo = items.find(({ key }) => key === 'demo');
  const settings = (version) => ({
    name: 'Second', locale: 'ru', allowed_origins: ['*'],
    form: {
      title: 'Вторая форма', thanks: 'Позвоним до обеда', languages: ['ru', 'en'],
      translations: { en: { title: 'Second form', thanks: 'We will call before noon' } },
    },
    consents: [
      { purpose: 'personal_data', document_id: 'pd', version, label: `Согласен, версия ${version}`, text: `Русский текст ${version}`, required: true },
      { purpose: 'personal_data', locale: 'en', document_id: 'pd', version, label: `I agree, version ${version}`, text: `English text ${version}`, required: true },
    ],
  });
  const source = await office.post('/v1/sources', { project_id: demo.project_id, settings: settings('1') });
  return { second: source.key, change: (version) => office.put(`/v1/sources/${source.id}`, settings(version)) };
}

await run('widget', async (browser, base, out, faults) => {
  const host = await relay(base);
  const shop = await site(host.origin);
  const office = await desk(base);
  const world = { browser, host, shop, office, out, faults, ...(await secondSource(office)) };
  for (const story of [
    w1SmallEnough, w2NothingBeforeThePageIsRead, w3To7UnderAStrictPolicyAndHostileStyles, w8ThePopup,
    w11To13TheTruthThePhoneAndTheBoxes, w13TheTextThatWasShownIsProved, w14WhereTheVisitorCameFrom, w15WithoutStorage,
  ]) {
    await story(world).catch((error) => { throw new Error(story.name, { cause: error }); });
    console.log(story.name);
  }
  shop.close();
  await host.cut();
});
