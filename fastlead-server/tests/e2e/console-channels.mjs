// The rooms of channels: health, pause and resume heard by another page, a configuration that is changed without its
// credentials, a refused one, and a form for every kind.
import assert from 'node:assert/strict';
import { PATIENCE_MILLIS, guard, run } from './browser.mjs';
import { LOOKS, nameOf, stations, watchPolicy } from './station.mjs';

const WORDS = {
  ru: {
    channels: 'Каналы', works: 'работает', paused: 'приостановлен', pause: 'Приостановить', resume: 'Продолжить',
    check: 'Проверить доступы', good: 'Провайдер принимает доступы.', save: 'Сохранить', saved: 'Сохранено.',
    timeout: 'Сколько ждать ответа, секунд', fresh: 'Новый канал', add: 'Добавить канал', kind: 'Вид', make: 'Создать',
    name: 'Название для политик', token: 'Ключ бота (обязательно)',
  },
  en: {
    channels: 'Channels', works: 'works', paused: 'paused', pause: 'Pause', resume: 'Resume',
    check: 'Check the credentials', good: 'The provider accepts the credentials.', save: 'Save', saved: 'Saved.',
    timeout: 'Time to wait for an answer, seconds', fresh: 'New channel', add: 'Add a channel', kind: 'Kind', make: 'Create',
    name: 'Name for policies', token: 'Token of the bot (needed)',
  },
};

const rowOf = (page, name) => page.getByRole('listitem').filter({ has: page.getByRole('link', { name, exact: true }) });

async function story(context, page, base, t, station, number) {
  // The demo signs its visitor in.
  await page.goto(`${base}/demo/console`);
  await page.waitForURL(/\/console\/leads/);
  await page.goto(`${base}/console/channels`);
  await rowOf(page, 'mail').getByText(t.works).waitFor();
  await station('channels');
  await rowOf(page, 'mail').getByRole('link').click();
  await page.getByRole('heading', { name: 'mail', level: 1 }).waitFor();
  await page.getByRole('button', { name: t.check }).click();
  await page.getByText(t.good).waitFor();
  await page.getByRole('button', { name: t.pause, exact: true }).click();
  await page.locator('header').getByText(t.paused, { exact: true }).waitFor();
  // Another page hears of it.
  const other = await context.newPage();
  await other.goto(`${base}/console/channels`);
  await rowOf(other, 'mail').getByText(t.paused).waitFor();
  await page.getByRole('button', { name: t.resume, exact: true }).click();
  await rowOf(other, 'mail').getByText(t.works).waitFor();
  await other.close();

  await page.goto(`${base}/console/channels`);
  await rowOf(page, 'manager-bot').getByRole('link').click();
  const timeout = page.getByLabel(t.timeout, { exact: true });
  await timeout.waitFor();
  const html = await page.content();
  assert.ok(!html.includes('writeOnly') && (await page.getByLabel(t.token).inputValue()) === '', 'no credential is shown');
  await station('channel');
  await timeout.fill('999');
  await page.getByRole('button', { name: t.save, exact: true }).click();
  await page.locator('[aria-invalid=true]').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.value), '999', 'the first field with a fault has the focus');
  await station('channel-fault');
  // Leaving a changed form asks once.
  const asked = page.waitForEvent('dialog');
  const leaving = page.getByRole('link', { name: t.channels, exact: true }).first().click();
  await (await asked).dismiss();
  await leaving;
  assert.equal(await timeout.inputValue(), '999');
  await timeout.fill(String(20 + number));
  await page.getByRole('button', { name: t.save, exact: true }).click();
  await page.getByText(t.saved).or(page.locator(`input[value="${20 + number}"]`)).first().waitFor();
  await page.reload();
  await page.waitForFunction(
    (value) => [...document.querySelectorAll('input')].some((input) => input.value === value), String(20 + number),
  );
  // The credential was kept: the provider still takes it.
  await page.getByRole('button', { name: t.check }).click();
  await page.getByText(t.good).waitFor();

  await page.goto(`${base}/console/channels`);
  await page.getByRole('link', { name: t.add }).click();
  await page.getByRole('heading', { name: t.fresh }).waitFor();
  const kind = page.getByLabel(t.kind, { exact: true });
  const kinds = await kind.locator('option').evaluateAll((options) => options.map((option) => option.value));
  assert.ok(kinds.length >= 6, kinds.join());
  for (const one of kinds) {
    await kind.selectOption(one);
    await page.waitForURL(new RegExp(`kind=${one}`));
    // A label that is a bare name of a field has no words yet.
    const bare = (await page.locator('form label').allTextContents()).filter((label) => /^[a-z]+(_[a-z]+)+/.test(label));
    assert.deepEqual(bare, [], `labels of ${one}`);
    await station(`new-${one}`);
  }
}

await run('console-channels', async (browser, base, out, faults) => {
  for (const [number, look] of LOOKS.entries()) {
    const context = await browser.newContext(look);
    context.setDefaultTimeout(PATIENCE_MILLIS);
    const put = /^PUT .* 422$/;
    const expected = { length: 1, includes: (line) => put.test(line) };
    guard(context, base, faults, expected);
    await watchPolicy(context, faults);
    const page = await context.newPage();
    const station = stations(page, out, `console-${nameOf(look)}`);
    await story(context, page, base, WORDS[look.locale.slice(0, 2)], station, number);
    await context.close();
  }
});
