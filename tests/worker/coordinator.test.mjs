// The Coordinator killed, hung or gone under load: clients see nothing, and the books are right afterwards.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inParallel, startPool } from '../harness/rondo.mjs';

// The built object behind a switch: it can be made to hang, or be killed at once with all its memory.
const entry = `
  import worker, { Coordinator as Real } from './index.js';
  import { DurableObject } from 'cloudflare:workers';
  export * from './index.js';
  export default worker;
  let hang = false;
  export class Coordinator extends DurableObject {
    constructor(state, env) { super(state, env); this.real = new Real(state, env); }
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === '/test/hang') { hang = true; return new Response('hanging'); }
      if (pathname === '/test/resume') { hang = false; return new Response('resumed'); }
      if (pathname === '/test/kill') { this.ctx.abort('killed by the test'); }
      if (hang) await scheduler.wait(60_000);
      return this.real.fetch(request);
    }
    alarm() { return this.real.alarm(); }
  }`;

const control = (pool, what) => pool.rondo.coordinator(`/test/${what}`, { method: 'POST' }).catch(() => {});

/** Books and the simulator's own record agree, per key and in total. */
async function assertBooks(pool, requests) {
  const stats = await pool.admin('GET', '/api/stats');
  const keys = await pool.keys();
  const counts = pool.sim.counts();
  for (const name of pool.names) {
    assert.equal(keys.get(name).requests, counts[name]?.requests ?? 0, `attempts of ${name}`);
    assert.equal(keys.get(name).completion_tokens, counts[name]?.completionTokens ?? 0, `tokens of ${name}`);
  }
  assert.equal(stats.totals.requests, requests);
}

test('a Coordinator killed under load costs no client anything and no acknowledged settle', async () => {
  const pool = await startPool({ keys: 3, worker: { entry } });
  try {
    const results = await inParallel(200, 10, async (n) => {
      if (n % 50 === 25) await control(pool, 'kill');
      const response = await pool.chat({ stream: n % 2 === 0 });
      await response.text();
      return response.status;
    });
    assert.deepEqual([...new Set(results)], [200]);
    await settled(pool, 200);
    await assertBooks(pool, 200);
  } finally {
    await pool.stop();
  }
});

test('while it hangs isolates serve from what they know, marked as degraded', async () => {
  const pool = await startPool({ keys: 3, worker: { entry } });
  try {
    await (await pool.chat()).text();
    await control(pool, 'hang');
    const results = await inParallel(40, 8, async () => {
      const response = await pool.chat();
      await response.text();
      return { status: response.status, degraded: response.headers.get('x-rondo-degraded') };
    });
    assert.ok(results.every((result) => result.status === 200));
    assert.ok(results.some((result) => result.degraded === 'coordinator'));
    await control(pool, 'resume');
    await settled(pool, 41);
    await assertBooks(pool, 41);
  } finally {
    await pool.stop();
  }
});

test('an isolate that starts while it hangs serves from what KV holds', async () => {
  const pool = await startPool({ keys: 3, worker: { entry } });
  try {
    await (await pool.chat()).text();
    const kv = await pool.rondo.kv();
    for (let n = 0; (await kv.list()).keys.length < 2; n += 1) {
      assert.ok(n < 500, 'the KV documents are written');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await pool.rondo.restart({ entry: entry.replace('let hang = false', 'let hang = true') });
    const response = await pool.chat();
    assert.equal(response.status, 200, await response.clone().text());
    assert.equal(response.headers.get('x-rondo-degraded'), 'coordinator');
    await response.text();
    await control(pool, 'resume');
  } finally {
    await pool.stop();
  }
});

test('cooling, a refused key and what is settled survive a restart', async () => {
  const pool = await startPool({ keys: 3, worker: { entry } });
  try {
    pool.sim.fault({ kind: 'status', status: 429, error: 'request_quota_exceeded', key: pool.names[0], times: 1, retryAfter: 60 });
    pool.sim.revoke(pool.names[1]);
    await inParallel(6, 1, async () => (await pool.chat()).text());
    await settled(pool, 6);
    const status = async () => [...(await pool.keys()).values()].map((item) => item.status);
    assert.deepEqual(await status(), ['cooling', 'invalid', 'active']);
    for (const [n, again] of [() => control(pool, 'kill'), () => pool.rondo.restart()].entries()) {
      // What an isolate has not handed in yet goes with it; what was acknowledged stays.
      await settled(pool, 6 + 6 * n);
      await again();
      pool.sim.resetRecords();
      await inParallel(6, 1, async () => (await pool.chat()).text());
      assert.deepEqual(pool.names.map((name) => pool.sim.counts()[name]?.requests ?? 0), [0, 0, 6]);
      assert.deepEqual(await status(), ['cooling', 'invalid', 'active']);
    }
    await settled(pool, 18);
    assert.equal((await pool.admin('GET', '/api/stats')).totals.requests, 18);
  } finally {
    await pool.stop();
  }
});

test('a checkpoint that cannot be written costs nothing: what is durable is loaded again', async () => {
  const failing = `
    import worker, { Coordinator as Real } from './index.js';
    import { DurableObject } from 'cloudflare:workers';
    export * from './index.js';
    export default worker;
    let fail = 0;
    export class Coordinator extends DurableObject {
      constructor(state, env) {
        super(state, env);
        const { storage } = state;
        const transaction = storage.transactionSync.bind(storage);
        storage.transactionSync = (work) => transaction(() => {
          const result = work();
          if (fail > 0) { fail -= 1; throw new Error('disk full'); }
          return result;
        });
        this.real = new Real(state, env);
      }
      async fetch(request) {
        if (new URL(request.url).pathname === '/test/fail') { fail = 1; return new Response('failing'); }
        return this.real.fetch(request);
      }
      alarm() { return this.real.alarm(); }
    }`;
  const pool = await startPool({ keys: 2, worker: { entry: failing } });
  try {
    const flush = async () => (await pool.rondo.coordinator('/flush', { method: 'POST' })).status;
    const some = async (total) => {
      await inParallel(8, 4, async () => (await pool.chat()).text());
      await settled(pool, total);
    };
    await some(8);
    await inParallel(4, 2, async () => (await pool.chat()).text());
    await control(pool, 'fail');
    const deadline = performance.now() + 5_000;
    // Only a flush that has something to write can fail; the isolate hands its reports in within a moment.
    while ((await flush()) !== 503) assert.ok(performance.now() < deadline, 'the flush met the failure');
    await some(20);
    await assertBooks(pool, 20);
    await pool.rondo.restart();
    await assertBooks(pool, 20);
  } finally {
    await pool.stop();
  }
});

test('an ask of a version it does not know is refused, and a repeated settle changes nothing', async () => {
  const pool = await startPool({ keys: 1 });
  try {
    const ask = (body) => pool.rondo.coordinator('/ask', { method: 'POST', body: JSON.stringify({ v: 1, generation: 0, epoch: 0, ...body }) });
    assert.equal((await ask({ v: 99 })).status, 400);
    const want = { token: 'env', count: 1, prompt_tokens: 1, deadline_ms: 1_000, attempts_left: 40 };
    const answer = await (await ask({ want })).json();
    const [grant] = answer.outcome.grants;
    const settle = {
      id: grant.id,
      attempt: { key: grant.key, model: grant.model, end: 'ok', status: 200, usage: {}, duration_ms: 5 },
      request: { token: 'env', model: grant.model, status: 200, error: false, attempts: 1, wait_ms: 0, duration_ms: 5 },
    };
    for (let n = 0; n < 3; n += 1) assert.equal((await ask({ settles: [settle] })).status, 200);
    await pool.rondo.restart();
    assert.equal((await ask({ settles: [settle] })).status, 200);
    assert.equal((await pool.admin('GET', '/api/stats')).totals.requests, 1);
  } finally {
    await pool.stop();
  }
});

/** Asks until every request is on the books: isolates send their reports within a bounded time. */
async function settled(pool, requests) {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const stats = await pool.admin('GET', '/api/stats');
    if (stats.totals.requests >= requests || performance.now() > deadline) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
