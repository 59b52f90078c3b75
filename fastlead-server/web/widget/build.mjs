// Builds the widget, `node build.mjs NODE_MODULES OUT_FILE`: one file, the same bytes wherever it is built.
import { createRequire } from 'node:module';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const GZIP_BYTES_MAX = 6 * 1024;

const here = dirname(fileURLToPath(import.meta.url));
const [modules, out] = process.argv.slice(2);
if (!modules || !out) throw new Error('usage: node build.mjs NODE_MODULES OUT_FILE');
const { build, transform } = createRequire(join(resolve(modules), 'package.json'))('esbuild');

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
mkdirSync(dirname(resolve(out)), { recursive: true });
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
  outdir: join(dirname(resolve(out)), 'parts'),
});
console.log(`w.js: ${contents.length} bytes, ${zipped.length} in gzip (at most ${GZIP_BYTES_MAX})`);
