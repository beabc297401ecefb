// needs: chromium
// A script of another origin, as that of a chat page which calls Rondo from the browser.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { MODEL, startPool } from '../harness/rondo.mjs';
import { launch } from './browser.mjs';

describe("another origin's script", () => {
  let pool;
  let browser;
  let server;
  let page;
  before(async () => {
    pool = await startPool({ keys: 2 });
    server = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<title>a chat page</title>')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    browser = await launch();
    page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
  });
  after(async () => {
    await browser?.close();
    server?.close();
    await pool?.stop();
  });
  const ask = (token, body = {}) => page.evaluate(async ([url, token, body]) => {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'x-stainless-lang': 'js' },
      body: JSON.stringify({ messages: [{ role: 'user', content: 'Hello' }], ...body }),
    });
    return { status: response.status, headers: Object.fromEntries(response.headers), text: await response.text() };
  }, [pool.rondo.url, token, { model: MODEL, ...body }]);

  test('reads an answer, streamed or not, and what its headers say', async () => {
    const { token } = await pool.admin('POST', '/api/tokens', { name: 'limited', requests_per_minute: 60 });
    for (const stream of [false, true]) {
      const { status, headers, text } = await ask(token, { stream });
      assert.equal(status, 200, text);
      assert.match(text, stream ? /\[DONE\]/ : /"choices"/);
      assert.match(headers['x-request-id'], /^req-[0-9a-f]{32}$/);
      assert.equal(headers['x-rondo-model'], MODEL);
      assert.equal(headers['x-ratelimit-limit-requests-minute'], '60');
    }
  });

  test('reads why it is refused, and when to come back', async () => {
    const { token } = await pool.admin('POST', '/api/tokens', { name: 'one', requests_per_minute: 1 });
    assert.equal((await ask(token)).status, 200);
    // A client that waits so short is told at once.
    await pool.admin('PATCH', '/api/settings', { max_wait_ms: 0 });
    const { status, headers, text } = await ask(token);
    assert.equal(status, 429, text);
    assert.ok(Number(headers['retry-after']) >= 1 && Number(headers['retry-after-ms']) > 0, JSON.stringify(headers));
    const unknown = await ask('rk-nobody-has-this-one');
    assert.equal(unknown.status, 401);
    assert.match(unknown.headers['x-request-id'], /^req-/);
  });
});
