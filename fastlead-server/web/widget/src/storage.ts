// What is kept in the visitor's browser. Where storage is refused, full or broken, nothing is kept and nothing fails.
const PREFIX = 'fastlead:';

/** What was kept under a name, whatever its shape; nothing where it cannot be read. */
export function kept(name: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name) ?? 'null') ?? undefined;
  } catch {
    return undefined;
  }
}

/** Keeps a value, or erases it where it is `undefined`; says whether that was possible. */
export function keep(name: string, value: unknown): boolean {
  try {
    if (value === undefined) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}
