// What fails before the gate is Rondo's to hide.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { MODEL, TOKEN, errorOf, keys, start, until } from './proxy.mjs';

describe('a failure before the gate', () => {
  const pool = keys(3);
  let running;
  let sim;
  before(async () => {
    const timeouts = { silence_ms: 1000, first_event_ms: 500, headers_ms: 500, headers_whole_ms: 500 };
    running = await start({ pool, settings: { timeouts } });
    ({ sim } = running);
  });
  after(() => running?.stop());
  afterEach(() => sim.clearFaults());

  const hidden = [
    ['408', { kind: 'status', status: 408 }],
    ['500', { kind: 'status', status: 500 }],
    ['503 with a page', { kind: 'status', status: 503, body: '<html><title>down</title></html>' }],
    ['a redirect', { kind: 'status', status: 302, headers: { location: 'http://127.0.0.1:1/' } }],
    ['a connection lost before the headers', { kind: 'reset-before-headers' }],
    ['a connection lost after the headers', { kind: 'reset-after-headers' }],
    ['no answer in time', { kind: 'never' }],
    ['garbage', { kind: 'garbage' }],
  ];
  const whole = [
    ['a whole answer cut in its middle', { kind: 'reset-mid-stream' }],
    ['a whole answer that stops in its middle', { kind: 'stall' }],
  ];
  const streamed = [
    ['an error as the first event', { kind: 'error-event', afterChunks: 0 }],
    ['no first event in time', { kind: 'delay-first-chunk', ms: 3000 }],
  ];
  for (const stream of [false, true]) {
    for (const [what, fault] of [...hidden, ...(stream ? streamed : whole)]) {
      test(`(${what}) is hidden from a client that wants ${stream ? 'a stream' : 'the whole'}: same body, another key`, async () => {
        const set = sim.fault({ ...fault, times: 1 });
        const from = sim.records.length;
        const response = await running.ask({ stream });
        const text = await response.text();
        assert.equal(response.status, 200, text);
        assert.equal(set.hits, 1);
        assert.equal(response.headers.get('x-rondo-attempts'), '2');
        const [first, second] = sim.records.slice(from);
        assert.notEqual(first.key, second.key);
        assert.deepEqual(Buffer.from(second.body), Buffer.from(first.body));
      });
    }
  }

  test('a whole answer may take as long after its head as the head may', async () => {
    const from = sim.records.length;
    sim.fault({ kind: 'delay-headers', ms: 350, times: 1 });
    sim.fault({ kind: 'stall', times: 1 });
    const response = await running.ask();
    assert.equal(response.status, 200, await response.text());
    assert.equal(response.headers.get('x-rondo-attempts'), '2');
    const [first, second] = sim.records.slice(from);
    const took = second.at - first.at;
    assert.ok(took >= 830 && took < 1_500, `the second attempt came ${took} ms after the first`);
  });

  test('comments before the first event do not open the gate', async () => {
    sim.fault({ kind: 'comments-first', count: 3, times: 1 });
    sim.fault({ kind: 'error-event', afterChunks: 0, times: 1 });
    const response = await running.ask({ stream: true });
    assert.match(await response.text(), /\[DONE\]\n\n$/);
    assert.equal(response.headers.get('x-rondo-attempts'), '2');
  });

  test('that is the client’s own is told in the upstream’s words at once', async () => {
    const response = await running.ask({ temperature: 9 });
    assert.equal(response.status, 400);
    const error = errorOf(await response.json());
    assert.equal(error.code, 'wrong_api_format');
    assert.equal(response.headers.get('x-rondo-attempts'), '1');
  });

  test('on every key ends in the upstream’s status, in the form that all clients read', async () => {
    const set = sim.fault({ kind: 'status', status: 500 });
    const response = await running.ask();
    assert.equal(response.status, 500);
    errorOf(await response.json());
    assert.ok(set.hits >= 3, `${set.hits} attempts`);
    sim.clearFaults();
  });
});

describe('a pool', () => {
  test('of three keys shares 300 requests, 30 at a time, 100 each', async (t) => {
    const running = await start({ pool: keys(3) });
    t.after(() => running.stop());
    await many(running, 300, 30);
    const counts = Object.values(running.sim.counts()).map((count) => count.requests);
    assert.deepEqual(counts, [100, 100, 100]);
  });

  test('with one key revoked upstream serves all, and the key is invalid after its first failure', async (t) => {
    const pool = keys(3);
    const running = await start({ pool });
    t.after(() => running.stop());
    running.sim.revoke(pool[0]);
    await many(running, 300, 30);
    assert.ok(running.sim.counts()[pool[0]].requests <= 30, 'no more than was in flight');
    const { items } = await running.admin('GET', '/api/keys');
    assert.deepEqual(items.map((key) => key.status).sort(), ['active', 'active', 'invalid']);
  });

  test('lets a key that says Retry-After: 2 rest for 2 s, and no client sees it', async (t) => {
    const pool = keys(3);
    const running = await start({ pool });
    t.after(() => running.stop());
    const fault = { kind: 'status', error: 'request_quota_exceeded', key: pool[0], times: 1, retryAfter: 2 };
    running.sim.fault(fault);
    await many(running, 60, 6);
    const of = () => running.sim.records.filter((record) => record.key === pool[0]);
    const refused = of().find((record) => record.status === 429);
    await until(async () => { await many(running, 3, 3); return of().at(-1).receivedAt - refused.endedAt > 1000; }, 5000, 'the key back in use');
    // What was already on its way when the 429 came is not what rest means.
    const later = of().filter((record) => record.receivedAt - refused.endedAt > 100);
    const rest = later[0].receivedAt - refused.endedAt;
    // A busy isolate holds grants of other keys for the next second or two.
    assert.ok(rest >= 1900 && rest < 4500, `rested ${rest} ms`);
  });

  test('of 30 keys of which one works answers the first request', async (t) => {
    const pool = keys(30);
    const running = await start({ pool, simulator: { keys: [pool[17]] } });
    t.after(() => running.stop());
    const response = await running.ask();
    assert.equal(response.status, 200, await response.text());
  });

  test('without any usable key says 503 and what to do', async (t) => {
    const running = await start({ pool: keys(2), simulator: { keys: [] } });
    t.after(() => running.stop());
    for (let n = 0; n < 2; n += 1) {
      const response = await running.ask();
      assert.equal(response.status, 503);
      const error = errorOf(await response.json());
      assert.match(error.message, /Add a key on the admin page/);
      assert.match(response.headers.get('retry-after'), /^\d+$/);
    }
  });

  test('that is used up until after the deadline says 429 with a true Retry-After', async (t) => {
    const running = await start({ pool: keys(1), settings: { max_wait_ms: 500 } });
    t.after(() => running.stop());
    running.sim.fault({ kind: 'status', error: 'request_quota_exceeded', retryAfter: 30 });
    const response = await running.ask();
    assert.equal(response.status, 429);
    const error = errorOf(await response.json());
    assert.equal(error.type, 'rate_limit_error');
    const ms = Number(response.headers.get('retry-after-ms'));
    assert.ok(ms > 28_000 && ms <= 30_000, `${ms}`);
    assert.equal(response.headers.get('retry-after'), String(Math.ceil(ms / 1000)));
  });

  test('of one key tries it again when the upstream failed once', async (t) => {
    const running = await start({ pool: keys(1) });
    t.after(() => running.stop());
    running.sim.fault({ kind: 'status', status: 500, times: 1 });
    const response = await running.ask();
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('x-rondo-attempts'), '2');
    await response.text();
  });

  test('waits for a key that rests when the deadline allows it', async (t) => {
    const running = await start({ pool: keys(1) });
    t.after(() => running.stop());
    running.sim.fault({ kind: 'status', error: 'request_quota_exceeded', retryAfter: 3, times: 1 });
    const response = await running.ask();
    assert.equal(response.status, 200);
    await response.text();
    assert.ok(Number(response.headers.get('x-rondo-wait-ms')) >= 2_900);
    assert.equal(response.headers.get('x-rondo-attempts'), '2');
  });

  test('moves to the next model when one is gone, and splices its name into the body', async (t) => {
    const other = 'qwen-3.8-27b';
    const running = await start({ pool: keys(2) });
    t.after(() => running.stop());
    const member = (model) => ({ model, provider: 'cerebras', weight: 1, enabled: true });
    await running.admin('PUT', '/api/models/default', { strategy: 'order', members: [member(MODEL), member(other)] });
    running.sim.retire(MODEL);
    const response = await running.ask({ model: undefined, seed: 7 });
    assert.equal(response.status, 200, await response.clone().text());
    assert.equal((await response.json()).model, other);
    assert.equal(response.headers.get('x-rondo-model'), other);
    const sent = JSON.parse(Buffer.from(running.sim.records.at(-1).body));
    assert.equal(sent.model, other);
    assert.equal(sent.seed, 7);
    assert.equal((await fetch(`${running.rondo.url}/v1/models/${other}`, { headers: { authorization: `Bearer ${TOKEN}` } })).status, 200);
  });
});

async function many(running, count, atOnce) {
  let left = count;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      const response = await running.ask({ prompt: 'Say. [[tokens=3]]' });
      const text = await response.text();
      assert.equal(response.status, 200, text);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
