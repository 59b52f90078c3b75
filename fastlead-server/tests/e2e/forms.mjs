// Forms as people have them: a script that sends `FormData`, a page without scripts on another site, and the servers of
// Tilda and of WordPress, which send what visitors typed there.
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

  // A plain form on somebody's site: the browser goes to our answer.
  const site = 'http://shop.example.com/';
  const away = await browser.newContext({ locale: 'ru-RU' });
  away.setDefaultTimeout(PATIENCE_MILLIS);
  await away.route(`${site}**`, (route) => route.fulfill({ contentType: 'text/html; charset=utf-8', body: `
    <!doctype html><title>Магазин</title><form method="post" action="${base}/v1/capture/demo">
      <input name="name"><input name="phone"><textarea name="comment"></textarea>
      <label><input type="checkbox" name="services[]" value="Окна"> Окна</label>
      <label><input type="checkbox" name="services[]" value="Двери"> Двери</label>
      <label><input type="checkbox" name="consent_personal_data"> Согласен</label><button>Отправить</button>
    </form>` }));
  const visitor = await away.newPage();
  await visitor.goto(site);
  await visitor.fill('[name=name]', 'Пётр Пример');
  await visitor.fill('[name=phone]', '8 (900) 000-00-32');
  await visitor.fill('[name=comment]', 'После шести');
  for (const label of ['Окна', 'Двери', 'Согласен']) await visitor.getByLabel(label).check();
  await visitor.getByRole('button').click();
  await visitor.waitForURL(`${base}/**`);
  await visitor.screenshot({ path: join(out, 'forms-answer.png') });
  const said = await visitor.locator('body').innerText();
  assert.ok(/[А-Яа-я]/.test(said) && !said.includes('{'), `a visitor is shown: ${said}`);
  await away.close();

  // As the servers of form builders send them: names of their own, and theirs alone.
  const sent = async (form) => {
    const response = await context.request.post(`${base}/v1/capture/demo`, { form });
    assert.equal(response.status() < 300, true, `${response.status()} ${await response.text()}`);
  };
  await sent({
    Name: 'Анна Тильда', Phone: '+7 (900) 000-00-33', Email: 'anna@example.com', Textarea: 'Кухня',
    consent_personal_data: 'yes', tranid: '1234567:7654321', formid: 'form1', COOKIES: '_ym_uid=1; TILDAUTM=x',
  });
  await sent({
    'your-name': 'Олег Вордпресс', 'your-phone': '8 900 000 00 34', 'your-message': 'Ремонт', consent_personal_data: '1',
    _wpcf7: '42', _wpcf7_unit_tag: 'wpcf7-f42-o1', 'services[]': 'Полы',
  });

  await page.goto(`${base}/demo`);
  for (const name of ['Вера Пример', 'Пётр Пример', 'Анна Тильда', 'Олег Вордпресс']) {
    await page.locator('#leads .lead').filter({ hasText: name }).waitFor();
  }
  await page.locator('#leads .lead').filter({ hasText: 'Пётр Пример' }).first().click();
  await page.screenshot({ path: join(out, 'forms.png'), fullPage: true });
  await context.close();
});
