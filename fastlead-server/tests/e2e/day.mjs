// The demo's second page in a real browser: an agency's day, from the first policy to the second.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { PATIENCE_MILLIS, guard, run, sideways } from './browser.mjs';

const DESK = { width: 1500, height: 1000 };
const PHONE = { width: 390, height: 844 };
const button = (page, name) => page.getByRole('button', { name, exact: true });

async function change(page, from, to) {
  const text = await page.locator('#text').inputValue();
  assert.ok(text.includes(from), `the policy says ${from}`);
  await page.locator('#text').fill(text.replaceAll(from, to));
}

async function mistakes(page, out) {
  await change(page, 'targets: [anna, oleg], template', 'targets: [ana, oleg], template');
  await button(page, 'Проверить').click();
  const fault = page.locator('#said .faults li');
  await fault.getByText('unknown target `ana`; did you mean `anna`?').waitFor();
  await page.screenshot({ path: join(out, 'day-faults.png') });
  await fault.getByRole('button').click();
  const selected = await page.locator('#text').evaluate((box) => box.value.slice(box.selectionStart, box.selectionEnd));
  assert.match(selected, /targets: \[ana, oleg\]/, 'the line of the fault is selected');
  // What has a fault is not published.
  await button(page, 'Опубликовать').click();
  await fault.waitFor();
  await page.locator('#now').getByText('версия 1').waitFor();
  await change(page, '[ana, oleg]', '[anna, oleg]');
  await button(page, 'Проверить').click();
  await page.locator('#said .good').waitFor();
}

// A row of the comparison as numbers: before, after.
async function row(page, name) {
  const cells = await page.locator('#backtest tr').filter({ hasText: name }).locator('td').allTextContents();
  return cells.slice(0, 2).map(Number);
}

async function firstPolicy(page, out) {
  await button(page, 'Сравнить на прошлом').click();
  await page.locator('#backtest').waitFor();
  const [before, after] = await row(page, 'Ждали в очереди');
  assert.ok(before > 50 && !after, `nobody waits for the morning any more: ${before} and ${after}`);
  const [none, nights] = await row(page, 'Нина, ночная смена: предложено');
  assert.ok(none === 0 && nights > 50, `the night shift gets ${nights}`);
  await page.screenshot({ path: join(out, 'day-first.png'), fullPage: true });
  await button(page, 'А если ночью?').click();
  await page.locator('#said li').filter({ hasText: 'Лид предложен nina, сообщений: 1.' }).waitFor();
  await button(page, 'Опубликовать').click();
  await page.locator('#said .good').filter({ hasText: 'Опубликована версия 2' }).waitFor();
  await page.locator('#now').getByText('версия 2').waitFor();
}

async function share(page, version, target) {
  const count = page.locator(`.share[data-version="${version}"] .bar[data-target="${target}"] .count`);
  return (await count.count()) ? Number(await count.textContent()) : 0;
}

async function tenLeads(page, version) {
  await button(page, 'Десять заявок').click();
  await page.waitForFunction((wanted) => {
    const counts = document.querySelectorAll(`.share[data-version="${wanted}"] .count`);
    return [...counts].reduce((sum, count) => sum + Number(count.textContent), 0) === 10;
  }, version);
}

async function silence(page, out) {
  const anna = page.locator('[data-chat="1101"]');
  const accept = anna.locator('.message').filter({ hasText: /^Заявка: Гость 1,/ }).getByRole('button', { name: 'Взять в работу' });
  await accept.click();
  const taken = page.locator('.lead').filter({ has: page.getByText('Гость 1', { exact: true }) });
  await taken.locator('.status.accepted').waitFor();
  await taken.locator('.who').getByText('Анна', { exact: true }).waitFor();
  assert.equal(await taken.locator('.timer').count(), 0, 'whoever has the lead stops its ladder');
  const silent = page.locator('.lead').filter({ has: page.getByText('Гость 3', { exact: true }) });
  await silent.locator('.timer').waitFor();
  await page.screenshot({ path: join(out, 'day-leads.png'), fullPage: true });
  // Anna was offered the third lead too, and says nothing: reminded, then it goes to Oleg, then the chief hears of it.
  await anna.getByText(/Всё ещё ждёт: Гость 3,/).waitFor();
  await page.locator('[data-chat="1102"]').getByText(/Заявка: Гость 3,/).waitFor();
  await page.locator('[data-chat="1104"]').getByText(/Заявка: Гость 3,/).waitFor();
  await silent.getByRole('button', { name: 'Почему?' }).click();
  await silent.getByText('Ступень 2', { exact: false }).first().waitFor();
  await silent.getByText('очередь другого').first().waitFor();
  await page.locator('#steps li.done').nth(3).waitFor();
}

async function secondPolicy(page, out) {
  await page.locator('#weight-anna').fill('2');
  assert.match(await page.locator('#text').inputValue(), /anna:\n.*\n {4}weight: 2/, 'the text has the weight');
  await button(page, 'Сравнить на прошлом').click();
  await page.locator('#said .changes').getByText('targets.anna.weight').waitFor();
  const [before, after] = await row(page, 'Анна: предложено');
  assert.ok(before > 100 && after > before * 1.2, `Anna is offered ${before} and then ${after}`);
  const [oleg, less] = await row(page, 'Олег: предложено');
  assert.ok(less < oleg * 0.8, `Oleg is offered ${oleg} and then ${less}`);
  await sideways(page);
  await page.screenshot({ path: join(out, 'day.png') });
  await page.screenshot({ path: join(out, 'day-full.png'), fullPage: true });
  await button(page, 'Опубликовать').click();
  await page.locator('#said .good').filter({ hasText: 'Опубликована версия 3' }).waitFor();
  await tenLeads(page, 3);
  const [anna, other] = [await share(page, 3, 'anna'), await share(page, 3, 'oleg')];
  assert.ok(anna > other, `by the new weights Anna has ${anna} and Oleg ${other}`);
  await page.locator('#steps li.done').nth(4).waitFor();
  await button(page, 'Опубликовать').click();
  await page.locator('#said .good').filter({ hasText: 'публиковать нечего' }).waitFor();
}

await run('day', async (browser, base, out, faults) => {
  const context = await browser.newContext({ viewport: DESK, locale: 'ru-RU', colorScheme: 'light' });
  context.setDefaultTimeout(PATIENCE_MILLIS);
  guard(context, base, faults);
  const page = await context.newPage();
  await page.goto(`${base}/demo`);
  await page.getByRole('link', { name: 'День агентства' }).click();
  await page.locator('#leads .empty').waitFor();
  await page.locator('#now').getByText('версия 1').waitFor();
  await sideways(page);
  await page.screenshot({ path: join(out, 'day-empty.png') });

  await mistakes(page, out);
  // A shorter ladder, so that the test does not wait as long as a person would.
  await change(page, 'after_secs: 15, action: remind', 'after_secs: 8, action: remind');
  await change(page, 'after_secs: 15, action: reassign', 'after_secs: 3, action: reassign');
  await change(page, 'after_secs: 20', 'after_secs: 3');
  await firstPolicy(page, out);
  await tenLeads(page, 2);
  assert.deepEqual([await share(page, 2, 'anna'), await share(page, 2, 'oleg')], [5, 5], 'equal weights, equal shares');
  await silence(page, out);
  await secondPolicy(page, out);

  await page.setViewportSize(PHONE);
  await sideways(page);
  await page.screenshot({ path: join(out, 'day-phone.png'), fullPage: true });
  await page.setViewportSize(DESK);
  await button(page, 'English').click();
  await page.getByRole('heading', { name: 'Leads', exact: true }).waitFor();
  await page.locator('.sentences').getByText("it is another one's turn").first().waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  await sideways(page);
  await page.screenshot({ path: join(out, 'day-english.png'), fullPage: true });
  await context.close();
});
