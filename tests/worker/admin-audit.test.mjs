// Every call that changes something is made once and found in the audit log; no answer of any call that reads holds
// a key, a token or another secret.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { MODEL, PASSWORD, startPool, TOKEN } from '../harness/rondo.mjs';
import { testBindings } from '../harness/worker.mjs';
import { caller, logIn, SETUP_CODE } from './admin-client.mjs';

const document = JSON.parse(readFileSync(inRoot('docs', 'openapi.json'), 'utf8'));
const added = ['csk-canaryaddedbyhand7c4m9q2w8e5r1t6y', 'csk-canaryoftheimport3p8s5d2f7g4h1j9k', 'csk-canaryofthebackup6z1x4c7v2b5n8m3l'];
const ownToken = 'an-operators-own-canary-token';

describe('the audit log and the secrets', () => {
  let pool;
  let api;
  const secrets = new Set([...added, ownToken, PASSWORD, SETUP_CODE, TOKEN, testBindings.ENCRYPTION_KEY]);
  before(async () => {
    pool = await startPool({ keys: 2 });
    for (const name of pool.names) secrets.add(name);
    api = await logIn(pool.rondo, { password: PASSWORD });
    secrets.add(api.token);
  });
  after(() => pool?.stop());

  const log = async () => (await api('GET', '/api/audit?per_page=200')).body;
  const idOf = async (list, fits) => (await api('GET', `/api/${list}`)).body.items.find(fits).id;
  const manual = (key) => ({ masked, source }) => source === 'admin' && masked.endsWith(key.slice(-4));
  const session = async () => {
    const { body } = await caller(pool.rondo)('POST', '/api/auth/login', { password: PASSWORD });
    secrets.add(body.token);
    return body.token;
  };
  /** Goes on with a new session, the password's change having ended all. */
  const again = async (answer, token) => {
    const fresh = token ?? (await session());
    secrets.add(fresh);
    api = Object.assign(caller(pool.rondo, { authorization: `Bearer ${fresh}` }), { token: fresh });
    return answer;
  };

  /** What each call is logged as, in an order in which they can be made, and how it is made once. */
  const deeds = {
    'POST /api/auth/setup': ['auth.setup', null],
    'POST /api/auth/login': ['auth.login', () => caller(pool.rondo)('POST', '/api/auth/login', { password: PASSWORD })],
    'POST /api/keys': ['key.add', () => api('POST', '/api/keys', { key: added[0], label: 'a' })],
    'POST /api/keys/batch': ['key.batch', () => api('POST', '/api/keys/batch', { input: added[1] })],
    'PATCH /api/keys/{id}': ['key.patch', async () => api('PATCH', `/api/keys/${await idOf('keys', manual(added[0]))}`, { weight: 3 })],
    'POST /api/keys/group': ['key.group', async () => api('POST', '/api/keys/group', { ids: [await idOf('keys', manual(added[0]))], group: 'g' })],
    'POST /api/keys/enable': ['key.patch', async () => {
      const ids = [await idOf('keys', manual(added[0]))];
      await api('POST', '/api/keys/enable', { ids, enabled: false });
      return api('POST', '/api/keys/enable', { ids, enabled: true });
    }],
    'POST /api/keys/suggestions': ['suggestion.accept', async () => api('POST', '/api/keys/suggestions', { groups: ['group:g', `key:${await idOf('keys', manual(added[1]))}`], accept: true })],
    'POST /api/keys/{id}/test': ['key.test', async () => api('POST', `/api/keys/${await idOf('keys', manual(added[0]))}/test`)],
    'POST /api/keys/test': ['key.test', async () => api('POST', '/api/keys/test', { ids: [await idOf('keys', manual(added[0]))] })],
    'POST /api/keys/export': ['key.export', () => api('POST', '/api/keys/export', { password: PASSWORD })],
    'POST /api/tokens': ['token.add', () => api('POST', '/api/tokens', { name: 'own', token: ownToken })],
    'PATCH /api/tokens/{id}': ['token.patch', async () => api('PATCH', `/api/tokens/${await idOf('tokens', ({ name }) => name === 'own')}`, { requests_per_minute: 100 })],
    'PUT /api/models/{pool}': ['pool.put', () => api('PUT', '/api/models/fast', { members: [MODEL] })],
    'DELETE /api/models/{pool}': ['pool.delete', () => api('DELETE', '/api/models/fast')],
    'POST /api/models/catalog/refresh': ['catalog.refresh', () => api('POST', '/api/models/catalog/refresh')],
    'POST /api/models/test': ['model.test', () => api('POST', '/api/models/test', { model: MODEL })],
    'PATCH /api/settings': ['settings.patch', () => api('PATCH', '/api/settings', { pace_ms: 1 })],
    'POST /api/backup': ['backup.make', () => api('POST', '/api/backup', { password: PASSWORD })],
    'POST /api/restore': ['backup.restore', () => api('POST', '/api/restore', { password: PASSWORD, backup: { rondo_backup: 1, keys: [{ key: added[2] }] } })],
    'DELETE /api/keys/{id}': ['key.delete', async () => api('DELETE', `/api/keys/${await idOf('keys', manual(added[1]))}`)],
    'POST /api/keys/delete': ['key.delete', async () => api('POST', '/api/keys/delete', { ids: [await idOf('keys', manual(added[2]))] })],
    'DELETE /api/tokens/{id}': ['token.delete', async () => api('DELETE', `/api/tokens/${(await api('POST', '/api/tokens', { name: 'gone' })).body.id}`)],
    'DELETE /api/sessions/{id}': ['session.end', async () => {
      await session();
      return api('DELETE', `/api/sessions/${await idOf('sessions', ({ current }) => !current)}`);
    }],
    'POST /api/sessions/end_others': ['session.end', async () => {
      await session();
      return api('POST', '/api/sessions/end_others');
    }],
    'POST /api/auth/logout': ['auth.logout', async () => again(await api('POST', '/api/auth/logout'))],
    'POST /api/auth/password': ['auth.password', async () => again(await api('POST', '/api/auth/password', { current: PASSWORD, new: PASSWORD }))],
    'POST /api/auth/reset': ['auth.reset', async () => {
      const answer = await caller(pool.rondo)('POST', '/api/auth/reset', { password: PASSWORD, setup_code: SETUP_CODE });
      return again(answer, answer.body.token);
    }],
    // A request to a model is no change; it is told among the requests.
    'POST /api/playground': [null, () => api('POST', '/api/playground', { model: MODEL, messages: [{ role: 'user', content: 'Hello' }] })],
  };

  test('every change is in the audit log, with who made it', async () => {
    const documented = Object.entries(document.paths).flatMap(([path, item]) => ['post', 'put', 'patch', 'delete'].filter((method) => item[method]).map((method) => `${method.toUpperCase()} ${path}`));
    assert.deepEqual(Object.keys(deeds).sort(), documented.sort(), 'a call that is new in the document belongs into this test');
    for (const [name, [action, make]] of Object.entries(deeds)) {
      const before = make ? (await log()).items[0].id : 0;
      const answer = await make?.();
      assert.ok(!answer || [200, 201, 204].includes(answer.status), `${name}: ${answer?.text}`);
      const { items } = await log();
      const rows = items.filter((row) => row.id > before && row.action !== 'auth.login');
      if (action === null) {
        assert.deepEqual(rows, [], name);
        continue;
      }
      const row = items.find((one) => one.id > before && one.action === action);
      assert.ok(row, `${name} is not logged as ${action}: ${JSON.stringify(rows)}`);
      assert.match(row.actor, /^admin \(.+\)$/);
      assert.ok(Math.abs(Date.parse(row.at) - Date.now()) < 60_000);
    }
    // What was refused or found as it was changed nothing, and is not logged.
    const { total } = await log();
    for (const [method, path, body] of [['PATCH', '/api/keys/k_0', { weight: 2 }], ['DELETE', '/api/tokens/t_0'], ['POST', '/api/keys', { key: added[0] }], ['PATCH', '/api/settings', { pace_ms: -1 }], ['PUT', '/api/models/a b', { members: [] }]]) await api(method, path, body);
    assert.equal((await log()).total, total);
  });

  test('no call that reads answers with a secret', async () => {
    for (const stream of [false, true]) await (await pool.chat({ stream }, { token: ownToken })).text();
    const id = await idOf('keys', manual(added[0]));
    const read = [];
    for (const [template, item] of Object.entries(document.paths)) {
      if (!item.get) continue;
      const path = template.replace('{id}', id);
      const paths = path === '/api/stats/series' ? ['key', 'token', 'model'].map((by) => `${path}?by=${by}`) : [path];
      for (const one of paths) {
        const leaving = new AbortController();
        const response = await pool.rondo.fetch(one, { headers: { authorization: `Bearer ${api.token}` }, signal: leaving.signal });
        assert.equal(response.status, 200, one);
        // The stream of events would go on; its first piece tells where things stand.
        const text = one === '/api/events' ? Buffer.from((await response.body.getReader().read()).value).toString() : await response.text();
        leaving.abort();
        read.push(one);
        for (const secret of secrets) assert.ok(!text.includes(secret), `${one} holds a secret`);
        assert.ok(!/"(sealed|digest|key_digest|password)"/.test(text), `${one} holds something sealed or a digest`);
      }
    }
    assert.ok(read.length >= 19, `${read.length} calls`);
    // The search itself works.
    assert.ok((await api('POST', '/api/keys/export', { password: PASSWORD })).text.includes(added[0]));
  });
});
