// A page that is logged in, for tests of single pages.
import { testBindings } from '../harness/worker.mjs';
import { PASSWORD } from '../harness/rondo.mjs';
import { open } from './browser.mjs';

const sessions = new Map();

/** The session's token, made once for each address: log-ins are limited. */
async function session(url) {
  if (!sessions.has(url)) {
    const post = (path, body) => fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    let response = await post('/api/auth/setup', { password: PASSWORD, setup_code: testBindings.SETUP_TOKEN });
    if (response.status === 409) response = await post('/api/auth/login', { password: PASSWORD });
    const cookie = response.headers.get('set-cookie').split(';')[0];
    sessions.set(url, cookie);
  }
  return sessions.get(url);
}

/**
 * Opens the page at `hash` with a session.
 * @param {object} [options] of the browser's context, and `prepare(page)`, called before anything is loaded
 */
export async function openAt(browser, url, hash, { prepare, ...options } = {}) {
  const [name, ...value] = (await session(url)).split('=');
  const storageState = { cookies: [{ name, value: value.join('='), domain: '127.0.0.1', path: '/', httpOnly: true, secure: false, sameSite: 'Strict', expires: -1 }], origins: [] };
  return open(browser, `${url}/${hash}`, { storageState, prepare, ...options });
}
