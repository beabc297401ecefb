// Key tests from the admin API of the built Worker, against the Cerebras simulator.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import { startWorker } from '../harness/worker.mjs';
import { createSimulator } from '../upstream/simulator.mjs';
import { assertProblem, caller, keyNumber, logIn } from './admin-client.mjs';

const KEYS = [1, 2, 3, 4].map(keyNumber);
let sim;
let rondo;
let api;
before(async () => {
  sim = await createSimulator({ keys: KEYS, recordBodies: true });
  rondo = await startWorker({ bindings: { CEREBRAS_BASE_URL: `${sim.url}/v1` } });
  api = await logIn(rondo);
});
after(async () => {
  await rondo?.stop();
  await sim?.close();
});
beforeEach(() => {
  sim.clearFaults();
  sim.resetRecords();
});

const add = async (key, more = {}) => (await api('POST', '/api/keys', { key, ...more })).body.id;
const state = async (id) => (await api('GET', `/api/keys?q=${id}`)).body.items[0];

describe('one key', () => {
  let id;
  before(async () => {
    id = await add(KEYS[0]);
  });

  test('that works is ok, by one tiny request', async () => {
    const { status, body, text } = await api('POST', `/api/keys/${id}/test`);
    assert.equal(status, 200, text);
    assert.deepEqual([body.outcome, body.http_status, body.status], ['ok', 200, 'active']);
    assert.equal(typeof body.latency_ms, 'number');
    assert.equal(sim.records.length, 1);
    const [record] = sim.records;
    assert.equal(record.key, KEYS[0]);
    assert.ok(record.bodyBytes < 200, `${record.bodyBytes} bytes`);
    assert.equal(JSON.parse(record.body).max_completion_tokens, 1);
  });

  for (const [fault, outcome, shown] of [
    [{ kind: 'status', status: 429, error: 'token-quota', retryAfter: 30 }, 'limited', 'cooling'],
    [{ kind: 'status', status: 429, body: { message: 'Busy', type: 'too_many_requests_error', param: 'queue', code: 'queue_exceeded' } }, 'busy', 'active'],
    [{ kind: 'status', status: 429, body: { message: 'Wrong API Key', code: 'wrong_api_key' } }, 'limited', undefined],
    [{ kind: 'status', status: 403, body: 'error code: 1010' }, 'refused', 'active'],
    [{ kind: 'status', status: 400, body: { message: 'bad', code: 'wrong_api_format' } }, 'refused', 'active'],
    [{ kind: 'status', status: 302, body: '', headers: { location: 'https://example.com/' } }, 'refused', 'active'],
    [{ kind: 'status', status: 404, body: { message: 'Model x does not exist', param: 'model', code: 'model_not_found' } }, 'model_missing', 'active'],
    [{ kind: 'status', status: 500, body: { message: 'oops' } }, 'unreachable', undefined],
    [{ kind: 'reset-before-headers' }, 'unreachable', undefined],
  ]) {
    test(`${fault.kind} ${fault.status ?? ''} ${fault.body?.code ?? fault.error ?? ''} is ${outcome}`, async () => {
      const fresh = keyNumber(1000 + sim.records.length + Math.floor(performance.now()));
      sim.addKey(fresh);
      const key = await add(fresh);
      // Names of prepared errors differ; a body says the same.
      const { error, ...spec } = fault;
      if (error) spec.body = { message: 'Tokens per minute limit exceeded', type: 'too_many_tokens_error', param: 'quota', code: 'token_quota_exceeded' };
      sim.fault({ key: fresh, ...spec });
      const { body, text } = await api('POST', `/api/keys/${key}/test`);
      assert.equal(body.outcome, outcome, text);
      assert.equal(body.http_status, fault.status ?? null);
      assert.ok(!text.includes(fresh));
      const row = await state(key);
      assert.notEqual(row.status, 'invalid', 'only a refused key is invalid');
      if (shown) assert.equal(row.status, shown, JSON.stringify(row));
    });
  }

  test('that is refused becomes invalid, and active again when a later test passes', async () => {
    sim.revoke(KEYS[0]);
    const refused = await api('POST', `/api/keys/${id}/test`);
    assert.deepEqual([refused.body.outcome, refused.body.http_status, refused.body.status], ['invalid', 401, 'invalid']);
    assert.equal((await state(id)).status, 'invalid');
    assert.ok(Date.parse((await state(id)).until) > Date.now(), 'it is tested again by itself');
    sim.restore(KEYS[0]);
    assert.equal((await api('POST', `/api/keys/${id}/test`)).body.status, 'active');
    assert.equal((await state(id)).status, 'active');
  });

  test('of an account without payment is suspended', async () => {
    const key = await add(KEYS[1]);
    sim.fault({ kind: 'status', key: KEYS[1], status: 402, body: { message: 'Payment required', code: 'payment_required' }, times: 1 });
    const { body } = await api('POST', `/api/keys/${key}/test`);
    assert.deepEqual([body.outcome, body.status], ['suspended', 'suspended']);
  });

  test('is not shown when the upstream quotes it, whatever it looks like', async () => {
    const odd = 'an-odd-key-without-the-usual-prefix';
    sim.addKey(odd);
    const key = await add(odd);
    sim.fault({ kind: 'status', key: odd, status: 401, body: { message: `Key ${odd} is wrong`, code: 'wrong_api_key' } });
    const { text, body } = await api('POST', `/api/keys/${key}/test`);
    assert.equal(body.outcome, 'invalid');
    assert.ok(!text.includes(odd), text);
  });

  test('uses its own base_url', async () => {
    const other = await createSimulator({ keys: [KEYS[2]] });
    try {
      const key = await add(KEYS[2], { base_url: other.url });
      assert.equal((await api('POST', `/api/keys/${key}/test`)).body.outcome, 'ok');
      assert.equal(other.records.length, 1);
      assert.equal(sim.records.length, 0);
    } finally {
      await other.close();
    }
  });

  test('with an upstream that is not there is unreachable, without a status', async () => {
    const gone = createServer();
    await new Promise((resolve) => gone.listen(0, '127.0.0.1', resolve));
    const { port } = gone.address();
    await new Promise((resolve) => gone.close(resolve));
    const key = await add(keyNumber(77), { base_url: `http://127.0.0.1:${port}` });
    const { body } = await api('POST', `/api/keys/${key}/test`);
    assert.deepEqual([body.outcome, body.http_status], ['unreachable', null]);
  });

  test('that is unknown is 404', async () => {
    assertProblem(await api('POST', '/api/keys/k_unknown/test'), 404);
  });
});

describe('many keys', () => {
  const events = (text) => text.trim().split('\n\n').map((frame) => {
    const [event, data] = frame.split('\n');
    return { event: event.replace('event: ', ''), data: JSON.parse(data.replace('data: ', '')) };
  });

  test('are told one by one as they come, then summed up', async () => {
    const ids = [await add(KEYS[3]), await add(keyNumber(500)), await add(keyNumber(501))];
    sim.fault({ kind: 'delay-headers', key: keyNumber(501), ms: 300 });
    const answer = await api('POST', '/api/keys/test', { ids });
    assert.equal(answer.status, 200, answer.text);
    assert.match(answer.headers.get('content-type'), /^text\/event-stream/);
    const told = events(answer.text);
    assert.deepEqual(told.map((event) => event.event), ['result', 'result', 'result', 'summary']);
    const outcomes = Object.fromEntries(told.slice(0, 3).map((event) => [event.data.id, event.data.outcome]));
    assert.deepEqual(outcomes, { [ids[0]]: 'ok', [ids[1]]: 'invalid', [ids[2]]: 'invalid' });
    assert.deepEqual(told[3].data, { tested: 3, not_tested: 0, outcomes: { ok: 1, invalid: 2 } });
    for (const n of [500, 501]) assert.ok(!answer.text.includes(keyNumber(n)));
  });

  test('the first result comes before the last key has answered', async () => {
    const slow = keyNumber(601);
    sim.addKey(slow);
    const ids = [await add(keyNumber(600)), await add(slow)];
    const held = sim.fault({ kind: 'delay-headers', key: slow, ms: 3_000 });
    assert.ok(held);
    const response = await rondo.fetch('/api/keys/test', {
      method: 'POST', body: JSON.stringify({ ids }), headers: { authorization: `Bearer ${api.token}`, 'content-type': 'application/json' },
    });
    const reader = response.body.getReader();
    const started = Date.now();
    const first = new TextDecoder().decode((await reader.read()).value);
    assert.match(first, new RegExp(ids[0]));
    assert.ok(Date.now() - started < 2_500, 'the slow key is still under way');
    await reader.cancel();
  });

  test('without ids are all of them', async () => {
    const total = (await api('GET', '/api/keys')).body.total;
    const answer = await api('POST', '/api/keys/test');
    const told = events(answer.text);
    assert.equal(told.length, total + 1);
    assert.equal(told.at(-1).data.tested, total);
  });

  test('errors are problems, not streams', async () => {
    assertProblem(await api('POST', '/api/keys/test', { ids: [] }), 400, 'ids');
    assertProblem(await api('POST', '/api/keys/test', { ids: ['k_unknown'] }), 404);
    assertProblem(await caller(rondo)('POST', '/api/keys/test', {}), 401);
  });
});
