import { describe, expect, it } from 'vitest';
import { Refusal } from '@/api/client';
import { deliveryLook, leadLook, names } from '@/features/leads/words';
import { configFaults } from '@/features/channels/faults';
import { STATUSES } from '@/features/leads/filter';
import { isWorthAnotherTry, staleBy, waitBeforeTry } from './data';
import { isTaken } from './keys';
import { read } from './look';
import { mayReload } from './reload';
import { readNext } from './router';
import { countEn, countRu, named } from './text';
import { left, learn, serverNow, short } from './time';

describe('numbers with words', () => {
  it('have the forms of their language', () => {
    const say = (number: number) => countRu(number, 'лид', 'лида', 'лидов');
    expect([1, 2, 5, 11, 21, 22, 25, 111].map(say)).toEqual([
      '1 лид',
      '2 лида',
      '5 лидов',
      '11 лидов',
      '21 лид',
      '22 лида',
      '25 лидов',
      '111 лидов',
    ]);
    expect([1, 2].map((number) => countEn(number, 'lead', 'leads'))).toEqual(['1 lead', '2 leads']);
  });
});

describe('what this console does not know', () => {
  it('is shown as its code', () => {
    for (const code of ['unheard-of', 'constructor', '__proto__', '']) {
      expect(named(names.ru.status, code)).toBe(code);
      expect(leadLook(code).tone).toBeDefined();
      expect(deliveryLook(code).sign).toBeDefined();
    }
  });
  it('is no status', () => {
    for (const status of STATUSES) {
      expect(names.ru.status[status]).toBeDefined();
      expect(names.en.status[status]).toBeDefined();
    }
  });
  it('has the same names in both languages', () => {
    for (const key of Object.keys(names.ru) as (keyof typeof names.ru)[]) {
      if (typeof names.ru[key] === 'object')
        expect(Object.keys(names.en[key])).toEqual(Object.keys(names.ru[key]));
    }
  });
});

describe('times', () => {
  it('are told by the zone of the project', () => {
    const now = Date.parse('2026-11-28T21:30:00Z');
    expect(short('2026-11-28T20:03:07.123456789Z', now, 'ru', 'Europe/Moscow')).toBe('28.11.2026 23:03');
    expect(short('2026-11-28T21:03:07Z', now, 'ru', 'Europe/Moscow')).toBe('00:03:07');
    expect(short('2026-11-28T21:03:07Z', now, 'en', 'No/Where')).toBe('21:03:07');
  });
  it('that are left never run below zero', () => {
    expect([42_000, 3_727_000, 400, -5].map(left)).toEqual(['0:42', '1:02:07', '0:01', '0:00']);
  });
  it('follow the clock of the server', () => {
    learn('Sat, 28 Nov 2026 21:03:07 GMT', Date.now());
    expect(Math.abs(serverNow() - Date.parse('2026-11-28T21:03:07Z'))).toBeLessThan(1_000);
    learn('nonsense');
    learn(null);
    expect(Math.abs(serverNow() - Date.parse('2026-11-28T21:03:07Z'))).toBeLessThan(1_000);
    learn(new Date().toUTCString());
    expect(Math.abs(serverNow() - Date.now())).toBeLessThan(10);
  });
});

describe('another try', () => {
  const refusal = (status: number, wait?: number) => new Refusal(status, undefined, wait);
  it('is made where it may help', () => {
    expect([0, 429, 500, 503].map((status) => isWorthAnotherTry(0, refusal(status)))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect([400, 401, 403, 404, 409, 422].some((status) => isWorthAnotherTry(0, refusal(status)))).toBe(
      false,
    );
    expect(isWorthAnotherTry(3, refusal(503))).toBe(false);
    expect(isWorthAnotherTry(0, new Error('a fault of the page'))).toBe(false);
  });
  it('waits as the server says', () => {
    expect(waitBeforeTry(1, refusal(503, 7))).toBe(7_000);
    expect(waitBeforeTry(0, refusal(503), 0.5)).toBe(500);
    expect(waitBeforeTry(9, refusal(503), 0.5)).toBe(8_000);
  });
});

describe('an event', () => {
  it('makes old what it is about, and nothing where it is not known', () => {
    expect(staleBy({ type: 'hello' })).toBe('all');
    expect(staleBy({ type: 'lagged' })).toBe('all');
    expect(staleBy({ type: 'lead', lead_id: 'lead_1' })).toEqual([['leads'], ['counts'], ['lead', 'lead_1']]);
    expect(staleBy({ type: 'delivery', lead_id: null })).toEqual([]);
    expect(staleBy({ type: 'unheard-of' })).toEqual([]);
  });
});

describe('after signing in', () => {
  it('only rooms of the console come next', () => {
    expect(readNext({ next: '/leads?status=open' })).toEqual({ next: '/leads?status=open' });
    for (const next of [
      '//evil.example.com',
      'https://evil.example.com',
      '/\\evil.example.com',
      7,
      undefined,
      '',
    ]) {
      expect(readNext({ next })).toEqual({});
    }
  });
});

describe('keys', () => {
  it('do nothing while something is typed', () => {
    const plain = { ctrlKey: false, altKey: false, metaKey: false };
    const input = document.createElement('input');
    expect(isTaken({ ...plain, target: input })).toBe(true);
    expect(isTaken({ ...plain, target: document.body })).toBe(false);
    expect(isTaken({ ...plain, ctrlKey: true, target: document.body })).toBe(true);
  });
});

describe('the look', () => {
  it('is what was kept, else that of the browser', () => {
    expect(read('{"locale":"en","theme":"dark"}', ['ru'])).toEqual({ locale: 'en', theme: 'dark' });
    expect(read('{"locale":"xx","theme":7}', ['de-DE', 'en-US'])).toEqual({ locale: 'en', theme: 'system' });
    expect(read('{', ['de'])).toEqual({ locale: 'ru', theme: 'system' });
    expect(read('null', [])).toEqual({ locale: 'ru', theme: 'system' });
  });
});

describe('a page of an earlier build', () => {
  it('loads itself anew once a minute at most', () => {
    expect(mayReload(null, 1_000_000)).toBe(true);
    expect(mayReload('990000', 1_000_000)).toBe(false);
    expect(mayReload('930000', 1_000_000)).toBe(true);
    expect(mayReload('2000000', 1_000_000)).toBe(true);
    expect(mayReload('x', 1_000_000)).toBe(true);
  });
});

describe('a refused configuration', () => {
  it('names its fields', () => {
    const problem = {
      type: '',
      title: 'x',
      status: 422,
      code: 'invalid_fields',
      errors: [
        { field: 'config.from.address', code: 'config', message: 'a' },
        { field: 'config.secrets[1]', code: 'config', message: 'b' },
        { field: 'config', code: 'config', message: 'c' },
        { field: 'name', code: 'invalid_name', message: 'd' },
      ],
    };
    expect([...configFaults(new Refusal(422, problem))]).toEqual([
      ['from.address', 'a'],
      ['secrets', 'b'],
      ['', 'c'],
      ['name', 'd'],
    ]);
    expect(configFaults(new Error('x')).size).toBe(0);
  });
});
