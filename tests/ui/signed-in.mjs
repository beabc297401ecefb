// Pages behind the log-in, and the check of them by axe-core.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { PASSWORD } from '../harness/rondo.mjs';
import { testBindings } from '../harness/worker.mjs';
import { open } from './browser.mjs';

const sessions = new Map();

/** The session's cookie, made once for each address: log-ins are limited. */
async function session(url) {
  if (!sessions.has(url)) {
    const post = (path, body) => fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    let response = await post('/api/auth/setup', { password: PASSWORD, setup_code: testBindings.SETUP_TOKEN });
    if (response.status === 409) response = await post('/api/auth/login', { password: PASSWORD });
    assert.ok(response.ok, `${response.status}`);
    sessions.set(url, response.headers.get('set-cookie').split(';')[0]);
  }
  return sessions.get(url);
}

/**
 * Opens `hash` of the page (such as `#/tokens`) with a session.
 * @param {object} [options] of the browser's context, and `prepare(page)`, called before anything is loaded
 */
export async function openAt(browser, url, hash, { prepare, ...options } = {}) {
  const [name, ...value] = (await session(url)).split('=');
  const cookie = { name, value: value.join('='), domain: '127.0.0.1', path: '/', httpOnly: true, secure: false, sameSite: 'Strict', expires: -1 };
  const opened = await open(browser, `${url}/${hash}`, { storageState: { cookies: [cookie], origins: [] }, prepare, ...options });
  await opened.page.waitForSelector('.shell h1');
  return opened;
}

/** The same with a session of its own: for tests that end it. */
export async function openSignedIn(browser, url, hash, options) {
  sessions.delete(url);
  return openAt(browser, url, hash, options);
}

const axe = readFileSync(inRoot('node_modules', 'axe-core', 'axe.min.js'), 'utf8');

/** What axe-core finds wrong with the page as it is shown, one line each. */
export async function violations(page) {
  // The content policy forbids script from elsewhere; the debugger evaluates its text.
  await page.evaluate(axe);
  return page.evaluate(async () => {
    // A picture in the middle of a fade has other contrasts than it settles on.
    await Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {})));
    const { violations: found } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
    return found.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join(' | ')}`);
  });
}

/** Fails with what axe-core finds. */
export async function assertAccessible(page, name = 'the page') {
  assert.deepEqual(await violations(page), [], `${name} is accessible`);
}

/** Both languages, themes and widths. */
export const VIEWS = ['en-US', 'zh-CN'].flatMap((locale) =>
  ['light', 'dark'].flatMap((colorScheme) =>
    [360, 1280].map((width) => ({ name: `${locale}-${colorScheme}-${width}`, locale, options: { locale, colorScheme, viewport: { width, height: 860 } } })),
  ),
);
