// Parts of the widget without a browser: the phone number, the queue, the visits. `build.mjs` puts them into the folder `.parts`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { gunzipSync } from 'node:zlib';

const part = (name) => import(pathToFileURL(join(process.env.FASTLEAD_WEB_OUT, '.parts', `${name}.mjs`)).href);
const { mask, settled } = await part('phone');
const { marks } = await part('touch');
const { queue } = await part('queue');

test('separators come while a number is typed, and digits stay', () => {
  for (const [typed, shown] of [
    ['8', '8'], ['89', '8 9'], ['8900', '8 900'], ['89000', '8 900 0'], ['8900000', '8 900 000'], ['89000000', '8 900 000-0'],
    ['8900000000', '8 900 000-00-0'], ['89000000000', '8 900 000-00-00'], ['8 (900) 000 00 00', '8 900 000-00-00'],
    ['+7', '+7'], ['+79', '+7 9'], ['+79000000000', '+7 900 000-00-00'], ['79000000000', '7 900 000-00-00'],
    ['9', '9'], ['9000', '900 0'], ['9000000000', '900 000-00-00'], ['900 000 00 00', '900 000-00-00'],
    ['+7 (900) 000-00-00', '+7 900 000-00-00'], ['\u00a08 900\u2011000\u201100\u201100', '8 900 000-00-00'],
    // Other countries, and what is no number alone, stay as they were typed.
    ['+49 151 10000010', '+49 151 10000010'], ['+380501000010', '+380501000010'], ['+1 (212) 555-0110', '+1 (212) 555-0110'],
    ['+8 900 000-00-00', '+8 900 000-00-00'], ['0049 89 12345678', '0049 89 12345678'], ['495 000-00-00', '495 000-00-00'],
    ['8 495 000-00-00 доб. 123', '8 495 000-00-00 доб. 123'], ['8 900 000-00-00, 8 900 000-00-01', '8 900 000-00-00, 8 900 000-00-01'],
    ['8~10 49 89 12345678', '8~10 49 89 12345678'], ['abc', 'abc'], ['', ''], ['++7', '++7'], ['7+7', '7+7'],
    // Too long for Russia: the separators go again.
    ['8 900 000-00-001', '890000000001'], ['998 901-23-45 67', '998901234567'], ['+7 900 000-00-001', '+790000000001'],
  ]) {
    assert.equal(mask(typed, typed.length)[0], shown, typed);
    assert.equal(mask(shown, shown.length)[0], shown, `${typed}: the same again`);
    assert.equal(shown.replace(/\D/g, ''), typed.replace(/\D/g, ''), 'no digit is changed');
  }
});

test('the caret stays after the same digit', () => {
  for (const [text, caret, after] of [
    ['89000000000', 11, 15], ['89000000000', 4, 5], ['+79000000000', 5, 6], ['8 900 0000000', 7, 7], ['8 900 00000-00', 11, 12],
    ['89000000000', 0, 0], ['9000000000', 3, 3], ['8 90 000-00-00', 4, 4],
  ]) assert.deepEqual(mask(text, caret)[1], after, `${text} at ${caret}`);
  for (let caret = 0; caret <= 11; caret += 1) {
    const [text, at] = mask('89000000000', caret);
    assert.equal(text.slice(0, at).replace(/\D/g, '').length, caret);
  }
});

test('a number that is typed whole is shown as it is read', () => {
  for (const [typed, shown] of [
    ['89000000000', '+7 900 000-00-00'], ['79000000000', '+7 900 000-00-00'], ['9000000000', '+7 900 000-00-00'],
    ['+79000000000', '+7 900 000-00-00'], ['8 (800) 000-00-00', '+7 800 000-00-00'],
    // Where there is more than one way to read it, it stays.
    ['8 900 000-00-0', '8 900 000-00-0'], ['495 000-00-00', '495 000-00-00'], ['+49 151 10000010', '+49 151 10000010'],
    ['998901234567', '998901234567'], ['8 900 000-00-00 доб. 1', '8 900 000-00-00 доб. 1'], ['', ''],
  ]) assert.equal(settled(typed), shown, typed);
});

test('listed names of an address are taken, in any case, cut and once', () => {
  const touch = marks(`?UTM_Source=a&utm_source=b&utm_term=${'я'.repeat(400)}&YCLID=7&phone=1&utm_medium=%20`, Date.parse('2026-11-01T00:00:00Z'));
  assert.deepEqual(touch, { utm_source: 'a', utm_term: 'я'.repeat(300), click_ids: { yclid: '7' }, at: '2026-11-01T00:00:00.000Z' });
  for (const search of ['', '?', '?page=2&phone=1', '?utm_source=', '?__proto__=x&constructor=y']) assert.equal(marks(search, 0), undefined, search);
});

test('what is committed in gzip is the committed script, and small enough', () => {
  const dist = new URL('../dist/', import.meta.url);
  const zipped = readFileSync(new URL('w.js.gz', dist));
  assert.ok(zipped.length <= 6 * 1024, `${zipped.length} bytes`);
  assert.ok(gunzipSync(zipped).equals(readFileSync(new URL('w.js', dist))), 'run `cargo xtask web`');
});

// A storage in memory, and a server that answers what it is told.
function world(t, { storage = new Map(), answers = [] } = {}) {
  const calls = [];
  const set = (name, value) => {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { configurable: true, writable: true, value });
    t.after(() => (before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name]));
  };
  set('localStorage', {
    getItem: (name) => storage.get(name) ?? null,
    setItem: (name, value) => storage.set(name, value),
    removeItem: (name) => storage.delete(name),
  });
  set('navigator', {});
  set('fetch', async (address, { body }) => {
    calls.push([new URL(address).searchParams.get('submission'), body]);
    const answer = answers.shift() ?? 202;
    if (answer instanceof Error) throw answer;
    const [status, headers = {}, json = {}] = [answer].flat();
    return new Response(JSON.stringify(json), { status, headers });
  });
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.parse('2026-11-01T00:00:00Z') });
  const heard = [];
  const made = (keeps = true) => queue('https://leads.example.com/v1/capture/site', 'site', keeps, (_, answer) => heard.push(answer));
  return { calls, storage, heard, made, waiting: () => JSON.parse(storage.get('fastlead:wait:site') ?? '[]') };
}

const settle = async () => { for (let turn = 0; turn < 20; turn += 1) await Promise.resolve(); };

test('what was sent is written down first, sent under one name until it is answered, and erased', async (t) => {
  const { calls, heard, made, waiting } = world(t, { answers: [new TypeError('no connection'), 503, [429, { 'retry-after': '600' }], 202] });
  const { answer, written, id } = await made().send('{"phone":"1"}');
  assert.deepEqual([answer, written, waiting().length], [undefined, true, 1]);
  t.mock.timers.tick(5_000);
  await settle();
  assert.equal(calls.length, 2, 'after five seconds');
  t.mock.timers.tick(10_000);
  await settle();
  assert.equal(calls.length, 3);
  t.mock.timers.tick(599_000);
  await settle();
  assert.equal(calls.length, 3, 'the server has said how long to wait');
  t.mock.timers.tick(1_000);
  await settle();
  assert.deepEqual(heard, ['taken']);
  assert.deepEqual(waiting(), []);
  assert.deepEqual(new Set(calls.map(([submission, body]) => `${submission} ${body}`)), new Set([`${id} {"phone":"1"}`]));
});

test('a refusal ends it, whatever its status', async (t) => {
  const problem = { code: 'validation', errors: [{ field: 'phone', code: 'invalid_phone' }] };
  const { made, waiting } = world(t, { answers: [[422, {}, problem], [409, {}, { code: 'idempotency_key_reused' }], 400] });
  const one = made();
  assert.deepEqual((await one.send('1')).answer, { code: 'validation', faults: problem.errors });
  assert.deepEqual((await one.send('2')).answer, { code: 'idempotency_key_reused', faults: [] });
  assert.deepEqual((await one.send('3')).answer, { code: '', faults: [] });
  assert.deepEqual(waiting(), []);
});

test('what others have left in the storage breaks nothing', async (t) => {
  for (const left of ['{', '5', '{}', '[1, null, {"id": 5}]', '[{"id":"a","at":1,"body":"old"}]']) {
    const { calls, made } = world(t, { storage: new Map([['fastlead:wait:site', left]]) });
    await made().flush();
    assert.deepEqual(calls, [], left);
    t.mock.timers.reset();
  }
});

test('ten wait at most, a day at most, and the clock may be set back', async (t) => {
  const item = (id, at) => ({ id, at, body: id });
  const now = Date.parse('2026-11-01T00:00:00Z');
  const list = [item('old', now - 86_400_001), ...Array.from({ length: 9 }, (_, index) => item(`x${index}`, now - 1)), item('ahead', now + 3_600_000)];
  const { calls, made, waiting } = world(t, { storage: new Map([['fastlead:wait:site', JSON.stringify(list)]]), answers: [503, 202] });
  const one = made();
  assert.equal((await one.send('new')).written, false, 'there are ten');
  assert.ok(!waiting().some(({ body }) => body === 'new'));
  await one.flush();
  assert.equal(calls.length, 12, 'all but the old one, and the new one twice');
  assert.ok(!calls.some(([, body]) => body === 'old'));
});

test('nothing is kept where that is off or refused', async (t) => {
  const off = world(t, { answers: [503] });
  assert.equal((await off.made(false).send('1')).written, false);
  assert.deepEqual(off.waiting(), []);
  globalThis.localStorage.setItem = () => { throw new Error('full'); };
  assert.equal((await off.made().send('2')).written, false);
});
