// The rooms of policies: a fault with its line, differences before publishing, somebody else's version, and back again.
import assert from 'node:assert/strict';
import { PATIENCE_MILLIS, guard, run } from './browser.mjs';
import { LOOKS, nameOf, stations, watchPolicy } from './station.mjs';

const WORDS = {
  ru: {
    text: 'Текст политики (YAML)', check: 'Проверить', fine: 'Ошибок нет.', publish: 'Опубликовать…', now: 'Опубликовать',
    force: (version) => `действует версия ${version}`, versions: 'Версии', back: 'Вернуть эту версию…', again: 'Опубликовать её снова',
    line: 'строка', moved: /опубликована версия/, discard: 'Выбросить черновик', draft: /Это черновик/,
  },
  en: {
    text: 'Text of the policy (YAML)', check: 'Check', fine: 'No faults.', publish: 'Publish…', now: 'Publish',
    force: (version) => `version ${version} is in force`, versions: 'Versions', back: 'Bring it back…', again: 'Publish it again',
    line: 'line', moved: /was published while/, discard: 'Throw the draft away', draft: /This is a draft/,
  },
};

const button = (page, name) => page.getByRole('button', { name, exact: true });

async function change(page, t, from, to) {
  const box = page.getByLabel(t.text, { exact: true });
  const text = await box.inputValue();
  assert.match(text, from);
  await box.fill(text.replace(from, to));
}

async function story(context, page, base, t, station, version) {
  await page.goto(`${base}/demo/console`);
  await page.waitForURL(/\/console\/leads/);
  await page.goto(`${base}/console/policies`);
  await page.getByRole('link', { name: 'Main', exact: true }).waitFor();
  await station('policies');
  await page.getByRole('link', { name: 'Main', exact: true }).click();
  await page.getByText(t.force(version), { exact: true }).waitFor();
  await station('policy');
  // The server's own fault, with the line where it stands.
  await change(page, t, /- oleg\b/, '- olge');
  await button(page, t.check).click();
  const fault = page.getByRole('listitem').filter({ hasText: 'olge' }).first();
  await fault.waitFor();
  await station('policy-fault');
  await fault.getByRole('button').click();
  const selected = await page.getByLabel(t.text, { exact: true }).evaluate((box) => box.value.slice(box.selectionStart, box.selectionEnd));
  assert.match(selected, /olge/);
  // What has a fault is not published.
  await button(page, t.publish).click();
  await fault.waitFor();
  assert.equal(await page.getByRole('dialog').count(), 0);
  await change(page, t, /- olge\b/, '- oleg');
  await change(page, t, /window_secs: \d+/, `window_secs: ${700 + version}`);
  await button(page, t.check).click();
  await page.getByText(t.fine).waitFor();
  await button(page, t.publish).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('dedupe.window_secs').waitFor();
  await station('publish');
  await button(dialog, t.now).click();
  await page.getByText(t.force(version + 1), { exact: true }).waitFor();

  // Somebody else publishes while this page is being written in.
  const other = await context.newPage();
  await other.goto(page.url());
  await other.getByText(t.force(version + 1), { exact: true }).waitFor();
  await change(page, t, /window_secs: \d+/, 'window_secs: 900');
  await change(other, t, /window_secs: \d+/, 'window_secs: 950');
  await button(other, t.publish).click();
  await button(other.getByRole('dialog'), t.now).click();
  await other.getByText(t.force(version + 2), { exact: true }).waitFor();
  await other.close();
  await button(page, t.publish).click();
  await page.getByRole('alert').getByText(t.moved).waitFor();
  assert.match(await page.getByLabel(t.text, { exact: true }).inputValue(), /window_secs: 900/, 'what was written stays');
  await station('policy-moved');

  page.once('dialog', (asked) => asked.accept());
  await page.reload();
  await page.getByRole('tab', { name: t.versions }).click();
  await button(page, t.back).first().waitFor();
  await station('versions');
  await button(page, t.back).last().click();
  await dialog.getByText('dedupe.window_secs').waitFor();
  await station('version-back');
  await button(dialog, t.again).click();
  await page.getByText(t.force(version + 3), { exact: true }).waitFor();
  return version + 3;
}

await run('console-policies', async (browser, base, out, faults) => {
  let version = 1;
  for (const look of LOOKS) {
    const context = await browser.newContext(look);
    context.setDefaultTimeout(PATIENCE_MILLIS);
    // A project without a draft says so.
    const none = { length: 1, includes: (line) => /policy\/draft 404$/.test(line) };
    guard(context, base, faults, none);
    await watchPolicy(context, faults);
    const page = await context.newPage();
    const station = stations(page, out, `console-${nameOf(look)}`);
    version = await story(context, page, base, WORDS[look.locale.slice(0, 2)], station, version);
    await context.close();
  }
});
