// The provider's public list of models: the admin's calls, the Coordinator's watch, and what it does to the pool.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after, before, beforeEach, describe, test } from 'node:test';
import { MODEL, TOKEN, startPool } from '../harness/rondo.mjs';
import { until } from './proxy.mjs';

const OTHER = 'qwen-3.8-27b';
const HOUR = 3_600_000;
const PUBLIC = { path: '/public/v1/models' };

/** Makes the stored copy older, as time does, and has the Coordinator look at it. */
async function age(rondo, ms) {
  const db = await rondo.db();
  await db.prepare('UPDATE catalog SET fetched_at = fetched_at - ?1').bind(ms).run();
  const answer = await rondo.coordinator('/catalog', { method: 'POST' });
  assert.equal(answer.status, 200, await answer.text());
}

const number = async (rondo, sql) => Object.values(await (await rondo.db()).prepare(sql).first())[0];
const epoch = (rondo) => number(rondo, "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'epoch'");
const flushed = (rondo) => number(rondo, "SELECT COALESCE(SUM(requests), 0) FROM usage WHERE grain = 'total' AND dim = 'pool'");

describe('the catalog', () => {
  let pool;
  before(async () => {
    // No flush of its own while these run: all fetches are the admin's.
    pool = await startPool({ keys: 2, settings: { flush_interval_ms: 3_600_000 } });
  });
  after(() => pool?.stop());
  beforeEach(() => pool.sim.clearFaults());
  const get = () => pool.admin('GET', '/api/models/catalog');
  const refresh = () => pool.admin('POST', '/api/models/catalog/refresh');

  test('is fetched without a key at the first look, and kept', async () => {
    const copy = await get();
    assert.equal(copy.source, `${pool.sim.url}/public/v1/models`);
    assert.ok(Math.abs(Date.parse(copy.fetched_at) - Date.now()) < 60_000);
    assert.deepEqual([copy.stale, copy.last_error], [false, null]);
    assert.deepEqual(copy.models.map((model) => model.id), [MODEL, OTHER]);
    assert.deepEqual(copy.models[0], {
      id: MODEL, name: 'GPT OSS 120B', context_length: 131072, max_completion_tokens: 40960, deprecated: false, preview: false,
      pricing: { prompt: '0.00000035', completion: '0.00000075' },
    });
    assert.equal(pool.sim.publicRecords.length, 1);
    const { headers } = pool.sim.publicRecords[0];
    assert.equal(headers.authorization, undefined);
    assert.match(headers['user-agent'], /^Rondo\//);
    assert.deepEqual(await get(), copy);
    assert.equal(pool.sim.publicRecords.length, 1, 'the second look is at the copy');
  });

  test('is fetched again once it is older than six hours', async () => {
    await age(pool.rondo, 6 * HOUR - 60_000);
    const before = await get();
    assert.equal(pool.sim.publicRecords.length, 1);
    await age(pool.rondo, 60_000);
    const copy = await get();
    assert.equal(pool.sim.publicRecords.length, 2);
    assert.ok(Date.parse(copy.fetched_at) > Date.parse(before.fetched_at) && !copy.stale);
  });

  test('has every isolate load its snapshot anew only when other models are in it', async () => {
    const start = await epoch(pool.rondo);
    const first = await refresh();
    assert.equal(await epoch(pool.rondo), start);
    pool.sim.addModel('new-model');
    const second = await refresh();
    assert.equal(await epoch(pool.rondo), start + 1);
    assert.deepEqual(second.models.map((model) => model.id), [...first.models.map((model) => model.id), 'new-model']);
  });

  test('is what /v1/models lists under passthrough, and only there', async () => {
    const listed = async () => {
      const response = await pool.rondo.fetch('/v1/models', { headers: { authorization: `Bearer ${TOKEN}` } });
      return (await response.json()).data.map((model) => model.id);
    };
    // An isolate that gives no grants hears of a change within 5 s.
    const lists = (...models) => until(async () => String(await listed()) === String(models), 10_000, `a list of ${models}`);
    await lists(MODEL);
    await pool.admin('PATCH', '/api/settings', { model_policy: 'passthrough' });
    await lists(MODEL, OTHER, 'new-model');
    await pool.admin('PATCH', '/api/settings', { model_policy: 'prefer_requested' });
    await lists(MODEL);
  });

  test('tells who lists models how long a conversation may be, and what it costs', async () => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const read = async (path, more = headers) => (await pool.rondo.fetch(path, { headers: more })).json();
    const [known] = (await refresh()).models.filter(({ id }) => id === MODEL);
    const { data: [model] } = await read('/v1/models');
    assert.deepEqual([model.id, model.object, model.name, model.context_length, model.max_completion_tokens, model.pricing],
      [MODEL, 'model', known.name, known.context_length, known.max_completion_tokens, known.pricing]);
    assert.ok(model.context_length > 1_000 && model.limits.max_context_length === model.context_length);
    assert.deepEqual(await read(`/v1/models/${MODEL}`), model);
    const { models: [listed] } = await read('/v1beta/models', { 'x-goog-api-key': TOKEN });
    assert.deepEqual([listed.displayName, listed.inputTokenLimit, listed.outputTokenLimit], [model.name, model.context_length, model.max_completion_tokens]);
  });

  for (const [name, fault, error] of [
    ['an error', { kind: 'status', status: 503, body: 'csk-secret' }, /^the list answered HTTP 503$/],
    ['a page', { kind: 'status', status: 200, body: '<html>log in</html>' }, /no JSON/],
    ['no list', { kind: 'status', status: 200, body: { data: {} } }, /no list/],
    ['an empty list', { kind: 'status', status: 200, body: { data: [] } }, /no models/],
    ['more than a mebibyte', { kind: 'status', status: 200, body: { data: [{ id: 'm', x: 'x'.repeat(1024 * 1024) }] } }, /longer than/],
    ['no connection', { kind: 'reset-before-headers' }, /connection/],
    ['no answer at all', { kind: 'never' }, /within 10 s/],
  ]) {
    test(`that answers ${name} keeps the copy and says why`, async () => {
      const before = await refresh();
      pool.sim.fault({ ...fault, ...PUBLIC });
      const copy = await refresh();
      assert.match(copy.last_error, error);
      assert.deepEqual({ ...copy, last_error: null }, before);
    });
  }

  test('is not looked for elsewhere when it redirects', async () => {
    let visits = 0;
    const elsewhere = createServer((_, response) => {
      visits += 1;
      response.end('{"data":[{"id":"of-another"}]}');
    });
    await once(elsewhere.listen(0, '127.0.0.1'), 'listening');
    try {
      const location = `http://127.0.0.1:${elsewhere.address().port}/`;
      pool.sim.fault({ kind: 'status', status: 302, body: '', headers: { location }, ...PUBLIC });
      const copy = await refresh();
      assert.match(copy.last_error, /HTTP 302/);
      assert.ok(!copy.models.some((model) => model.id === 'of-another'));
      assert.equal(visits, 0);
    } finally {
      elsewhere.close();
    }
  });

  test('is stale when it is old and cannot be fetched, and pages do not wait for it again and again', async () => {
    pool.sim.fault({ kind: 'status', status: 500, body: {}, ...PUBLIC });
    await refresh();
    const before = pool.sim.publicRecords.length;
    await age(pool.rondo, 6 * HOUR);
    const copy = await get();
    assert.deepEqual([copy.stale, copy.models.length], [true, 3]);
    assert.match(copy.last_error, /HTTP 500/);
    assert.equal(pool.sim.publicRecords.length, before);
    pool.sim.clearFaults();
    const whole = await refresh();
    assert.deepEqual([whole.stale, whole.last_error], [false, null]);
  });

  test('leaves a line in the audit log for each refresh by hand, and no secret anywhere', async () => {
    const { items } = await pool.admin('GET', '/api/audit?per_page=200');
    const lines = items.filter((item) => item.action === 'catalog.refresh').map((item) => item.detail);
    assert.ok(lines.includes('3 models') && lines.includes('failed: the list answered HTTP 503'), lines.join('\n'));
    const said = JSON.stringify([items, await get(), await pool.admin('GET', '/api/models')]);
    assert.ok(![...pool.names, 'csk-secret'].some((secret) => said.includes(secret)));
  });
});

describe('the watch', () => {
  let pool;
  before(async () => {
    pool = await startPool({ keys: 3, settings: { flush_interval_ms: 1_000 } });
  });
  after(() => pool?.stop());
  const chat = async () => assert.equal((await (await pool.chat()).json()).object, 'chat.completion');
  /** A client request, and the alarm after it. */
  const use = async () => {
    const before = await flushed(pool.rondo);
    await chat();
    await until(async () => (await flushed(pool.rondo)) > before, 10_000, 'a flush');
  };

  test('does nothing while nobody uses Rondo, and a list that does not answer delays no flush', async () => {
    await until(async () => (await (await pool.rondo.kv()).list()).keys.length > 0, 10_000, 'an alarm');
    assert.equal(pool.sim.publicRecords.length, 0);
    const held = pool.sim.fault({ kind: 'never', ...PUBLIC });
    await chat();
    const asked = await pool.sim.waitFor((record) => record.bodyAt !== undefined, { open: true });
    await use();
    assert.equal(asked.endedAt, undefined, 'the list is still waited for');
    await pool.rondo.waitForLog('catalog_refresh_failed', 15_000);
    held.remove();
  });

  test('waits after a failure, however often the alarm comes', async () => {
    await use();
    await use();
    assert.equal(pool.sim.publicRecords.length, 1);
  });

  test('fetches the list when the copy is old and something is used, once', async () => {
    // A new incarnation forgets its wait.
    await pool.rondo.restart();
    await use();
    await until(async () => (await number(pool.rondo, 'SELECT MAX(fetched_at) FROM catalog')) > 0, 10_000, 'a copy');
    await use();
    assert.equal(pool.sim.publicRecords.length, 2);
    await age(pool.rondo, 6 * HOUR);
    await use();
    await until(() => pool.sim.publicRecords.length === 3, 10_000, 'another fetch');
    const known = await pool.admin('GET', '/api/models/catalog');
    assert.deepEqual([known.stale, known.last_error], [false, null]);
    assert.equal(pool.sim.publicRecords.length, 3);
  });
});

describe('a retired model', () => {
  let pool;
  before(async () => {
    pool = await startPool({ keys: 4, settings: { flush_interval_ms: 1_000 } });
    await pool.admin('PUT', '/api/models/default', { strategy: 'order', members: [MODEL, OTHER] });
    await pool.admin('POST', '/api/models/catalog/refresh');
  });
  after(() => pool?.stop());
  const member = async () => (await pool.admin('GET', '/api/models')).pools[0].members[0];
  const served = async () => {
    const response = await pool.chat({ model: undefined });
    assert.equal(response.status, 200, await response.clone().text());
    await response.arrayBuffer();
    return response.headers.get('x-rondo-model');
  };
  const refresh = () => pool.admin('POST', '/api/models/catalog/refresh');
  const sent = () => pool.sim.records.filter((record) => record.model === MODEL).length;
  const state = (word) => until(async () => (await member()).state === word && member(), 10_000, word);

  test('leaves the pool when one group was told so and the list does not have it', async () => {
    assert.equal(await served(), MODEL);
    assert.deepEqual(await member(), { model: MODEL, provider: 'cerebras', weight: 1, enabled: true, state: 'active', reason: null, until: null });
    pool.sim.retire(MODEL, 'model_archived');
    assert.equal(await served(), OTHER, 'the client notices nothing');
    const doubtful = await state('doubtful');
    assert.match(doubtful.reason, /1 quota group/);
    await refresh();
    const retired = await member();
    assert.equal(retired.state, 'retired');
    assert.match(retired.reason, /list does not have it/);
    assert.ok(Date.parse(retired.until) > Date.now() + 5 * HOUR);
    const before = sent();
    for (let n = 0; n < 4; n += 1) assert.equal(await served(), OTHER);
    assert.equal(sent(), before, 'nobody asks for it any more');
  });

  test('stays away over a restart, and comes back when the list has it again', async () => {
    await pool.rondo.restart();
    const before = sent();
    assert.equal(await served(), OTHER);
    assert.equal(sent(), before);
    pool.sim.unretire(MODEL);
    await refresh();
    assert.equal((await member()).state, 'active');
    assert.equal(await served(), MODEL);
  });

  test('that the list still has is left to other groups', async () => {
    pool.sim.retire(MODEL, 'model_not_found', { listed: true });
    assert.equal(await served(), OTHER);
    await state('doubtful');
    await refresh();
    assert.equal((await member()).state, 'active', 'the list is newer than the report');
    pool.sim.unretire(MODEL);
    assert.equal(await served(), MODEL);
  });

  test('is found by the watch alone, before the copy is six hours old', async () => {
    await age(pool.rondo, 20 * 60_000);
    pool.sim.retire(MODEL);
    assert.equal(await served(), OTHER);
    await state('retired');
    pool.sim.unretire(MODEL);
    await refresh();
    assert.equal((await member()).state, 'active');
  });

  test('that nobody asked for is doubtful by the list alone, and still tried', async () => {
    pool.sim.retire(MODEL);
    await refresh();
    const doubtful = await member();
    assert.equal(doubtful.state, 'doubtful');
    assert.match(doubtful.reason, /list does not have it/);
    pool.sim.unretire(MODEL);
    assert.equal(await served(), MODEL, 'a dedicated model is in no public list');
  });
});

describe('a test of a model', () => {
  let pool;
  before(async () => {
    pool = await startPool({ keys: 2 });
  });
  after(() => pool?.stop());
  beforeEach(() => pool.sim.clearFaults());
  const tried = (body, expect) => pool.admin('POST', '/api/models/test', body, { expect });

  test('is one tiny request with an active key, which is shown masked', async () => {
    const result = await tried({ model: OTHER, provider: 'cerebras' });
    assert.deepEqual([result.outcome, result.http_status, result.detail, result.status], ['ok', 200, '', 'active']);
    assert.ok(Number.isInteger(result.latency_ms));
    assert.equal(pool.sim.records.length, 1);
    const [record] = pool.sim.records;
    assert.deepEqual([record.model, record.bodyBytes < 200], [OTHER, true]);
    assert.ok(!JSON.stringify(result).includes(record.key));
    assert.ok(result.masked.endsWith(record.key.slice(-4)));
    const { items } = await pool.admin('GET', '/api/keys');
    assert.equal(items.find((item) => item.id === result.key_id).masked, result.masked);
    const { items: lines } = await pool.admin('GET', '/api/audit');
    assert.equal(lines[0].action, 'model.test');
    assert.match(lines[0].detail, /^qwen-3\.8-27b ok, with k_/);
  });

  test('tells a model that is gone, without a word on the key', async () => {
    const result = await tried({ model: 'zai-glm-4.7' });
    assert.deepEqual([result.outcome, result.http_status, result.status], ['model_missing', 404, 'active']);
  });

  for (const [fault, outcome] of [
    [{ kind: 'status', status: 429, body: { message: 'Busy', param: 'queue', code: 'queue_exceeded' } }, 'busy'],
    [{ kind: 'status', status: 400, body: { message: 'bad', code: 'wrong_api_format' } }, 'refused'],
    [{ kind: 'reset-before-headers' }, 'unreachable'],
  ]) {
    test(`that meets ${fault.body?.code ?? fault.kind} is ${outcome}`, async () => {
      pool.sim.fault(fault);
      const result = await tried({ model: MODEL });
      assert.deepEqual([result.outcome, result.http_status], [outcome, fault.status ?? null]);
    });
  }

  test('takes another key once one is refused, and says so when none is left', async () => {
    const used = [];
    for (const expected of ['invalid', 'invalid']) {
      const from = pool.sim.records.length;
      for (const name of pool.names) pool.sim.revoke(name);
      assert.equal((await tried({ model: MODEL })).outcome, expected);
      used.push(pool.sim.records[from].key);
      const invalid = used.length;
      await until(async () => (await pool.admin('GET', '/api/keys?status=invalid')).total === invalid, 10_000, 'a known state');
    }
    assert.deepEqual(used.sort(), [...pool.names].sort());
    const none = await tried({ model: MODEL }, [409]);
    assert.match(none.detail, /no usable key/);
  });

  test('needs a model and a provider that there is', async () => {
    for (const [body, field] of [[{}, 'model'], [{ model: 'a b' }, 'model'], [{ model: 7 }, 'model'], [{ model: 'm', provider: 'acme' }, 'provider'], [{ model: 'm', key: 'k' }, 'key']]) {
      assert.equal((await tried(body, [400])).field, field, JSON.stringify(body));
    }
  });
});
