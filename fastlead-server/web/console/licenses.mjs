// Writes the licences of what is shipped beside it, from the packages themselves.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ALLOWED = new Set(['MIT', 'ISC', 'Apache-2.0', 'BSD-3-Clause', 'BSD-2-Clause', '0BSD', 'Unlicense']);
const folder = process.env.FASTLEAD_WEB_OUT ?? 'dist';
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages;

// What the pages need, and what that needs; tools are left out.
const shipped = Object.entries(lock).filter(
  ([path, entry]) => path && !entry.dev && !entry.devOptional && !entry.optional,
);
const parts = [];
const refused = [];
for (const [path, entry] of shipped.sort(([a], [b]) => (a < b ? -1 : 1))) {
  if (!existsSync(path)) continue;
  const about = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
  const licence = about.license ?? 'unknown';
  if (!ALLOWED.has(licence)) refused.push(`${about.name}: ${licence}`);
  const file = readdirSync(path)
    .sort()
    .find((name) => /^(licen[cs]e|copying)/i.test(name));
  const text = file
    ? readFileSync(join(path, file), 'utf8').trim()
    : `${licence}; the package has no text of it.`;
  parts.push(`## ${about.name} ${about.version} (${licence})\n\n${text.replaceAll('\r\n', '\n')}\n`);
}
if (refused.length > 0) throw new Error(`licences that are not permissive: ${refused.join(', ')}`);
writeFileSync(join(folder, 'licenses.md'), `# What the console is made of\n\n${parts.join('\n')}`);
