// Tokens, model pools, settings, stats and the audit log in the admin API of the built Worker.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startWorker } from '../harness/worker.mjs';
import { assertProblem, keyNumber, logIn } from './admin-client.mjs';

let rondo;
let api;
before(async () => {
  rondo = await startWorker({ bindings: { AUTH_PASSWORD: 'token-of-the-environment' } });
  api = await logIn(rondo);
});
after(() => rondo?.stop());

const epoch = async () => Number((await (await rondo.db()).prepare("SELECT value FROM meta WHERE name = 'epoch'").first()).value);

describe('tokens', () => {
  test('one is shown once, when it is made', async () => {
    const before = await epoch();
    const made = await api('POST', '/api/tokens', { name: 'laptop' });
    assert.equal(made.status, 201, made.text);
    assert.match(made.body.token, /^rk-[\w-]{43}$/);
    assert.match(made.body.id, /^t_[0-9a-f]{16}$/);
    assert.deepEqual([made.body.enabled, made.body.expires_at, made.body.models, made.body.metrics, made.body.requests_per_minute], [true, null, null, false, null]);
    assert.equal(await epoch(), before + 1);
    const list = await api('GET', '/api/tokens');
    assert.ok(!list.text.includes(made.body.token));
    const row = list.body.items.find((item) => item.id === made.body.id);
    assert.equal(row.name, 'laptop');
    assert.equal('token' in row, false);
    assert.ok(made.body.token.endsWith(row.masked.slice(-4)));
    const dump = JSON.stringify((await (await rondo.db()).prepare('SELECT * FROM tokens').all()).results);
    assert.ok(!dump.includes(made.body.token) && !dump.includes('token-of-the-environment'));
  });

  test("an operator's own value is taken, once, from 16 characters on", async () => {
    const token = 'older-proxy-token-7';
    const made = await api('POST', '/api/tokens', { name: 'kept', token });
    assert.equal(made.status, 201, made.text);
    assert.equal(made.body.token, token);
    assertProblem(await api('POST', '/api/tokens', { name: 'again', token }), 409);
    assertProblem(await api('POST', '/api/tokens', { name: 'x', token: 'fifteen-chars-x' }), 400, 'token');
    assertProblem(await api('POST', '/api/tokens', { name: 'x', token: 'with a space in the middle' }), 400, 'token');
    assert.equal((await api('POST', '/api/tokens', { name: 'x', token: 'sixteen-chars-xx' })).status, 201);
  });

  test('a change keeps what it does not name, and null clears', async () => {
    const limits = { requests_per_minute: 5, tokens_per_minute: 6, tokens_per_day: 7, tokens_per_month: 8, max_concurrent: 9 };
    const made = await api('POST', '/api/tokens', { name: 'limited', expires_at: '2030-01-02T03:04:05+01:00', models: ['b', 'a', 'b'], metrics: true, ...limits });
    assert.equal(made.status, 201, made.text);
    assert.equal(made.body.expires_at, '2030-01-02T02:04:05.000Z');
    assert.deepEqual(made.body.models, ['b', 'a']);
    for (const [name, value] of Object.entries(limits)) assert.equal(made.body[name], value);
    const path = `/api/tokens/${made.body.id}`;
    const patched = (await api('PATCH', path, { enabled: false, tokens_per_day: null, tokens_per_month: 80, models: null })).body;
    assert.deepEqual(
      [patched.name, patched.enabled, patched.models, patched.metrics, patched.expires_at, patched.requests_per_minute, patched.tokens_per_day, patched.tokens_per_month],
      ['limited', false, null, true, '2030-01-02T02:04:05.000Z', 5, null, 80],
    );
    const cleared = (await api('PATCH', path, { expires_at: null, name: 'free' })).body;
    assert.deepEqual([cleared.name, cleared.expires_at, cleared.enabled, cleared.max_concurrent], ['free', null, false, 9]);
    assert.equal((await api('DELETE', path)).status, 204);
    assertProblem(await api('PATCH', path, { enabled: true }), 404);
    assertProblem(await api('DELETE', path), 404);
  });

  test('errors name the field', async () => {
    for (const [body, field] of [
      [{}, 'name'], [{ name: '' }, 'name'], [{ name: 'a', enabled: 1 }, 'enabled'], [{ name: 'a', expires_at: 'soon' }, 'expires_at'],
      [{ name: 'a', expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'], [{ name: 'a', models: [] }, 'models'],
      [{ name: 'a', requests_per_minute: 0 }, 'requests_per_minute'], [{ name: 'a', tokens_per_day: 1.5 }, 'tokens_per_day'],
      [{ name: 'a', max_concurrent: '4' }, 'max_concurrent'], [{ name: 'a', metrics: 'yes' }, 'metrics'], [{ name: 'a', colour: 1 }, 'colour'],
    ]) assertProblem(await api('POST', '/api/tokens', body), 400, field);
    const { body } = await api('POST', '/api/tokens', { name: 'whole' });
    assertProblem(await api('PATCH', `/api/tokens/${body.id}`, { token: 'sixteen-chars-yy' }), 400, 'token');
    assertProblem(await api('PATCH', `/api/tokens/${body.id}`, {}), 400);
  });

  test('the one of the environment cannot be deleted while it is there', async () => {
    const row = (await api('GET', '/api/tokens')).body.items.find((item) => item.source === 'env');
    assert.equal(row.id, 'env');
    const refused = await api('DELETE', '/api/tokens/env');
    assertProblem(refused, 409);
    assert.match(refused.body.detail, /AUTH_PASSWORD/);
  });

  test('the list is paged', async () => {
    const { body } = await api('GET', '/api/tokens?per_page=1&page=2');
    assert.equal(body.items.length, 1);
    assert.ok(body.total >= 4);
    assertProblem(await api('GET', '/api/tokens?per_page=0'), 400, 'per_page');
    assertProblem(await api('GET', '/api/tokens?name=x'), 400, 'name');
  });
});

describe('model pools', () => {
  const pools = async () => (await api('GET', '/api/models')).body.pools;

  test('are read, written and deleted', async () => {
    const first = await api('GET', '/api/models');
    assert.equal(first.body.policy, 'prefer_requested');
    assert.equal(first.body.pools[0].name, 'default');
    assert.deepEqual(Object.keys(first.body.pools[0].members[0]).sort(), ['enabled', 'model', 'provider', 'reason', 'state', 'until', 'weight']);
    const before = await epoch();
    const put = await api('PUT', '/api/models/vendor/fast', { strategy: 'order', members: ['m-1', { model: 'm-2', weight: 4, enabled: false }, 'm-1'] });
    assert.equal(put.status, 200, put.text);
    assert.deepEqual(put.body.members.map((member) => [member.model, member.weight, member.enabled, member.state]), [['m-1', 1, true, 'active'], ['m-2', 4, false, 'disabled']]);
    assert.deepEqual((await pools()).map((pool) => pool.name), ['default', 'vendor/fast']);
    const back = await api('PUT', '/api/models/vendor%2Ffast', { strategy: put.body.strategy, members: put.body.members });
    assert.equal(back.status, 200, 'an answer can be sent back');
    assert.equal(await epoch(), before + 2);
    assert.equal((await api('DELETE', '/api/models/vendor/fast')).status, 204);
    assertProblem(await api('DELETE', '/api/models/vendor/fast'), 404);
    assert.equal((await pools()).length, 1);
  });

  test('the default pool is never empty nor deleted', async () => {
    assertProblem(await api('PUT', '/api/models/default', { members: [] }), 400, 'members');
    assertProblem(await api('PUT', '/api/models/default', { members: [{ model: 'm', enabled: false }] }), 400, 'members');
    assertProblem(await api('DELETE', '/api/models/default'), 400, 'pool');
    assert.equal((await pools())[0].name, 'default');
  });

  test('names and members are checked', async () => {
    for (const [name, body, field] of [
      ['a%20b', { members: ['m'] }, 'pool'], ['n'.repeat(65), { members: ['m'] }, 'pool'], ['p', {}, 'members'], ['p', { members: 'm' }, 'members'],
      ['p', { members: Array.from({ length: 101 }, (_, n) => `m${n}`) }, 'members'], ['p', { members: ['m'], strategy: 'random' }, 'strategy'],
      ['p', { members: [{ model: 'm', weight: 101 }] }, 'members.weight'], ['p', { members: [{ model: 'm', provider: 'acme' }] }, 'members.provider'],
      ['p', { members: ['m'], colour: 1 }, 'colour'],
    ]) assertProblem(await api('PUT', `/api/models/${name}`, body), 400, field);
  });

  test('there are a hundred at most', async () => {
    for (let n = 1; n < 100; n += 1) assert.equal((await api('PUT', `/api/models/pool-${n}`, { members: ['m'] })).status, 200);
    assertProblem(await api('PUT', '/api/models/one-more', { members: ['m'] }), 409);
    assert.equal((await api('PUT', '/api/models/pool-99', { members: ['m-2'] })).status, 200, 'one that is there can be changed');
  });
});

describe('settings', () => {
  test('have defaults, change one by one and are kept', async () => {
    const { body } = await api('GET', '/api/settings');
    assert.deepEqual(
      [body.access_mode, body.model_policy, body.max_wait_ms, body.attempt_budget, body.flush_interval_ms, body.pace_ms, body.key_pace_ms, body.metering, body.address_requests_per_minute],
      ['token', 'prefer_requested', 20_000, 40, 15_000, 0, 0, 'exact', 60],
    );
    const before = await epoch();
    const patched = await api('PATCH', '/api/settings', { flush_interval_ms: 5, timeouts: { silence_ms: 900 } });
    assert.equal(patched.status, 200, patched.text);
    assert.deepEqual([patched.body.flush_interval_ms, patched.body.timeouts.silence_ms, patched.body.max_wait_ms], [1_000, 900, 20_000]);
    assert.equal(await epoch(), before + 1);
    assert.deepEqual((await api('GET', '/api/settings')).body, patched.body);
    assert.equal((await api('PATCH', '/api/settings', { flush_interval_ms: 15_000 })).status, 200);
  });

  test('changes at the same time are all kept', async () => {
    const changes = [{ pace_ms: 11 }, { key_pace_ms: 12 }, { max_wait_ms: 13 }, { attempt_budget: 14 }];
    const answers = await Promise.all(changes.map((change) => api('PATCH', '/api/settings', change)));
    assert.deepEqual(answers.map((answer) => answer.status), [200, 200, 200, 200]);
    const { body } = await api('GET', '/api/settings');
    assert.deepEqual([body.pace_ms, body.key_pace_ms, body.max_wait_ms, body.attempt_budget], [11, 12, 13, 14]);
  });

  test('errors name the field and change nothing', async () => {
    const before = (await api('GET', '/api/settings')).body;
    for (const [body, field] of [[{ pace_ms: 1, access_mode: 'open' }, 'access_mode'], [{ max_wait_ms: '5' }, 'max_wait_ms'], [{ attempt_budget: 0 }, 'attempt_budget'], [{ timeouts: { silence: 1 } }, 'timeouts.silence'], [{ colour: 1 }, 'colour']]) {
      assertProblem(await api('PATCH', '/api/settings', body), 400, field);
    }
    assert.deepEqual((await api('GET', '/api/settings')).body, before);
  });
});

describe('stats', () => {
  test('give totals in all and per key, model and token', async () => {
    const key = (await api('POST', '/api/keys', { key: keyNumber(1), label: 'counted' })).body;
    const token = (await api('POST', '/api/tokens', { name: 'counted' })).body;
    const db = await rondo.db();
    const put = (dim, id, requests) => db.prepare(
      'INSERT INTO usage (grain, dim, id, at, requests, errors, cut, prompt_tokens, completion_tokens, estimated_prompt_tokens, last_used_at) VALUES (?1, ?2, ?3, 0, ?4, 1, 2, 30, 40, 5, 1000)',
    ).bind('total', dim, id, requests).run();
    await put('key', key.id, 12);
    await put('model', 'gpt-oss-120b', 12);
    await put('token', token.id, 10);
    await put('token', '', 3);
    const { body } = await api('GET', '/api/stats');
    assert.deepEqual(
      [body.totals.requests, body.totals.errors, body.totals.cut, body.totals.prompt_tokens, body.totals.completion_tokens, body.totals.estimated_prompt_tokens],
      [13, 2, 4, 60, 80, 10],
    );
    const found = (list, id) => list.find((item) => item.id === id);
    assert.deepEqual([found(body.keys, key.id).requests, found(body.keys, key.id).label, found(body.keys, key.id).masked], [12, 'counted', key.masked]);
    assert.equal(found(body.models, 'gpt-oss-120b').requests, 12);
    assert.deepEqual([found(body.tokens, token.id).requests, found(body.tokens, token.id).name], [10, 'counted']);
    const listed = (await api('GET', '/api/keys?q=counted')).body.items[0];
    assert.deepEqual([listed.requests, listed.errors, listed.prompt_tokens, listed.completion_tokens, listed.last_used_at], [12, 1, 30, 40, '1970-01-01T00:00:01.000Z']);
    assert.equal((await api('GET', '/api/keys?sort=-requests&per_page=1')).body.items[0].id, key.id);
    assert.equal((await api('GET', '/api/stats?limit=1')).body.tokens.length, 1);
    assertProblem(await api('GET', '/api/stats?limit=0'), 400, 'limit');
  });
});

describe('the audit log', () => {
  test('says who changed what and when, newest first, and nothing of refused calls', async () => {
    const key = (await api('POST', '/api/keys', { key: keyNumber(2) })).body;
    await api('PATCH', `/api/keys/${key.id}`, { weight: 7 });
    await api('POST', '/api/keys', { key: keyNumber(2) });
    await api('DELETE', '/api/keys/k_unknown');
    await api('POST', '/api/keys/delete', { ids: [key.id] });
    const { body } = await api('GET', '/api/audit?per_page=3');
    assert.deepEqual(body.items.map((item) => item.action), ['key.delete', 'key.patch', 'key.add']);
    assert.deepEqual(body.items.map((item) => item.detail), ['1 keys', `${key.id} weight=7`, `${key.id} ${key.masked}`]);
    for (const item of body.items) {
      assert.match(item.actor, /^admin \(/);
      assert.ok(Math.abs(Date.parse(item.at) - Date.now()) < 60_000);
    }
    const second = await api('GET', '/api/audit?per_page=3&page=2');
    assert.ok(second.body.items[0].id < body.items[2].id);
    assert.ok(body.total > 3);
  });
});
