// The Coordinator killed again and again under load: what was acknowledged stays, who rests goes on resting, requests
// under way end well, and the books are those of the upstream.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventsOf, inParallel, startPool } from '../harness/rondo.mjs';
import { until } from './proxy.mjs';

// The built object, which can be killed at once with all its memory.
const entry = `
  import worker, { Coordinator as Real } from './index.js';
  import { DurableObject } from 'cloudflare:workers';
  export * from './index.js';
  export default worker;
  let born = 0;
  export class Coordinator extends DurableObject {
    constructor(state, env) { super(state, env); born += 1; this.real = new Real(state, env); }
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === '/test/kill') this.ctx.abort('killed by the test');
      if (pathname === '/test/born') return new Response(String(born));
      return this.real.fetch(request);
    }
    alarm() { return this.real.alarm(); }
  }`;

const KILLS = 4;
/** What was under way or in hand when a key's refusal was reported may still be sent. */
const UNDER_WAY_MS = 400;

async function born(pool) {
  return Number(await (await pool.rondo.coordinator('/test/born')).text());
}

/** Kills the object and waits until another one answers. */
async function kill(pool) {
  const before = await born(pool);
  await pool.rondo.coordinator('/test/kill', { method: 'POST' }).catch(() => {});
  await until(async () => (await born(pool).catch(() => 0)) > before, 5_000, 'a new object');
}

/** Every key's attempts and tokens, and the requests in total, are those that the upstream and the clients saw. */
async function assertBooks(pool, requests) {
  const total = async () => (await pool.admin('GET', '/api/stats')).totals.requests;
  await until(async () => (await total()) >= requests, 20_000, `${requests} requests on the books`);
  const read = async () => {
    const keys = await pool.keys();
    return pool.names.map((name) => [keys.get(name).requests, keys.get(name).prompt_tokens, keys.get(name).completion_tokens]);
  };
  const counts = pool.sim.counts();
  const truth = pool.names.map((name) => {
    const own = counts[name] ?? { requests: 0, promptTokens: 0, completionTokens: 0 };
    return [own.requests, own.promptTokens, own.completionTokens];
  });
  // Attempts that failed before a request's end may be reported a moment after it.
  await until(async () => JSON.stringify(await read()) === JSON.stringify(truth), 5_000, 'the attempts').catch(() => {});
  assert.deepEqual(await read(), truth, 'attempts, prompt and completion tokens by key');
  assert.equal(await total(), requests);
}

/** A request, whole or streamed over about a second; how it ended. */
async function one(pool, n) {
  const stream = n % 2 === 0;
  const content = `Number ${n}. [[tokens=${20 + (n % 40)}${stream ? ' delay=40' : ''}]]`;
  const response = await pool.chat({ stream, max_completion_tokens: 200, messages: [{ role: 'user', content }] });
  const text = await response.text();
  const whole = stream ? eventsOf(text).at(-1) === '[DONE]' && !text.includes('"error"') : JSON.parse(text).choices?.length === 1;
  return { status: response.status, whole, text };
}

test('killed mid-load the Coordinator forgets no rest and no report, and every request under way ends well', async (t) => {
  const pool = await startPool({ keys: 6, worker: { entry } });
  const { sim, names } = pool;
  const [limited, refused, unpaid] = names;
  try {
    const struck = new Map();
    const strike = (key, fault) => {
      sim.fault({ ...fault, key, times: 1 });
      struck.set(key, fault);
    };
    const settledStatus = async (key, status) =>
      until(async () => (await pool.keys()).get(key).status === status, 10_000, `${key} is ${status}`);
    let going = true;
    let sent = 0;
    const results = [];
    const load = Promise.all(Array.from({ length: 10 }, async () => {
      while (going) {
        sent += 1;
        results.push(await one(pool, sent));
      }
    }));
    load.catch(() => {});
    await sim.waitFor(() => sim.records.length > 40);
    strike(limited, { kind: 'status', error: 'request_quota_exceeded', retryAfter: 60 });
    await settledStatus(limited, 'cooling');
    await kill(pool);
    strike(refused, { kind: 'status', status: 401 });
    await settledStatus(refused, 'invalid');
    await kill(pool);
    strike(unpaid, { kind: 'status', status: 402 });
    await settledStatus(unpaid, 'suspended');
    const until60 = (await pool.keys()).get(limited).until;
    for (let n = 2; n < KILLS; n += 1) {
      const before = sim.records.length;
      await sim.waitFor(() => sim.records.length > before + 30 && sim.active > 0);
      await kill(pool);
    }
    const before = sim.records.length;
    await sim.waitFor(() => sim.records.length > before + 30);
    going = false;
    await load;

    const bad = results.filter(({ status, whole }) => status !== 200 || !whole);
    assert.deepEqual(bad, [], 'every request ends well');
    for (const [key, { kind }] of struck) {
      const mine = sim.records.filter((record) => record.key === key);
      const hit = mine.find(({ faults }) => faults.includes(kind));
      const late = mine.filter(({ receivedAt }) => receivedAt > hit.endedAt + UNDER_WAY_MS);
      assert.deepEqual(late.map(({ receivedAt }) => Math.round(receivedAt - hit.endedAt)), [], `${key} is used while it rests, ms after`);
    }
    const keys = await pool.keys();
    assert.deepEqual(names.map((name) => keys.get(name).status), ['cooling', 'invalid', 'suspended', 'active', 'active', 'active']);
    assert.equal(keys.get(limited).until, until60, 'as long as before');
    t.diagnostic(`${results.length} requests, ${sim.records.length} attempts, ${await born(pool)} objects`);
    assert.ok((await born(pool)) > KILLS);
    await assertBooks(pool, results.length);
    await kill(pool);
    await assertBooks(pool, results.length);
  } finally {
    await pool.stop();
  }
});

test('killed with all requests waiting for a rest to end, it lets all of them through when it is over', async () => {
  const pool = await startPool({ keys: 2, worker: { entry } });
  try {
    await inParallel(6, 2, (n) => one(pool, 2 * n + 1));
    pool.sim.resetRecords();
    pool.sim.fault({ kind: 'status', error: 'request_quota_exceeded', retryAfter: 4, key: pool.names[0], times: 1 });
    pool.sim.fault({ kind: 'status', error: 'request_quota_exceeded', retryAfter: 4, key: pool.names[1], times: 1 });
    const waiting = inParallel(6, 6, (n) => one(pool, 2 * n + 1));
    waiting.catch(() => {});
    await until(async () => [...(await pool.keys()).values()].every(({ status }) => status === 'cooling'), 5_000, 'both rest');
    await kill(pool);
    const results = await waiting;
    assert.deepEqual([...new Set(results.map(({ status, whole }) => `${status} ${whole}`))], ['200 true']);
    for (const name of pool.names) {
      const mine = pool.sim.records.filter(({ key }) => key === name);
      const hit = mine.find(({ status }) => status === 429);
      const soon = mine.filter(({ receivedAt }) => receivedAt > hit.endedAt + UNDER_WAY_MS && receivedAt < hit.endedAt + 3_950);
      assert.equal(soon.length, 0, `${name} is used while it rests`);
    }
  } finally {
    await pool.stop();
  }
});
