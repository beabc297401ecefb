// The pool behaves like one big key: rotation and failover on the built Worker.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { inParallel, keyName, startPool, TOKEN } from '../harness/rondo.mjs';

const answered = async (response) => {
  const text = await response.text();
  return { status: response.status, text, attempts: Number(response.headers.get('x-rondo-attempts')) };
};
const statuses = (results) => {
  const counts = new Map();
  for (const { status } of results) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${status}×${count}`).join(' ');
};
const requestsOf = (sim, names) => names.map((name) => sim.counts()[name]?.requests ?? 0);

describe('three keys', async () => {
  const pool = await startPool({ keys: 3 });
  after(() => pool.stop());
  const { sim, names, chat } = pool;

  test('300 requests, 30 at a time, are 100 for each key', async () => {
    const results = await inParallel(300, 30, async () => answered(await chat()));
    assert.equal(statuses(results), '200×300');
    assert.deepEqual(requestsOf(sim, names), [100, 100, 100]);
  });

  test('a limited key rests exactly as long as it says, and no client sees the 429', async () => {
    sim.resetRecords();
    sim.fault({ kind: 'status', status: 429, error: 'request_quota_exceeded', key: names[0], times: 1, retryAfter: 2 });
    // Until the two seconds are over, then on until the key is used again.
    let until = Infinity;
    const results = [];
    while (performance.now() < until) {
      results.push(await answered(await chat()));
      const limited = sim.records.find((record) => record.status === 429);
      // A busy isolate holds grants for the next second or so: those of others are spent first.
      if (until === Infinity && limited) until = limited.endedAt + 4_000;
      if (until !== Infinity && sim.records.some((record) => record.key === names[0] && record.receivedAt > limited.endedAt)) break;
      assert.ok(results.length < 5_000);
    }
    assert.equal(statuses(results), `200×${results.length}`);
    const uses = sim.records.filter((record) => record.key === names[0]);
    const limited = uses.findIndex((record) => record.status === 429);
    const rest = uses[limited + 1].receivedAt - uses[limited].endedAt;
    assert.ok(rest >= 1_990 && rest < 3_600, `the key rested ${rest} ms`);
  });

  test('a key revoked upstream is invalid after its first failure and gets nothing more', async () => {
    sim.resetRecords();
    sim.revoke(names[1]);
    const results = await inParallel(300, 30, async () => answered(await chat()));
    assert.equal(statuses(results), '200×300');
    const refused = sim.records.filter((record) => record.key === names[1]);
    assert.ok(refused.length >= 1 && refused.length <= 30, `${refused.length} requests were in flight`);
    const first = Math.min(...refused.map((record) => record.endedAt));
    const late = refused.filter((record) => record.receivedAt > first + 250);
    assert.equal(late.length, 0, 'nothing is sent with it after its failure was reported');
    assert.equal((await pool.keys()).get(names[1]).status, 'invalid');
    sim.resetRecords();
    await inParallel(60, 10, async () => answered(await chat()));
    assert.deepEqual(requestsOf(sim, names), [30, 0, 30]);
  });
});

test('thirty keys of which one works give an answer', async () => {
  const pool = await startPool({ keys: 30 });
  try {
    pool.names.slice(0, 29).forEach((name) => pool.sim.revoke(name));
    const result = await answered(await pool.chat());
    assert.equal(result.status, 200);
    const uses = requestsOf(pool.sim, pool.names);
    assert.ok(uses.every((count) => count <= 1), 'no key is tried twice');
    assert.equal(result.attempts, uses.reduce((sum, count) => sum + count, 0));
    const next = await answered(await pool.chat());
    assert.deepEqual([next.status, next.attempts], [200, 1], 'what one request learned the pool keeps');
  } finally {
    await pool.stop();
  }
});

test('the first request learns its quota from the head of an answer, and the next does not wait for the body', async () => {
  const pool = await startPool({ keys: 1 });
  try {
    const late = 2_000;
    pool.sim.fault({ kind: 'delay-first-chunk', ms: late, times: 1 });
    const first = pool.chat().then(answered);
    await pool.sim.waitFor(() => true);
    const second = await answered(await pool.chat());
    assert.equal(second.status, 200);
    const [learning, next] = pool.sim.records;
    assert.ok(next.at - learning.at < late / 2, `it was sent ${next.at - learning.at} ms after the first`);
    assert.equal((await first).status, 200);
  } finally {
    await pool.stop();
  }
});

test('a server error, a timeout and a lost connection before the first byte move on to the next key', async () => {
  const pool = await startPool({ keys: 4, settings: { timeouts: { headers_ms: 400, headers_whole_ms: 400 } } });
  try {
    pool.sim.fault({ kind: 'status', status: 500, key: pool.names[0] });
    pool.sim.fault({ kind: 'never', key: pool.names[1] });
    pool.sim.fault({ kind: 'reset-before-headers', key: pool.names[2] });
    for (const stream of [false, true]) {
      const results = await inParallel(8, 2, async () => answered(await pool.chat({ stream })));
      assert.equal(statuses(results), '200×8');
    }
    assert.ok(requestsOf(pool.sim, pool.names).every((count) => count > 0), 'each fault was met');
  } finally {
    await pool.stop();
  }
});

test('a model that is gone is replaced by the next of the pool, and leaves it once confirmed', async () => {
  const pool = await startPool({ keys: 3 });
  try {
    await pool.admin('PUT', '/api/models/default', {
      strategy: 'rotate',
      members: ['gpt-oss-120b', 'qwen-3.8-27b'].map((model) => ({ model })),
    });
    pool.sim.retire('gpt-oss-120b');
    const first = await inParallel(10, 1, async () => {
      const response = await pool.chat({ model: 'anything' });
      await response.text();
      return { status: response.status, model: response.headers.get('x-rondo-model'), attempts: Number(response.headers.get('x-rondo-attempts')) };
    });
    assert.equal(statuses(first), '200×10');
    assert.ok(first.every((result) => result.model === 'qwen-3.8-27b'));
    const asked = pool.sim.records.filter((record) => record.status === 404);
    assert.equal(new Set(asked.map((record) => record.key)).size, 2, 'two groups confirm it');
    assert.ok(asked.length <= 3 && first.at(-1).attempts === 1);
  } finally {
    await pool.stop();
  }
});

test('when all keys are limited beyond the deadline the 429 says when, and that is true', async () => {
  const pool = await startPool({ keys: 1, settings: { max_wait_ms: 300 } });
  try {
    pool.sim.fault({ kind: 'status', status: 429, error: 'token_quota_exceeded', times: 1, retryAfter: 1 });
    const response = await pool.chat();
    assert.equal(response.status, 429);
    const body = await response.json();
    assert.equal(body.error.message, body.message);
    const wait = Number(response.headers.get('retry-after-ms'));
    assert.ok(wait > 500 && wait <= 1_000, `retry-after-ms ${wait}`);
    assert.equal(response.headers.get('retry-after'), '1');
    // Obeying the header is the point: this waits as a client would.
    await new Promise((resolve) => setTimeout(resolve, wait));
    assert.equal((await answered(await pool.chat())).status, 200);
  } finally {
    await pool.stop();
  }
});

test('a client waits out a short limit instead of seeing it', async () => {
  const pool = await startPool({ keys: 1 });
  try {
    pool.sim.fault({ kind: 'status', status: 429, error: 'request_quota_exceeded', times: 1, retryAfter: 1 });
    const response = await pool.chat();
    assert.equal(response.status, 200);
    const waited = Number(response.headers.get('x-rondo-wait-ms'));
    assert.ok(waited >= 800 && waited < 1_500, `waited ${waited} ms`);
    await response.text();
  } finally {
    await pool.stop();
  }
});

test('two isolates share one rotation; a new token works on both at once and a revoked one on neither', async () => {
  const pool = await startPool({ keys: 4, worker: { edges: 1 } });
  try {
    const [edge] = pool.rondo.edges;
    const bases = [pool.rondo.url, edge];
    for (const base of bases) assert.equal((await answered(await pool.chat({}, { base }))).status, 200);
    pool.sim.resetRecords();
    const results = await inParallel(200, 10, async (n) => answered(await pool.chat({}, { base: bases[n % 2] })));
    assert.equal(statuses(results), '200×200');
    // Each isolate holds some grants ahead; what it does not spend goes back.
    for (const used of requestsOf(pool.sim, pool.names)) assert.ok(Math.abs(used - 50) <= 3, `${used} of 200`);

    const { id, token } = await pool.admin('POST', '/api/tokens', { name: 'new' });
    for (const base of bases) assert.equal((await answered(await pool.chat({}, { base, token }))).status, 200);
    await pool.admin('DELETE', `/api/tokens/${id}`);
    const revoked = performance.now();
    for (const base of bases) {
      let status;
      do {
        status = (await answered(await pool.chat({}, { base, token }))).status;
      } while (status === 200 && performance.now() - revoked < 5_000);
      assert.equal(status, 401, 'revoked within 5 s');
    }
    assert.equal((await answered(await pool.chat({}, { base: edge, token: TOKEN }))).status, 200);
  } finally {
    await pool.stop();
  }
});

test('without an active key the answer says what to do', async () => {
  const pool = await startPool({ keys: 1 });
  try {
    const [item] = (await pool.admin('GET', '/api/keys')).items;
    await pool.admin('PATCH', `/api/keys/${item.id}`, { enabled: false });
    const response = await pool.chat();
    assert.equal(response.status, 503);
    assert.match((await response.json()).error.message, /key/i);
    assert.equal(pool.sim.records.length, 0);
    assert.ok(keyName(0).startsWith('csk-'));
  } finally {
    await pool.stop();
  }
});
