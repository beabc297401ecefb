// Set-up, login, sessions, passwords and the limiter, on the built Worker.
import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { startWorker, testBindings } from '../harness/worker.mjs';
import { PASSWORD, SETUP_CODE, assertProblem, caller, logIn } from './admin-client.mjs';

const from = (address) => ({ 'cf-connecting-ip': address });
const WEEK_MS = 7 * 24 * 3_600_000;

describe('a fresh Worker', () => {
  let rondo;
  let call;
  before(async () => {
    rondo = await startWorker();
    call = caller(rondo);
  });
  after(() => rondo?.stop());

  test('says that no password is set and refuses what needs a session', async () => {
    const { status, body } = await call('GET', '/api/auth/status');
    assert.equal(status, 200);
    assert.equal(body.has_password, false);
    assert.equal(body.logged_in, false);
    assertProblem(await call('GET', '/api/keys'), 401);
    assertProblem(await call('POST', '/api/auth/login', { password: PASSWORD }), 401);
  });

  test('takes the setup code only, and a password of 8 characters', async () => {
    assertProblem(await call('POST', '/api/auth/setup', { password: PASSWORD, setup_code: 'guess' }), 403);
    assertProblem(await call('POST', '/api/auth/setup', { password: '7 chars', setup_code: SETUP_CODE }), 400, 'password');
    assertProblem(await call('POST', '/api/auth/setup', { password: PASSWORD }), 400, 'setup_code');
    assertProblem(await call('POST', '/api/auth/setup', { password: PASSWORD, setup_code: SETUP_CODE, x: 1 }), 400, 'x');
    assert.equal((await call('GET', '/api/auth/status')).body.has_password, false);
  });

  test('of several set-ups at once one wins and only its password works', async () => {
    const tries = await Promise.all(
      [1, 2, 3].map((n) => call('POST', '/api/auth/setup', { password: `${PASSWORD} ${n}`, setup_code: SETUP_CODE }, from(`192.0.2.${n}`))),
    );
    assert.deepEqual(tries.map((answer) => answer.status).sort(), [201, 409, 409]);
    const winner = tries.findIndex((answer) => answer.status === 201) + 1;
    for (const n of [1, 2, 3]) {
      const { status } = await call('POST', '/api/auth/login', { password: `${PASSWORD} ${n}` }, from(`192.0.2.${n}`));
      assert.equal(status, n === winner ? 200 : 401);
    }
  });
});

describe('sessions', () => {
  let rondo;
  let call;
  let api;
  before(async () => {
    rondo = await startWorker();
    call = caller(rondo);
    api = await logIn(rondo);
  });
  after(() => rondo?.stop());

  const login = (password = PASSWORD, headers = {}) => call('POST', '/api/auth/login', { password }, headers);

  test('a second set-up is refused', async () => {
    assertProblem(await call('POST', '/api/auth/setup', { password: 'another password', setup_code: SETUP_CODE }), 409);
  });

  test('a session lasts 7 days and is stored by digest only', async () => {
    const { body } = await login();
    assert.ok(Math.abs(Date.parse(body.expires_at) - Date.now() - WEEK_MS) < 60_000);
    const rows = (await (await rondo.db()).prepare('SELECT digest, expires_at FROM sessions').all()).results;
    assert.ok(rows.length >= 2);
    assert.ok(!JSON.stringify(rows).includes(body.token));
  });

  test('works as a cookie, a bearer token and X-Admin-Token', async () => {
    const answer = await login();
    const cookie = answer.headers.get('set-cookie').split(';')[0];
    for (const headers of [{ cookie }, { authorization: `Bearer ${answer.body.token}` }, { 'x-admin-token': answer.body.token }]) {
      assert.equal((await call('GET', '/api/settings', undefined, headers)).status, 200);
      assert.equal((await call('GET', '/api/auth/status', undefined, headers)).body.logged_in, true);
    }
    for (const headers of [{ cookie: 'rondo=rs-wrong' }, { authorization: `Basic ${answer.body.token}` }, { 'x-admin-token': `${answer.body.token}x` }]) {
      assertProblem(await call('GET', '/api/settings', undefined, headers), 401);
    }
  });

  test('on plain http the cookie is named rondo, not Secure, with a warning; on https it is __Host- and Secure', async () => {
    const plain = await login();
    assert.match(plain.headers.get('set-cookie'), /^rondo=rs-[\w-]+; Path=\/; HttpOnly; SameSite=Strict; Max-Age=604800$/);
    assert.match(plain.body.warning, /not encrypted/);
    const secure = await rondo.mf.dispatchFetch('https://rondo.example/api/auth/login', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ password: PASSWORD }),
    });
    assert.equal(secure.status, 200);
    assert.match(secure.headers.get('set-cookie'), /^__Host-rondo=rs-[\w-]+; Path=\/; Secure; HttpOnly; SameSite=Strict; Max-Age=604800$/);
    const body = await secure.json();
    assert.equal(body.warning, undefined);
    // A cookie without the prefix could have been set by a neighbour's page.
    const unprefixed = await rondo.mf.dispatchFetch('https://rondo.example/api/settings', { headers: { cookie: `rondo=${body.token}` } });
    assert.equal(unprefixed.status, 401);
    await unprefixed.text();
  });

  test('a change made with the cookie needs an Origin of this address; with a token it does not', async () => {
    const { headers, body } = await login();
    const cookie = headers.get('set-cookie').split(';')[0];
    const change = (extra) => call('PATCH', '/api/settings', { pace_ms: 0 }, { cookie, ...extra });
    for (const origin of [undefined, 'https://evil.example', 'null', `${rondo.url}.evil.example`, rondo.url.replace('http', 'https')]) {
      assertProblem(await change(origin === undefined ? {} : { origin }), 403);
    }
    assert.equal((await change({ origin: rondo.url })).status, 200);
    assert.equal((await call('PATCH', '/api/settings', { pace_ms: 0 }, { authorization: `Bearer ${body.token}` })).status, 200);
    assert.equal((await call('GET', '/api/settings', undefined, { cookie })).status, 200);
  });

  test('a login from a foreign page is refused', async () => {
    assertProblem(await login(PASSWORD, { origin: 'https://evil.example' }), 403);
    assert.equal((await login(PASSWORD, { origin: rondo.url })).status, 200);
  });

  test('a logout ends that session only', async () => {
    const { body } = await login();
    const mine = caller(rondo, { authorization: `Bearer ${body.token}` });
    const out = await mine('POST', '/api/auth/logout');
    assert.equal(out.status, 204);
    assert.match(out.headers.get('set-cookie'), /^rondo=; .*Max-Age=0$/);
    assertProblem(await mine('GET', '/api/settings'), 401);
    assert.equal((await api('GET', '/api/settings')).status, 200);
  });

  test('an expired session is none', async () => {
    const { body } = await login();
    await (await rondo.db()).prepare('UPDATE sessions SET expires_at = ?1 WHERE expires_at = (SELECT MAX(expires_at) FROM sessions)').bind(Date.now() - 1).run();
    assertProblem(await call('GET', '/api/settings', undefined, { authorization: `Bearer ${body.token}` }), 401);
  });

  test('admin answers are never cached and never shared with other origins', async () => {
    for (const answer of [await api('GET', '/api/settings', undefined, { origin: 'https://evil.example' }), await call('GET', '/api/keys')]) {
      assert.equal(answer.headers.get('cache-control'), 'no-store');
      assert.equal(answer.headers.get('access-control-allow-origin'), null);
    }
    assertProblem(await call('OPTIONS', '/api/keys', undefined, { origin: 'https://evil.example', 'access-control-request-method': 'POST' }), 405);
  });

  test('a refusal leaves the connection open for the next call, its body unwanted or not', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    let sockets = 0;
    const post = (path, headers, body) => new Promise((resolve, reject) => {
      const sent = request(`${rondo.url}${path}`, { agent, method: 'POST', headers: { 'content-type': 'application/json', ...headers } }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode));
      });
      sent.on('socket', (socket) => { if (!socket.counted) { socket.counted = true; sockets += 1; } }).on('error', reject).end(body);
    });
    try {
      const body = JSON.stringify({ padding: 'x'.repeat(100_000) });
      for (let n = 0; n < 10; n += 1) {
        assert.equal(await post('/api/keys', {}, body), 401);
        assert.equal(await post('/api/auth/login', { origin: 'https://evil.example' }, body), 403);
        assert.equal(await post('/api/nothing', {}, body), 404);
        assert.equal(await post('/api/settings', {}, body), 405);
      }
      assert.equal(sockets, 1);
    } finally {
      agent.destroy();
    }
  });

  test('a new password needs the current one and ends every session', async () => {
    const changed = `${PASSWORD} changed`;
    assertProblem(await api('POST', '/api/auth/password', { current: 'wrong one', new: changed }), 401);
    assertProblem(await api('POST', '/api/auth/password', { current: PASSWORD, new: 'short' }), 400, 'new');
    assert.equal((await api('POST', '/api/auth/password', { current: PASSWORD, new: changed })).status, 204);
    assertProblem(await api('GET', '/api/settings'), 401);
    assertProblem(await login(PASSWORD), 401);
    assert.equal((await login(changed)).status, 200);
  });

  test('a reset takes the setup code, sets the password and ends every session', async () => {
    const { body } = await login(`${PASSWORD} changed`);
    assertProblem(await call('POST', '/api/auth/reset', { password: PASSWORD, setup_code: 'guess' }), 403);
    const reset = await call('POST', '/api/auth/reset', { password: PASSWORD, setup_code: SETUP_CODE });
    assert.equal(reset.status, 201);
    assertProblem(await call('GET', '/api/settings', undefined, { authorization: `Bearer ${body.token}` }), 401);
    assert.equal((await call('GET', '/api/settings', undefined, { authorization: `Bearer ${reset.body.token}` })).status, 200);
  });
});

describe('the limiter', () => {
  let rondo;
  let call;
  let api;
  before(async () => {
    rondo = await startWorker();
    call = caller(rondo);
    api = await logIn(rondo);
  });
  after(() => rondo?.stop());

  test('five failures a minute from one address, of whatever kind, then 429 with Retry-After', async () => {
    const here = from('203.0.113.5');
    const kinds = [
      () => call('POST', '/api/auth/login', { password: 'wrong' }, here),
      () => call('POST', '/api/auth/reset', { password: PASSWORD, setup_code: 'wrong' }, here),
      () => api('POST', '/api/keys/export', { password: 'wrong' }, here),
      () => api('POST', '/api/auth/password', { current: 'wrong', new: 'long enough' }, here),
    ];
    for (const [index, status] of [401, 403, 401, 401, 401].entries()) assertProblem(await kinds[index % 4](), status);
    for (const kind of kinds) {
      const answer = await kind();
      assertProblem(answer, 429);
      const seconds = Number(answer.headers.get('retry-after'));
      assert.ok(seconds >= 1 && seconds <= 60, `Retry-After: ${seconds}`);
    }
    assertProblem(await call('POST', '/api/auth/login', { password: PASSWORD }, here), 429);
  });

  test('another address is free, successes do not count, and a live session is never locked out', async () => {
    const there = from('203.0.113.6');
    for (let n = 0; n < 8; n += 1) assert.equal((await call('POST', '/api/auth/login', { password: PASSWORD }, there)).status, 200);
    assert.equal((await api('GET', '/api/settings', undefined, from('203.0.113.5'))).status, 200);
  });

  test('addresses of one IPv6 subscriber count as one', async () => {
    for (let n = 1; n <= 5; n += 1) {
      assertProblem(await call('POST', '/api/auth/login', { password: 'wrong' }, from(`2001:db8:7:7::${n}`)), 401);
    }
    assertProblem(await call('POST', '/api/auth/login', { password: 'wrong' }, from('2001:db8:7:7:aaaa::1')), 429);
  });

  test('what cannot be right costs no place', async () => {
    const here = from('203.0.113.7');
    for (let n = 0; n < 7; n += 1) assertProblem(await call('POST', '/api/auth/login', {}, here), 400, 'password');
    assert.equal((await call('POST', '/api/auth/login', { password: PASSWORD }, here)).status, 200);
  });

  test('tries at the same time cannot overrun it', async () => {
    const here = from('203.0.113.8');
    const tries = await Promise.all(Array.from({ length: 12 }, () => call('POST', '/api/auth/login', { password: 'wrong' }, here)));
    assert.equal(tries.filter((answer) => answer.status === 401).length, 5);
    assert.equal(tries.filter((answer) => answer.status === 429).length, 7);
  });
});

describe('what is missing is named', () => {
  let rondo;
  before(async () => {
    rondo = await startWorker();
    await logIn(rondo);
  });
  after(() => rondo?.stop());

  const setup = () => caller(rondo)('POST', '/api/auth/setup', { password: PASSWORD, setup_code: SETUP_CODE });

  test('a missing or weak SETUP_TOKEN, with the command that sets it', async () => {
    for (const SETUP_TOKEN of [undefined, 'changeme', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa']) {
      await rondo.restart({ bindings: { ...testBindings, SETUP_TOKEN } });
      const answer = await setup();
      assertProblem(answer, 503);
      assert.match(answer.body.detail, /wrangler secret put SETUP_TOKEN/);
    }
  });

  test('a missing, weak or different ENCRYPTION_KEY', async () => {
    for (const ENCRYPTION_KEY of [undefined, 'short', 'AbCdEfGh0123456789+/ijklmnopqrstuvwxyzABCDE=']) {
      await rondo.restart({ bindings: { ...testBindings, ENCRYPTION_KEY } });
      const answer = await caller(rondo)('GET', '/api/auth/status');
      assertProblem(answer, 503);
      assert.match(answer.body.detail, /ENCRYPTION_KEY/);
    }
    await rondo.restart({ bindings: testBindings });
    assert.equal((await caller(rondo)('GET', '/api/auth/status')).body.has_password, true);
  });
});

test('a Coordinator that hangs delays an admin by seconds at most, and nobody logs in uncounted', async () => {
  const rondo = await startWorker();
  try {
    const api = await logIn(rondo);
    // The object of the stored state, replaced by one that never answers.
    const entry = `import { DurableObject } from 'cloudflare:workers';
      import worker from './index.js';
      export * from './index.js';
      export default worker;
      export class Coordinator extends DurableObject { fetch() { return new Promise((resolve) => setTimeout(resolve, 3_600_000)); } }`;
    await rondo.restart({ entry });
    const started = Date.now();
    assertProblem(await caller(rondo)('POST', '/api/auth/login', { password: PASSWORD }), 503);
    assert.equal((await api('PATCH', '/api/settings', { pace_ms: 7 })).status, 200);
    assert.equal((await api('GET', '/api/settings')).body.pace_ms, 7);
    assert.equal((await api('GET', '/api/keys')).status, 200);
    assert.ok(Date.now() - started < 12_000, `${Date.now() - started} ms`);
  } finally {
    await rondo.stop();
  }
});
