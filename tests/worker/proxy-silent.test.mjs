// When a part is missing or silent, and how fast a change is in force everywhere.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TOKEN, ask, errorOf, keys, start, until } from './proxy.mjs';

/** An entry module whose Coordinator never answers an ask once it was told to be silent. */
const silenceable = `
import worker, { Coordinator as Real } from './index.js';
export * from './index.js';
export default worker;
let mode = 'well';
export class Coordinator extends Real {
  fetch(request) {
    const url = new URL(request.url);
    if (url.pathname === '/test/mode') {
      mode = url.searchParams.get('is');
      return new Response(mode);
    }
    if (mode === 'silent') return new Promise(() => {});
    if (mode === 'failing') throw new Error('it failed');
    return super.fetch(request);
  }
}
`;

describe('while the Coordinator', () => {
  for (const mode of ['silent', 'failing']) {
    test(`is ${mode} clients are served, told so by x-rondo-degraded, and the books are right afterwards`, async (t) => {
      const running = await start({ pool: keys(2), settings: { flush_interval_ms: 1000 }, worker: { entry: silenceable } });
      t.after(() => running.stop());
      await (await running.ask()).text();
      await running.rondo.coordinator(`/test/mode?is=${mode}`);
      for (let n = 0; n < 5; n += 1) {
        const response = await running.ask({ stream: n % 2 === 1 });
        const text = await response.text();
        assert.equal(response.status, 200, text);
        assert.equal(response.headers.get('x-rondo-degraded'), 'coordinator');
      }
      await running.rondo.coordinator('/test/mode?is=well');
      await until(async () => {
        const response = await running.ask();
        await response.text();
        return response.headers.get('x-rondo-degraded') === null;
      }, 5000, 'the Coordinator in use again');
      const sent = running.sim.records.filter((record) => record.status === 200);
      const tokens = sent.reduce((sum, record) => sum + record.completionTokens, 0);
      await until(async () => {
        const { totals } = await running.admin('GET', '/api/stats');
        return totals.requests === sent.length && totals.completion_tokens === tokens;
      }, 8000, `${sent.length} requests and ${tokens} tokens on the books`);
    });
  }
});

describe('a missing part', () => {
  for (const name of ['ENCRYPTION_KEY', 'DB', 'SNAPSHOT', 'COORDINATOR']) {
    test(`(${name}) is a 503 that names it, for clients and for health checks`, async (t) => {
      const { createSimulator } = await import('../upstream/simulator.mjs');
      const { startWorker } = await import('../harness/worker.mjs');
      const sim = await createSimulator({ keys: keys(1) });
      const without = {
        ENCRYPTION_KEY: { bindings: { ENCRYPTION_KEY: undefined } },
        DB: { worker: { d1Databases: {} } },
        SNAPSHOT: { worker: { kvNamespaces: {} } },
        COORDINATOR: { worker: { durableObjects: {} } },
      }[name];
      const bindings = { CEREBRAS_BASE_URL: sim.url, CEREBRAS_API_KEYS: keys(1)[0], AUTH_PASSWORD: TOKEN, ...without.bindings };
      const rondo = await startWorker({ ...without, bindings });
      t.after(async () => { await rondo.stop(); await sim.close(); });
      const response = await ask(rondo.url);
      assert.equal(response.status, 503);
      const error = errorOf(await response.json());
      assert.match(error.message, new RegExp(name));
      assert.ok(response.headers.get('retry-after'));
      const ready = await rondo.fetch('/readyz');
      assert.equal(ready.status, 503);
      assert.match(await ready.text(), new RegExp(`"${name}"`));
      assert.equal((await rondo.fetch('/healthz')).status, 200);
    });
  }
});

describe('two isolates', () => {
  test('take a new token at once, refuse a revoked one within 5 s, and share one rotation', async (t) => {
    const running = await start({ pool: keys(2), worker: { edges: 1 } });
    t.after(() => running.stop());
    const addresses = [running.rondo.url, ...running.rondo.edges];
    const status = async (url, token) => {
      const response = await ask(url, {}, { token });
      await response.text();
      return response.status;
    };
    for (const url of addresses) assert.equal(await status(url, TOKEN), 200);

    const { token, id } = await running.admin('POST', '/api/tokens', { name: 'new' });
    for (const url of addresses) assert.equal(await status(url, token), 200, 'a new token works at once');
    for (const url of addresses) {
      const models = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${token}` } });
      assert.equal(models.status, 200);
      await models.text();
    }

    await running.admin('DELETE', `/api/tokens/${id}`);
    const revoked = Date.now();
    for (const url of addresses) await until(async () => (await status(url, token)) === 401, 5000, 'a revoked token refused');
    assert.ok(Date.now() - revoked < 5000);

    const from = running.sim.records.length;
    for (let n = 0; n < 20; n += 1) assert.equal(await status(addresses[n % 2], TOKEN), 200);
    const used = running.sim.records.slice(from).map((record) => record.key);
    assert.deepEqual(keys(2).map((key) => used.filter((one) => one === key).length), [10, 10]);
  });

  test('refuse a revoked token for requests that need no grant too', async (t) => {
    const running = await start({ worker: { edges: 1 } });
    t.after(() => running.stop());
    const { token, id } = await running.admin('POST', '/api/tokens', { name: 'new' });
    const list = async () => {
      const response = await fetch(`${running.rondo.edges[0]}/v1/models`, { headers: { authorization: `Bearer ${token}` } });
      await response.text();
      return response.status;
    };
    assert.equal(await list(), 200);
    await running.admin('DELETE', `/api/tokens/${id}`);
    await until(async () => (await list()) === 401, 5500, 'a revoked token refused');
  });
});
