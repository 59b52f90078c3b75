import { describe, expect, it } from 'vitest';
import { rangeOfLine, readPolicy, steps, writePolicy } from './document';

const TEXT = `# who gets what
timezone: Europe/Moscow
targets:
  anna: {display_name: Anna}
route:
  - when: true
    targets:
      - anna
      - ana
`;

describe('a policy as text', () => {
  it('is read with the lines of its places', () => {
    const { policy, faults, lineOf } = readPolicy(TEXT);
    expect(faults).toEqual([]);
    expect(policy).toMatchObject({ timezone: 'Europe/Moscow', route: [{ targets: ['anna', 'ana'] }] });
    const lines = [
      'route[0].targets[1]',
      'route[0].targets',
      'targets.anna.display_name',
      'route[7]',
      'nothing.here',
      '',
    ];
    expect(lines.map(lineOf)).toEqual([9, 7, 4, 5, 1, 1]);
    expect(steps('route[0].targets[1]')).toEqual(['route', 0, 'targets', 1]);
  });

  it('says which line cannot be read', () => {
    const { policy, faults } = readPolicy('a: 1\nb: [1, 2\nc: 3\n');
    expect(policy).toBeUndefined();
    expect(faults[0]?.line).toBeGreaterThan(1);
    for (const text of ['', '- a', 'word']) expect(readPolicy(text).policy).toBeUndefined();
  });

  it('is written without what says nothing, and means the same', () => {
    const policy = {
      version: 1,
      alerts: [],
      dedupe: null,
      hours: { mon: ['09:00-18:00'] },
      note: 'a: b',
      no: false,
      zero: 0,
    };
    const text = writePolicy(policy);
    expect(text).not.toContain('alerts');
    expect(readPolicy(text).policy).toEqual({
      version: 1,
      hours: { mon: ['09:00-18:00'] },
      note: 'a: b',
      no: false,
      zero: 0,
    });
  });

  it('has lines that can be selected', () => {
    const [start, end] = rangeOfLine(TEXT, 9);
    expect(TEXT.slice(start, end)).toBe('      - ana');
    expect(rangeOfLine('a', 5)).toEqual([2, 2]);
  });
});
