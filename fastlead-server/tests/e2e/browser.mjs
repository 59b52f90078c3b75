// A real browser for the tests of the demo's pages, and what must not happen in any of them.
import assert from 'node:assert/strict';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const SETUP = 'run `cargo xtask setup`';
const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const SWITCHES = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
export const PATIENCE_MILLIS = 20_000;
// A program ends by itself before the test that started it gives up, and takes the browser with it.
const DEADLINE_MILLIS = 140_000;

function browserPath() {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  for (const name of BROWSERS) {
    for (const folder of folders) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        continue;
      }
    }
  }
  throw new Error(`no Chromium on PATH: ${SETUP}`);
}

function installed() {
  const here = fileURLToPath(new URL('.', import.meta.url));
  return createRequire(resolve(here, '../../../target/e2e/package.json'));
}

function playwright() {
  try {
    return installed()('playwright-core');
  } catch (error) {
    throw new Error(`playwright-core is not installed: ${SETUP}`, { cause: error });
  }
}

// Gives every page of a context the means to be looked at by `accessible`.
export async function withAxe(context) {
  let path;
  try {
    path = installed().resolve('axe-core/axe.min.js');
  } catch (error) {
    throw new Error(`axe-core is not installed: ${SETUP}`, { cause: error });
  }
  await context.addInitScript({ path });
}

// WCAG 2.2 AA, as far as a program can tell, of what `selector` names.
export async function accessible(page, selector, state) {
  const found = await page.evaluate(async (include) => {
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
    const { violations, passes } = await window.axe.run({ include }, { runOnly: { type: 'tag', values: tags } });
    return { passes: passes.length, violations: violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`) };
  }, selector);
  assert.ok(found.passes > 3, `axe has looked at nothing (${state})`);
  assert.deepEqual(found.violations, [], `WCAG (${state})`);
}

// Collects what must not happen: errors in the console and requests that leave the server.
export function guard(context, base, faults, expected = []) {
  const origin = new URL(base).origin;
  context.on('request', (request) => {
    const url = new URL(request.url());
    if (url.origin !== origin) faults.push(`a request to ${url.origin}`);
  });
  context.on('requestfailed', (request) => {
    // The form's document and the stream are given up when a page moves on or is closed.
    const given = request.failure()?.errorText;
    if (given !== 'net::ERR_ABORTED') faults.push(`${request.url()} failed: ${given}`);
  });
  context.on('response', (response) => {
    const line = `${response.request().method()} ${new URL(response.url()).pathname} ${response.status()}`;
    if (response.status() >= 400 && !expected.includes(line)) faults.push(line);
  });
  context.on('console', (message) => {
    const refused = expected.length > 0 && message.text().startsWith('Failed to load resource');
    if (message.type() === 'error' && !refused) faults.push(`console: ${message.text()}`);
  });
  context.on('weberror', (error) => faults.push(`script: ${error.error().message}`));
}

export async function sideways(page) {
  // A page that can be moved sideways on a phone has something wider than the screen in it.
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `the page is ${wide} px wider than the screen`);
}


// Runs a story, `node STORY.mjs BASE_URL OUT_DIR`. Pictures are written into OUT_DIR; the first thing that is not
// as it should be ends the program with status 1.
export async function run(name, story) {
  setTimeout(() => {
    console.error(`not ended within ${DEADLINE_MILLIS} ms`);
    process.exit(1);
  }, DEADLINE_MILLIS).unref();
  try {
    const [base, out] = process.argv.slice(2);
    assert.ok(base && out, `usage: node ${name}.mjs BASE_URL OUT_DIR`);
    mkdirSync(out, { recursive: true });
    const faults = [];
    const { chromium } = playwright();
    const browser = await chromium.launch({ executablePath: browserPath(), args: SWITCHES });
    try {
      await story(browser, base, out, faults);
    } finally {
      await browser.close();
    }
    assert.deepEqual(faults, [], 'nothing failed in the background');
    console.log(`${name} works in a browser`);
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  }
}
