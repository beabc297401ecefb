// Sessions, backup and restore, on the built Worker.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startWorker } from '../harness/worker.mjs';
import { createSimulator } from '../upstream/simulator.mjs';
import { PASSWORD, assertProblem, caller, keyNumber, logIn } from './admin-client.mjs';

const MODEL = 'gpt-oss-120b';
const CLIENT = 'rk-token-that-survives';

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

  const another = async () => caller(rondo, { authorization: `Bearer ${(await call('POST', '/api/auth/login', { password: PASSWORD })).body.token}` });

  test('are listed by short names, without tokens or digests', async () => {
    await another();
    const { body, text } = await api('GET', '/api/sessions');
    assert.equal(body.items.length, 2);
    assert.equal(body.items.filter((one) => one.current).length, 1);
    for (const one of body.items) {
      assert.match(one.id, /^[0-9a-f]{16}$/);
      assert.ok(Date.parse(one.expires_at) > Date.parse(one.created_at));
    }
    const { results } = await (await rondo.db()).prepare('SELECT digest FROM sessions').all();
    for (const secret of [api.token, ...results.map((row) => row.digest)]) assert.ok(!text.includes(secret));
    assertProblem(await api('GET', '/api/sessions?page=1'), 400, 'page');
  });

  test('one of them is ended from another', async () => {
    const other = await another();
    const { id } = (await other('GET', '/api/sessions')).body.items.find((one) => one.current);
    const answer = await api('DELETE', `/api/sessions/${id}`);
    assert.equal(answer.status, 204);
    assert.equal(answer.headers.get('set-cookie'), null);
    assertProblem(await other('GET', '/api/sessions'), 401);
    assertProblem(await api('DELETE', `/api/sessions/${id}`), 404);
  });

  test('all others end at once, and one may end itself', async () => {
    const others = [await another(), await another()];
    const { ended } = (await api('POST', '/api/sessions/end_others')).body;
    assert.equal(ended, 3, 'with the one of the first test');
    for (const other of others) assertProblem(await other('GET', '/api/sessions'), 401);
    const [own] = (await api('GET', '/api/sessions')).body.items;
    const log = (await api('GET', '/api/audit')).body.items.filter((row) => row.action === 'session.end');
    assert.ok(log.some((row) => row.detail === '3 others'), JSON.stringify(log));
    const answer = await api('DELETE', `/api/sessions/${own.id}`);
    assert.equal(answer.status, 204);
    assert.match(answer.headers.get('set-cookie'), /Max-Age=0/);
    assertProblem(await api('GET', '/api/sessions'), 401);
  });
});

describe('a backup', () => {
  const keys = [1, 2, 3, 4].map(keyNumber);
  let sim;
  let first;
  let api;
  let backup;
  const running = [];
  before(async () => {
    sim = await createSimulator({ keys });
    first = await start({ CEREBRAS_API_KEYS: keys[3], AUTH_PASSWORD: 'rk-token-of-the-environment' });
    api = await logIn(first);
    await api('POST', '/api/keys', { key: keys[0], label: 'one', group: 'team', weight: 3 });
    await api('POST', '/api/keys', { key: keys[1], label: 'two' });
    const { body } = await api('POST', '/api/keys', { key: keys[2], base_url: sim.url });
    await api('PATCH', `/api/keys/${body.id}`, { enabled: false });
    await api('POST', '/api/tokens', { name: 'client', token: CLIENT, tokens_per_day: 1_000_000, models: [MODEL, 'fast'] });
    await api('PUT', '/api/models/fast', { strategy: 'order', members: [MODEL] });
    await api('PATCH', '/api/settings', { max_wait_ms: 4_321, model_policy: 'passthrough' });
  });
  after(async () => {
    for (const rondo of running) await rondo.stop();
    await sim?.close();
  });

  async function start(bindings = {}) {
    const rondo = await startWorker({ bindings: { CEREBRAS_BASE_URL: sim.url, ...bindings } });
    running.push(rondo);
    return rondo;
  }

  const chat = async (rondo, token) => {
    const response = await rondo.fetch('/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'Hello' }] }),
    });
    await response.text();
    return response.status;
  };
  const named = (items) => items.map(({ label, group, weight, enabled, base_url: base, masked }) => ({ label, group, weight, enabled, base, masked })).sort((a, b) => (a.masked < b.masked ? -1 : 1));
  const whole = (api_) => Promise.all(['/api/keys', '/api/tokens', '/api/models', '/api/settings'].map(async (path) => (await api_('GET', path)).body));

  test('is made for the password once more, never cached, and logged before it leaves', async () => {
    assertProblem(await api('POST', '/api/backup', {}), 400, 'password');
    assertProblem(await api('POST', '/api/backup', { password: 'not it' }), 401);
    assertProblem(await api('POST', '/api/backup', { password: PASSWORD, keys: true }), 400, 'keys');
    const answer = await api('POST', '/api/backup', { password: PASSWORD });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.match(answer.headers.get('content-disposition'), /^attachment/);
    backup = answer.body;
    assert.deepEqual(backup.keys.map(({ key }) => key).sort(), [...keys].sort());
    assert.deepEqual(backup.tokens.map(({ name }) => name), ['client'], 'the environment brings its own');
    assert.ok(!answer.text.includes(CLIENT) && !answer.text.includes(PASSWORD));
    assert.equal((await api('GET', '/api/audit')).body.items[0].action, 'backup.make');
  });

  test('a try of a restore changes nothing and says what it would do', async () => {
    const rondo = await start();
    const other = await logIn(rondo);
    const before_ = await whole(other);
    const { status, body, text } = await other('POST', '/api/restore', { password: PASSWORD, backup, dry_run: true });
    assert.equal(status, 200, text);
    assert.deepEqual(body.keys, { added: 4, duplicate: 0, failed: 0 });
    assert.deepEqual([body.pools, body.settings], [1, true]);
    assert.deepEqual(await whole(other), before_);
  });

  test('in a fresh Rondo under another digest key the keys serve, and tokens are to be made anew', async () => {
    const rondo = await start();
    const other = await logIn(rondo);
    const { body } = await other('POST', '/api/restore', { password: PASSWORD, backup });
    assert.deepEqual(body.keys, { added: 4, duplicate: 0, failed: 0 });
    assert.deepEqual(body.tokens, { added: 0, duplicate: 0, skipped: 1 });
    assert.equal(body.notes.length, 1);
    assert.match(body.notes[0], /make new ones/);
    const [keysHere, , pools, settings] = await whole(other);
    assert.deepEqual(named(keysHere.items), named((await api('GET', '/api/keys')).body.items));
    assert.deepEqual(pools.pools.map(({ name }) => name), ['default', 'fast']);
    assert.deepEqual([settings.max_wait_ms, settings.model_policy], [4_321, 'passthrough']);
    assert.equal(await chat(rondo, CLIENT), 401);
    const { token } = (await other('POST', '/api/tokens', { name: 'new' })).body;
    assert.equal(await chat(rondo, token), 200);
    assert.equal((await other('GET', '/api/audit')).body.items.find((row) => row.action === 'backup.restore').detail, '4 keys, 0 tokens, 1 pools, settings');

    const again = (await other('POST', '/api/restore', { password: PASSWORD, backup })).body;
    assert.deepEqual(again.keys, { added: 0, duplicate: 4, failed: 0 });
    assert.deepEqual([again.pools, again.settings], [0, false]);
  });

  test('in a fresh Rondo under the same digest key the tokens work too', async () => {
    const rondo = await start();
    await caller(rondo)('GET', '/health');
    const { results } = await (await first.db()).prepare("SELECT name, value FROM meta WHERE name LIKE 'wrapped_%'").all();
    for (const { name, value } of results) await (await rondo.db()).prepare('UPDATE meta SET value = ?2 WHERE name = ?1').bind(name, value).run();
    await rondo.restart();
    const other = await logIn(rondo);
    // A backup may come in pieces.
    const { keys: all, ...rest } = backup;
    const head = { rondo_backup: 1, digest_check: backup.digest_check };
    assert.deepEqual((await other('POST', '/api/restore', { password: PASSWORD, backup: { ...head, keys: all.slice(0, 2) } })).body.keys, { added: 2, duplicate: 0, failed: 0 });
    assert.deepEqual((await other('POST', '/api/restore', { password: PASSWORD, backup: { ...head, keys: all.slice(1) } })).body.keys, { added: 2, duplicate: 1, failed: 0 });
    const { body } = await other('POST', '/api/restore', { password: PASSWORD, backup: rest });
    assert.deepEqual(body.tokens, { added: 1, duplicate: 0, skipped: 0 });
    assert.deepEqual(body.notes, []);
    const [token] = (await other('GET', '/api/tokens')).body.items;
    assert.deepEqual([token.name, token.tokens_per_day, token.models], ['client', 1_000_000, [MODEL, 'fast']]);
    assert.equal(await chat(rondo, CLIENT), 200);
    assert.deepEqual((await other('POST', '/api/restore', { password: PASSWORD, backup: rest })).body.tokens, { added: 0, duplicate: 1, skipped: 0 });
  });

  test('what is wrong with one key spoils no other, and no secret is in a note', async () => {
    const rondo = await start();
    const other = await logIn(rondo);
    const bad = { key: 'short', provider: 'cerebras' };
    const secret = `${keyNumber(9)} with a space`;
    const { body, text } = await other('POST', '/api/restore', {
      password: PASSWORD,
      backup: { rondo_backup: 1, keys: [bad, { key: keyNumber(8) }, { key: keyNumber(8) }, { key: secret }, { key: null }] },
    });
    assert.deepEqual(body.keys, { added: 1, duplicate: 1, failed: 3 });
    assert.equal(body.notes.length, 3);
    assert.ok(!text.includes(keyNumber(9)) && !text.includes('short'));
  });

  test('what is no backup is refused by name, and a wrong password counts', async () => {
    for (const [body, field] of [
      [{ password: PASSWORD }, 'backup'],
      [{ backup }, 'password'],
      [{ password: PASSWORD, backup: { rondo_backup: 2 } }, 'backup.rondo_backup'],
      [{ password: PASSWORD, backup: { rondo_backup: 1, settings: { max_wait_ms: -1 } } }, 'backup.settings.max_wait_ms'],
      [{ password: PASSWORD, backup, force: true }, 'force'],
    ]) {
      assertProblem(await api('POST', '/api/restore', body), 400, field);
    }
    assertProblem(await caller(first)('POST', '/api/restore', { password: PASSWORD, backup }), 401);
    for (let n = 0; n < 5; n += 1) await api('POST', '/api/restore', { password: 'wrong', backup });
    assertProblem(await api('POST', '/api/restore', { password: PASSWORD, backup }), 429);
    assertProblem(await api('POST', '/api/backup', { password: PASSWORD }), 429);
  });
});
