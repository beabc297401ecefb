// Who is told to retry, and how whole answers end that do not end well.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { test } from 'node:test';
import { MODEL, startPool } from '../harness/rondo.mjs';
import { until } from './proxy.mjs';

test('what Rondo has tried often enough the client is told not to retry, what has a true time it may', async () => {
  const pool = await startPool({ keys: 4, settings: { attempt_budget: 2, max_wait_ms: 300 } });
  try {
    const tried = [];
    const broken = pool.sim.fault({ kind: 'status', status: 500 });
    const failed = await pool.chat();
    await failed.text();
    assert.deepEqual([failed.status, failed.headers.get('x-rondo-attempts')], [500, '2']);
    assert.equal(failed.headers.get('x-should-retry'), 'false');
    broken.remove();
    // All keys limited beyond the client's patience: after attempts, and then at once.
    await pool.admin('PATCH', '/api/settings', { attempt_budget: 20 });
    assert.equal((await pool.chat()).status, 200, 'whose answer brings the new settings');
    pool.sim.fault({ kind: 'status', status: 429, error: 'request_quota_exceeded', retryAfter: 5 });
    const attempts = await until(async () => {
      const limited = await pool.chat();
      await limited.text();
      assert.equal(limited.status, 429);
      assert.notEqual(limited.headers.get('x-should-retry'), 'false');
      const wait = Number(limited.headers.get('retry-after-ms'));
      assert.ok(wait > 0 && wait <= 5_500, `retry-after-ms ${wait}`);
      tried.push(limited.headers.get('x-rondo-attempts'));
      return tried.at(-1) === '0' && tried;
    }, 4_000, 'a refusal at once');
    assert.ok(attempts.some((count) => count !== '0'));
  } finally {
    await pool.stop();
  }
});

for (const metering of ['exact', 'estimate']) {
  test(`a long whole answer that its client leaves is a cut one, an upstream that breaks it a failure (${metering})`, async () => {
    // 3 MB of JSON, the rest of it at leisure; `broken` upstreams hang up instead.
    let broken = false;
    const upstream = http.createServer((request, response) => {
      request.resume();
      response.setHeader('content-type', 'application/json');
      response.write(`{"choices":[{"index":0,"message":{"role":"assistant","content":"${'y'.repeat(2_000_000)}`);
      const more = setInterval(() => {
        if (broken) response.destroy();
        else response.write('y'.repeat(100_000));
      }, 50);
      response.on('close', () => clearInterval(more));
    });
    await once(upstream.listen(0, '127.0.0.1'), 'listening');
    const pool = await startPool({
      keys: 1,
      worker: { bindings: { CEREBRAS_BASE_URL: `http://127.0.0.1:${upstream.address().port}` } },
      settings: { metering },
    });
    try {
      const stats = async () => (await pool.admin('GET', '/api/stats')).totals;
      const leave = new AbortController();
      const response = await pool.chat({}, { signal: leave.signal });
      assert.equal(response.status, 200);
      const reader = response.body.getReader();
      for (let bytes = 0; bytes < 1_500_000; ) bytes += (await reader.read()).value.length;
      leave.abort();
      const left = await until(async () => {
        const totals = await stats();
        return totals.requests === 1 && totals;
      }, 8_000, 'the request on the books');
      assert.deepEqual([left.cut, left.errors], [1, 0]);
      assert.equal((await pool.admin('GET', '/api/keys')).items[0].status, 'active', 'the key is not at fault');

      broken = true;
      await assert.rejects(pool.chat({ model: MODEL }).then((answer) => answer.text()));
      const lost = await until(async () => {
        const totals = await stats();
        return totals.requests === 2 && totals;
      }, 8_000, 'the second one too');
      assert.deepEqual([lost.cut, lost.errors], [1, 1]);
    } finally {
      await pool.stop();
      upstream.closeAllConnections();
      upstream.close();
    }
  });
}
