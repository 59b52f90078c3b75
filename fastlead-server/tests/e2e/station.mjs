// What holds at every station of a story in the console: nothing that axe finds, nothing sideways, and a picture of it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sideways } from './browser.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const require = createRequire(resolve(here, '../../../target/e2e/package.json'));
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const RUN = `axe.run(document, { runOnly: ${JSON.stringify(RULES)}, resultTypes: ['violations'] })
  .then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ target }) => target.join(' ')).join(', ')))`;

// The page's policy lets no script in but its own: this one comes past it, as a debugger's does.
async function violations(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: AXE });
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
    expression: RUN, awaitPromise: true, returnByValue: true,
  });
  await session.detach();
  assert.equal(exceptionDetails, undefined, `axe has failed: ${exceptionDetails?.exception?.description}`);
  return result.value;
}

export function stations(page, out, prefix) {
  return async (name) => {
    // What appears does so within 0.4 s; axe would take it for pale.
    await page.waitForFunction(() => document.getAnimations().every(({ playState, effect }) =>
      playState !== 'running' || effect?.getTiming().iterations === Infinity));
    assert.deepEqual(await violations(page), [], `axe at ${name}`);
    await sideways(page);
    await page.screenshot({ path: join(out, `${prefix}-${name}.png`), fullPage: true });
  };
}

// Faults that only the page hears of.
export async function watchPolicy(context, faults) {
  await context.exposeBinding('policyViolated', (_, what) => faults.push(`the content policy was violated: ${what}`));
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      globalThis.policyViolated(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
    });
  });
}

// A lead as a site sends it. Answers its id.
export async function capture(base, lead, source = 'demo') {
  const answer = await fetch(`${base}/v1/capture/${source}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ consents: { personal_data: true }, ...lead }),
  });
  assert.equal(answer.status, 202, await answer.clone().text());
  return (await answer.json()).lead_id;
}

export const LOOKS = [
  { locale: 'ru-RU', colorScheme: 'light', viewport: { width: 1280, height: 800 } },
  { locale: 'en-GB', colorScheme: 'dark', viewport: { width: 1280, height: 800 } },
  { locale: 'ru-RU', colorScheme: 'dark', viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true },
  { locale: 'en-GB', colorScheme: 'light', viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true },
];

export function nameOf({ locale, colorScheme, viewport }) {
  return `${locale.slice(0, 2)}-${viewport.width}-${colorScheme}`;
}
