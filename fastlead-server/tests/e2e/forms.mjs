// Forms that a page's own script sends: `fetch` with `FormData`, with two boxes of one name and a file.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { PATIENCE_MILLIS, guard, run } from './browser.mjs';

const PHONE = '+7 900 000-00-31';

await run('forms', async (browser, base, out, faults) => {
  const context = await browser.newContext({ locale: 'ru-RU' });
  context.setDefaultTimeout(PATIENCE_MILLIS);
  guard(context, base, faults);
  const page = await context.newPage();
  // A page of the same origin whose policy lets its script connect.
  await page.goto(`${base}/api`);
  const answer = await page.evaluate(async (phone) => {
    const form = document.createElement('form');
    form.innerHTML = `
      <input name="name" value="Вера Пример"><input name="phone" value="${phone}"><input name="email" value="нет">
      <input type="checkbox" name="services[]" value="SEO" checked><input type="checkbox" name="services[]" value="SMM" checked>
      <input type="checkbox" name="consent_personal_data" checked><input type="file" name="empty">`;
    const data = new FormData(form);
    data.append('plan', new Blob(['x'.repeat(100_000)], { type: 'application/pdf' }), 'plan.pdf');
    data.append('page', 'https://example.com/?utm_source=page');
    const response = await fetch('/v1/capture/demo', { method: 'POST', body: data });
    return { status: response.status, body: await response.json() };
  }, PHONE);
  assert.equal(answer.status, 202, JSON.stringify(answer));
  assert.equal(answer.body.decision, 'accepted');
  const notes = answer.body.notes.map((note) => `${note.field} ${note.code}`).sort();
  assert.deepEqual(notes, ['email invalid_email', 'plan file_not_taken']);
  await page.goto(`${base}/demo`);
  await page.locator('#leads .lead').filter({ hasText: 'Вера Пример' }).waitFor();
  await page.screenshot({ path: join(out, 'forms.png') });
  await context.close();
});
