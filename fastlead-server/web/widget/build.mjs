// Builds the widget into the folder FASTLEAD_WEB_OUT: one file, the same bytes wherever it is built.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build, transform } from 'esbuild';

const GZIP_BYTES_MAX = 6 * 1024;

const here = dirname(fileURLToPath(import.meta.url));
const folder = resolve(process.env.FASTLEAD_WEB_OUT ?? join(here, 'dist'));
const out = join(folder, 'w.js');

const styles = {
  name: 'styles',
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(readFileSync(path, 'utf8'), { loader: 'css', minify: true });
      return { contents: code.trim(), loader: 'text' };
    });
  },
};

const { outputFiles } = await build({
  absWorkingDir: here,
  entryPoints: ['src/main.ts'],
  bundle: true,
  minify: true,
  charset: 'utf8',
  format: 'iife',
  target: 'es2021',
  legalComments: 'none',
  banner: { js: '/* FastLead, MIT OR Apache-2.0 */' },
  plugins: [styles],
  write: false,
});
const [{ contents }] = outputFiles;
const zipped = gzipSync(contents, { level: 9 });
if (zipped.length > GZIP_BYTES_MAX) throw new Error(`w.js is ${zipped.length} bytes in gzip, and ${GZIP_BYTES_MAX} is the most`);
mkdirSync(folder, { recursive: true });
writeFileSync(out, contents);
// Other versions of zlib make other bytes of the same script, so these are compared unpacked (test/parts.test.mjs).
writeFileSync(`${out}.gz`, zipped);
// Parts that are tested by themselves.
await build({
  absWorkingDir: here,
  entryPoints: ['phone', 'queue', 'touch'].map((name) => `src/${name}.ts`),
  bundle: true,
  format: 'esm',
  outExtension: { '.js': '.mjs' },
  outdir: join(folder, '.parts'),
});
console.log(`w.js: ${contents.length} bytes, ${zipped.length} in gzip (at most ${GZIP_BYTES_MAX})`);
