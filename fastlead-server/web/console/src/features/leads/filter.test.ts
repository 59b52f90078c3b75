import { describe, expect, it } from 'vitest';
import { beginning, conditions, isLeadId, query, readFilter } from './filter';
import { splitFresh, zoneOf } from './list';

describe('a filter', () => {
  it('is read from an address, and what makes no sense is left out', () => {
    expect(readFilter({ q: 79000000001, status: 'open', from: '2026-11-01', sort: 'oldest' })).toEqual({
      q: '79000000001',
      status: 'open',
      from: '2026-11-01',
      sort: 'oldest',
    });
    for (const search of [
      { status: 'unheard-of' },
      { from: 'yesterday' },
      { from: '2026-13-01' },
      { q: ' ' },
      { sort: 'x' },
      { q: {} },
    ]) {
      expect(readFilter(search)).toEqual({});
    }
  });

  it('comes back from its address as it was', () => {
    const filter = {
      q: 'Анна +7',
      status: 'closed',
      project: 'prj_1',
      source: 'src_1',
      from: '2026-11-01',
      to: '2026-11-02',
    } as const;
    expect(readFilter(Object.fromEntries(new URLSearchParams({ ...filter })))).toEqual(filter);
    expect(conditions({ ...filter, sort: 'oldest' })).toBe(6);
  });

  it('makes days of the zone of the project', () => {
    expect(beginning('2026-11-28', 'Europe/Moscow')).toBe('2026-11-27T21:00:00.000Z');
    expect(beginning('2026-11-28', 'Europe/Moscow', 1)).toBe('2026-11-28T21:00:00.000Z');
    expect(beginning('2026-11-28', undefined)).toBe('2026-11-28T00:00:00.000Z');
    expect(beginning('2026-11-28', 'No/Where')).toBe('2026-11-28T00:00:00.000Z');
    // Clocks change in the night to the 29th.
    expect(beginning('2026-03-29', 'Europe/Berlin')).toBe('2026-03-28T23:00:00.000Z');
    expect(beginning('2026-03-29', 'Europe/Berlin', 1)).toBe('2026-03-29T22:00:00.000Z');
  });

  it('becomes what the server is asked', () => {
    expect(query({ q: 'a', from: '2026-11-28', to: '2026-11-28', sort: 'oldest' }, 'Europe/Moscow')).toEqual({
      q: 'a',
      from: '2026-11-27T21:00:00.000Z',
      to: '2026-11-28T21:00:00.000Z',
      sort: 'created_at',
    });
    expect(query({}, undefined)).toEqual({});
  });

  it('knows the number of a lead', () => {
    expect(isLeadId(` lead_${'0a'.repeat(16)} `)).toBe(true);
    expect(isLeadId('lead_1')).toBe(false);
  });

  it('has the zone that all its projects share', () => {
    const projects = [
      { id: 'a', name: 'A', created_at: '', zone: 'Europe/Moscow' },
      { id: 'b', name: 'B', created_at: '', zone: 'Asia/Omsk' },
    ];
    expect(zoneOf(projects, undefined)).toBeUndefined();
    expect(zoneOf(projects, 'b')).toBe('Asia/Omsk');
    expect(zoneOf([], undefined)).toBeUndefined();
  });
});

describe('a list that is being read', () => {
  const items = ['4', '3', '2', '1'].map((id) => ({ id }));
  it('keeps newer leads above, and shows all at its top', () => {
    expect(splitFresh(items, '2')).toEqual({ fresh: 2, shown: items.slice(2) });
    expect(splitFresh(items, '4').fresh).toBe(0);
    expect(splitFresh(items, undefined).shown).toHaveLength(4);
    // The lead that stood first is not in the list any more.
    expect(splitFresh([{ id: '9' }, { id: '8' }, { id: '1' }], '5').fresh).toBe(2);
  });
});
