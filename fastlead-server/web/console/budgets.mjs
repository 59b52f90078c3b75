// What a visit may load, in bytes after gzip; fails with the numbers.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const folder = process.env.FASTLEAD_WEB_OUT ?? 'dist';
const manifest = JSON.parse(readFileSync(join(folder, '.vite/manifest.json'), 'utf8'));
const packed = (file) => gzipSync(readFileSync(join(folder, file)), { level: 9 }).length;

// A part with all that it imports at once.
function closure(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  for (const other of manifest[name].imports ?? []) closure(other, found);
  return found;
}
const scripts = (names) => [...names].reduce((sum, name) => sum + packed(manifest[name].file), 0);
const styles = (names) =>
  [...names].flatMap((name) => manifest[name].css ?? []).reduce((sum, file) => sum + packed(file), 0);

const part = (ending) => {
  const name = Object.keys(manifest).find((key) => key.endsWith(ending));
  if (!name) throw new Error(`no part ends in ${ending}`);
  return name;
};
const entry = closure(part('index.html'));
const list = closure(part('features/leads/list.tsx'), new Set(entry));
const KILO = 1000;
// The editor of policies brings the reader of YAML.
const LARGE = { 'policies/policy.tsx': 160 };
const rows = [
  ['script until the list of leads shows', scripts(list), 190 * KILO],
  ['styles', styles(list), 10 * KILO],
];
for (const name of Object.keys(manifest).filter((key) => /features\/.*\.tsx$/.test(key) && !list.has(key))) {
  const more = new Set([...closure(name)].filter((other) => !list.has(other)));
  const short = name.replace('src/features/', '');
  rows.push([short, scripts(more), (LARGE[short] ?? 20) * KILO]);
}
const all = (path) =>
  readdirSync(path).flatMap((name) => {
    const inner = join(path, name);
    return statSync(inner).isDirectory() ? all(inner) : [inner];
  });
const total = all(folder).reduce((sum, path) => sum + gzipSync(readFileSync(path), { level: 9 }).length, 0);
rows.push(['everything', total, 700 * KILO]);

let failed = false;
for (const [name, size, limit] of rows) {
  const over = size > limit;
  failed ||= over;
  console.log(
    `${over ? 'TOO MUCH' : 'ok'}\t${(size / KILO).toFixed(1)} of ${(limit / KILO).toFixed(0)} kB\t${name}`,
  );
}
if (failed) process.exit(1);
