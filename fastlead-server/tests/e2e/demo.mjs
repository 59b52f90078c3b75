// The demo's first page in a real browser: the story of one lead.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { PATIENCE_MILLIS, guard, run, sideways } from './browser.mjs';

const NAME = 'Вера Пример';
const PHONE = '8 900 000-00-00';
const WRONG_PHONE = '12-34';
// The form takes anything faster than 1.5 s for a program.
const HUMAN_MILLIS = 1700;

async function untouched(form) {
  const boxes = form.locator('input[type=checkbox]');
  assert.ok((await boxes.count()) >= 2, 'personal data and advertising each have a box');
  for (const box of await boxes.all()) {
    assert.equal(await box.isChecked(), false, 'no box is ticked beforehand');
  }
}

async function openWithoutScript(browser, base, faults) {
  const context = await browser.newContext({
    viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true,
    locale: 'ru-RU', javaScriptEnabled: false, colorScheme: 'light',
  });
  context.setDefaultTimeout(PATIENCE_MILLIS);
  guard(context, base, faults, ['POST /f/demo 422']);
  const page = await context.newPage();
  await page.goto(`${base}/f/demo?lang=ru&utm_source=test`);
  await untouched(page);
  await page.locator('input[name=name]').fill(NAME);
  await page.locator('input[name=phone]').fill(WRONG_PHONE);
  await page.locator('#consent_personal_data').check();
  return page;
}

async function mendWithoutScript(page, out) {
  const answered = page.waitForResponse((response) => response.request().method() === 'POST');
  await page.locator('button[type=submit]').click();
  assert.equal((await answered).status(), 422, 'a wrong phone is refused');
  const alert = page.getByRole('alert');
  await alert.getByText('Проверьте номер телефона').waitFor();
  assert.equal(await page.locator('input[name=name]').inputValue(), NAME, 'the name is kept');
  assert.equal(await page.locator('input[name=phone]').inputValue(), WRONG_PHONE, 'the phone is kept');
  assert.equal(await page.locator('#consent_personal_data').isChecked(), true, 'the ticked box is kept');
  assert.equal(await page.locator('#consent_advertising').isChecked(), false, 'the other box stays empty');
  assert.equal(await page.locator('input[name=utm_source]').inputValue(), 'test', 'the visit is carried along');
  await sideways(page);
  await page.screenshot({ path: join(out, 'form-error-phone.png'), fullPage: true });
  await page.context().close();
}

async function story(browser, base, out, faults) {
  const context = await browser.newContext({
    viewport: { width: 1400, height: 900 }, locale: 'ru-RU', colorScheme: 'light',
  });
  context.setDefaultTimeout(PATIENCE_MILLIS);
  guard(context, base, faults);
  const page = await context.newPage();
  await page.goto(`${base}/demo`);
  await page.locator('#leads .empty').waitFor();
  await page.screenshot({ path: join(out, 'demo-empty.png') });

  const form = page.frameLocator('#form');
  await untouched(form);
  await form.locator('input[name=name]').fill(NAME);
  await form.locator('input[name=phone]').fill(PHONE);
  await form.locator('#consent_personal_data').check();
  await page.waitForFunction((least) => performance.now() > least, HUMAN_MILLIS);
  await form.locator('button[type=submit]').click();
  await form.locator('#done').getByText('Спасибо').waitFor();

  const offer = page.locator('#chats .message').filter({ hasText: NAME });
  const accept = offer.getByRole('button', { name: 'Взять в работу' });
  await accept.waitFor();
  await page.locator('#sms .message').first().waitFor();
  await page.locator('#mail .message').first().waitFor();
  const lead = page.locator('#leads .lead').filter({ hasText: NAME });
  await lead.locator('li.chosen, li.passed').first().waitFor();
  await lead.locator('.status').filter({ hasText: 'ждёт' }).waitFor();
  await page.screenshot({ path: join(out, 'demo-offer.png') });

  await accept.click();
  await lead.locator('.status').filter({ hasText: 'в работе' }).waitFor();
  await accept.waitFor({ state: 'detached' });
  await lead.getByText('Ответ менеджера').waitFor();
  assert.equal(await offer.getByRole('button').count(), 0, 'the buttons are gone');
  const webhooks = page.locator('#crm .message');
  await webhooks.filter({ hasText: 'lead.created' }).waitFor();
  const accepted = webhooks.filter({ hasText: 'lead.accepted' });
  await accepted.getByText('v1,').waitFor();
  await accepted.locator('summary').click();
  await accepted.locator('pre').filter({ hasText: NAME }).waitFor();
  await accepted.locator('summary').click();
  await page.locator('#offline').waitFor({ state: 'hidden' });
  await sideways(page);
  await page.screenshot({ path: join(out, 'demo.png') });
  await page.screenshot({ path: join(out, 'demo-full.png'), fullPage: true });

  await page.setViewportSize({ width: 390, height: 844 });
  await sideways(page);
  await page.screenshot({ path: join(out, 'demo-phone.png'), fullPage: true });
  await page.setViewportSize({ width: 1400, height: 900 });

  await page.getByRole('button', { name: 'English' }).click();
  await page.getByRole('heading', { name: 'Leads, and why it was decided so' }).waitFor();
  await lead.locator('.status').filter({ hasText: 'accepted' }).waitFor();
  await form.getByRole('button', { name: 'Send' }).waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  await page.screenshot({ path: join(out, 'demo-english.png'), fullPage: true });
  await context.close();
}

async function onAPage(browser, base, out, faults) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, locale: 'ru-RU', colorScheme: 'light' });
  context.setDefaultTimeout(PATIENCE_MILLIS);
  guard(context, base, faults);
  const page = await context.newPage();
  await page.goto(`${base}/demo`);
  await page.getByRole('link', { name: 'Форма на сайте' }).click();
  const form = page.locator('.place .form');
  await form.getByRole('button', { name: 'Отправить' }).waitFor();
  await page.getByRole('link', { name: 'Записаться' }).click();
  await page.locator('dialog[open] .form').waitFor();
  await page.keyboard.press('Escape');
  await page.screenshot({ path: join(out, 'demo-widget.png') });
  await page.setViewportSize({ width: 360, height: 740 });
  await sideways(page);
  await page.screenshot({ path: join(out, 'demo-widget-phone.png'), fullPage: true });
  await page.getByRole('button', { name: 'English' }).click();
  await form.getByRole('button', { name: 'Send' }).waitFor();
  await page.screenshot({ path: join(out, 'demo-widget-english.png'), fullPage: true });
  await context.close();
}

await run('demo', async (browser, base, out, faults) => {
  // Filled first and sent last, so that the story in between is the time a person needs for the form.
  const phone = await openWithoutScript(browser, base, faults);
  await story(browser, base, out, faults);
  await mendWithoutScript(phone, out);
  await onAPage(browser, base, out, faults);
});
