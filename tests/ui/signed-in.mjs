// A page with a session, and the check of it by axe-core.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { PASSWORD } from '../harness/rondo.mjs';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { open } from './browser.mjs';

/** Opens `hash` of the page with a session; options as `open` has them. The password must be set. */
export async function openSignedIn(browser, url, hash, options) {
  const opened = await open(browser, url, options);
  const status = await opened.page.evaluate(async (password) => {
    const response = await fetch('/api/auth/login', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ password }) });
    return response.status;
  }, PASSWORD);
  assert.equal(status, 200);
  await opened.page.evaluate((hash) => { location.hash = hash; }, hash);
  await opened.page.reload();
  await opened.page.waitForSelector('.shell h1');
  return opened;
}

const axe = readFileSync(inRoot('node_modules', 'axe-core', 'axe.min.js'), 'utf8');

export async function assertAccessible(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} (${failureSummary})`).join('; ')}`);
  });
  assert.deepEqual(found, []);
}
