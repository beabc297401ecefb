// Sessions over several isolates: what one of them ends is over in all, and the limiter counts for all of them.
// Beside admin-auth.test.mjs, which holds the forms of sessions in one.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { startWorker } from '../harness/worker.mjs';
import { assertProblem, caller, logIn, PASSWORD, SETUP_CODE } from './admin-client.mjs';

const document = JSON.parse(readFileSync(inRoot('docs', 'openapi.json'), 'utf8'));
const from = (address) => ({ 'cf-connecting-ip': address });

/** Every call that changes something and needs a session: `[method, path]`. */
const changing = Object.entries(document.paths).flatMap(([template, item]) =>
  ['post', 'put', 'patch', 'delete']
    .filter((method) => item[method] && item[method].security?.length !== 0)
    .map((method) => [method.toUpperCase(), template.replace('{id}', 'k_0').replace('{pool}', 'some-pool')]),
);

describe('sessions over four isolates', () => {
  let rondo;
  let places;
  let api;
  before(async () => {
    rondo = await startWorker({ edges: 3 });
    api = await logIn(rondo);
    places = [rondo.url, ...rondo.edges].map((url) => caller({ fetch: (path, init) => fetch(url + path, init) }));
  });
  after(() => rondo?.stop());

  const login = (place, password, address) => places[place]('POST', '/api/auth/login', { password }, from(address));
  const bearer = ({ body }) => ({ authorization: `Bearer ${body.token}` });
  /** The status of a call with a session, at each isolate. */
  const seen = (headers) => Promise.all(places.map(async (call) => (await call('GET', '/api/settings', undefined, headers)).status));

  test('a session of one isolate is one of all, and its end is too, however it ends', async () => {
    const other = bearer(await login(3, PASSWORD, '192.0.2.1'));
    const ends = {
      'a log-out': (headers, place) => places[place]('POST', '/api/auth/logout', undefined, headers),
      'another session ends it': async (headers, place) => {
        const { body } = await places[place]('GET', '/api/sessions', undefined, headers);
        return places[place]('DELETE', `/api/sessions/${body.items.find((one) => one.current).id}`, undefined, other);
      },
      'its time is over': async () => {
        const last = '(SELECT MAX(expires_at) FROM sessions)';
        await (await rondo.db()).prepare(`UPDATE sessions SET expires_at = ?1 WHERE expires_at = ${last}`).bind(Date.now() - 1).run();
        return { status: 204 };
      },
    };
    for (const [n, [how, end]] of Object.entries(ends).entries()) {
      const headers = bearer(await login(n, PASSWORD, '192.0.2.1'));
      // Each has seen it alive.
      assert.deepEqual(await seen(headers), [200, 200, 200, 200], how);
      assert.equal((await end(headers, (n + 1) % 4)).status, 204, how);
      assert.deepEqual(await seen(headers), [401, 401, 401, 401], how);
    }
    assert.deepEqual(await seen(other), [200, 200, 200, 200]);
  });

  test('the sixth wrong password in a minute from one address is 429 at every isolate, the owner logs in from another', async () => {
    for (let n = 0; n < 5; n += 1) assertProblem(await login(n % 4, `guess ${n}`, '203.0.113.9'), 401);
    for (const place of [0, 1, 2, 3]) {
      const answer = await login(place, place % 2 ? PASSWORD : 'guess', '203.0.113.9');
      assertProblem(answer, 429);
      assert.ok(Number(answer.headers.get('retry-after')) >= 1);
      const owner = await login(place, PASSWORD, '198.51.100.7');
      assert.equal(owner.status, 200);
      assert.equal(owner.body.token.startsWith('rs-'), true);
    }
    // Who is logged in already goes on, from the same address too.
    assert.equal((await api('GET', '/api/settings', undefined, from('203.0.113.9'))).status, 200);
  });

  test('a foreign page changes nothing with the cookie: no call, from no origin, in no form', async () => {
    const answer = await login(0, PASSWORD, '192.0.2.2');
    const cookie = answer.headers.get('set-cookie').split(';')[0];
    assert.ok(changing.length >= 25, `${changing.length} calls`);
    const before = (await api('GET', '/api/audit')).body.total;
    for (const [method, path] of changing) {
      for (const origin of [undefined, 'null', 'https://evil.example', `${rondo.url}.evil.example`]) {
        const headers = { cookie, ...(origin === undefined ? {} : { origin }) };
        assertProblem(await places[0](method, path, method === 'DELETE' ? undefined : {}, headers), 403);
      }
    }
    // What a form of a page can send without being asked first.
    for (const type of ['application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain', '']) {
      for (const origin of [undefined, 'null', 'https://evil.example']) {
        const headers = { cookie, 'content-type': type, 'x-forwarded-host': 'evil.example', 'sec-fetch-site': 'cross-site', ...(origin === undefined ? {} : { origin }) };
        assertProblem(await places[0]('PATCH', '/api/settings', '{"pace_ms": 1}', headers), 403);
        assertProblem(await places[0]('POST', '/api/keys/batch', 'csk-0123456789abcdef', headers), 403);
      }
      // And not in these forms from here either, nor without the cookie.
      for (const headers of [{ cookie, origin: rondo.url }, bearer(answer)]) {
        assertProblem(await places[0]('PATCH', '/api/settings', '{"pace_ms": 1}', { ...headers, 'content-type': type }), 415);
      }
      assertProblem(await places[0]('POST', '/api/auth/login', JSON.stringify({ password: PASSWORD }), { 'content-type': type }), 415);
    }
    assert.equal((await api('GET', '/api/audit')).body.total, before, 'nothing was done');
    assert.equal((await places[0]('PATCH', '/api/settings', { pace_ms: 0 }, { cookie, origin: rondo.url })).status, 200, 'the page itself may');
  });

  test('what a proxy in front claims about the address changes no cookie and no origin', async () => {
    const forged = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'rondo.example', forwarded: 'proto=https;host=rondo.example' };
    const plain = await places[0]('POST', '/api/auth/login', { password: PASSWORD }, forged);
    assert.match(plain.headers.get('set-cookie'), /^rondo=/);
    const cookie = plain.headers.get('set-cookie').split(';')[0];
    assertProblem(await places[0]('PATCH', '/api/settings', { pace_ms: 0 }, { ...forged, cookie, origin: 'https://rondo.example' }), 403);

    const secure = (path, init) => rondo.mf.dispatchFetch(`https://rondo.example${path}`, init);
    const json = { 'content-type': 'application/json', 'x-forwarded-proto': 'http' };
    const own = await secure('/api/auth/login', { method: 'POST', headers: { ...json, origin: 'https://rondo.example' }, body: JSON.stringify({ password: PASSWORD }) });
    assert.equal(own.status, 200);
    const header = own.headers.get('set-cookie');
    assert.match(header, /^__Host-rondo=rs-[\w-]+; Path=\/; Secure; HttpOnly; SameSite=Strict; Max-Age=604800$/);
    await own.text();
    const change = async (origin) => {
      const answer = await secure('/api/settings', { method: 'PATCH', headers: { ...json, cookie: header.split(';')[0], ...(origin ? { origin } : {}) }, body: '{"pace_ms": 0}' });
      await answer.text();
      return answer.status;
    };
    assert.equal(await change('https://rondo.example'), 200);
    for (const origin of [undefined, 'null', 'http://rondo.example', 'https://rondo.example:444', 'https://other.rondo.example']) assert.equal(await change(origin), 403, `${origin}`);
    const out = await secure('/api/auth/logout', { method: 'POST', headers: { cookie: header.split(';')[0], origin: 'https://rondo.example' } });
    assert.match(out.headers.get('set-cookie'), /^__Host-rondo=; Path=\/; Secure; .*Max-Age=0$/);
  });

  test('a new password ends every other session at every isolate', async () => {
    const sessions = [];
    for (const place of [0, 1, 2, 3]) sessions.push(bearer(await login(place, PASSWORD, '198.51.100.8')));
    for (const headers of sessions) assert.deepEqual(await seen(headers), [200, 200, 200, 200]);
    const next = `${PASSWORD} next`;
    assert.equal((await places[2]('POST', '/api/auth/password', { current: PASSWORD, new: next }, { ...sessions[1], ...from('198.51.100.8') })).status, 204);
    for (const headers of [...sessions, { authorization: `Bearer ${api.token}` }]) assert.deepEqual(await seen(headers), [401, 401, 401, 401]);
    for (const place of [0, 3]) assertProblem(await login(place, PASSWORD, '198.51.100.9'), 401);
    const again = await login(1, next, '198.51.100.9');
    assert.deepEqual(await seen(bearer(again)), [200, 200, 200, 200]);
    const reset = await places[3]('POST', '/api/auth/reset', { password: PASSWORD, setup_code: SETUP_CODE }, from('198.51.100.10'));
    assert.equal(reset.status, 201);
    assert.deepEqual(await seen(bearer(again)), [401, 401, 401, 401]);
  });
});
