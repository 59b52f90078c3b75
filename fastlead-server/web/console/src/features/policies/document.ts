// A policy as text: YAML that people read, JSON that the server takes, and the line of what the server finds wrong.
import { LineCounter, isMap, isScalar, isSeq, parseDocument, stringify } from 'yaml';

export interface ReadPolicy {
  /** What the text says; `undefined` where it cannot be read. */
  policy: Record<string, unknown> | undefined;
  /** Why it cannot be read, each with its line. */
  faults: LocatedFault[];
  /** The line of a path such as `route.targets[1]`; that of what holds it where there is no such thing. */
  lineOf: (path: string) => number;
}

export interface LocatedFault {
  path: string;
  message: string;
  line: number;
}

/** `route[0].targets[1]` as `['route', 0, 'targets', 1]`. */
export function steps(path: string): (string | number)[] {
  return [...path.matchAll(/([^.[\]]+)|\[(\d+)\]/g)].map(([, name, index]) =>
    index === undefined ? (name ?? '') : Number(index),
  );
}

export function readPolicy(text: string): ReadPolicy {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const lineAt = (offset: number | undefined) =>
    offset === undefined ? 1 : Math.max(1, lines.linePos(offset).line);
  const faults = document.errors.map((error) => ({
    path: '',
    message: error.message,
    line: lineAt(error.pos[0]),
  }));
  const lineOf = (path: string): number => {
    let at: unknown = document.contents;
    let found = 1;
    for (const step of steps(path)) {
      if (isMap(at)) {
        const pair = at.items.find(({ key }) => (isScalar(key) ? key.value : key) === step);
        if (!pair) return found;
        if (isScalar(pair.key) && pair.key.range) found = lineAt(pair.key.range[0]);
        at = pair.value;
      } else if (isSeq(at) && typeof step === 'number') {
        const item = at.items[step];
        if (item === undefined) return found;
        at = item;
        if ((isScalar(at) || isMap(at) || isSeq(at)) && at.range) found = lineAt(at.range[0]);
      } else return found;
    }
    return found;
  };
  if (faults.length > 0) return { policy: undefined, faults, lineOf };
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { policy: undefined, faults: [], lineOf };
  }
  return { policy: value as Record<string, unknown>, faults, lineOf };
}

/** A policy as people read it. What says nothing is left out: an empty list, or nothing at all. */
export function writePolicy(policy: unknown): string {
  return stringify(withoutNothing(policy), { lineWidth: 110, aliasDuplicateObjects: false });
}

function withoutNothing(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNothing);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(
    ([, inner]) => inner !== null && !(Array.isArray(inner) && inner.length === 0),
  );
  return Object.fromEntries(kept.map(([name, inner]) => [name, withoutNothing(inner)]));
}

/** Where a line begins and ends in a text. */
export function rangeOfLine(text: string, line: number): [number, number] {
  const all = text.split('\n');
  const start = all.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  return [start, start + (all[line - 1]?.length ?? 0)];
}
