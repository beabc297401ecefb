// The entry of what is deployed: plain functions around the wasm.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MODEL, start } from './proxy.mjs';

// What Rondo's panic hook does to the entry, and how often the wasm was started.
const entry = `
  import worker from './entry.js';
  export * from './entry.js';
  const state = globalThis.__worker_init_state;
  export default {
    fetch(request, env, ctx) {
      const { pathname } = new URL(request.url);
      if (pathname === '/test/panicked') state.criticalError = true;
      if (pathname.startsWith('/test/')) return Response.json({ starts: state.instanceId, panicked: state.criticalError });
      return worker.fetch(request, env, ctx);
    },
  };`;

describe('the entry', () => {
  let running;
  before(async () => {
    running = await start({ worker: { entry } });
  });
  after(() => running?.stop());
  const state = async (path) => (await running.rondo.fetch(path)).json();

  test('starts the wasm anew after a panic, and the request that finds it so is answered', async () => {
    const ask = async () => {
      const response = await running.ask({ model: MODEL, messages: [{ role: 'user', content: 'Hello' }] });
      assert.equal(response.status, 200);
      assert.ok((await response.json()).choices[0].message.content);
    };
    await ask();
    const { starts } = await state('/test/state');
    assert.deepEqual(await state('/test/panicked'), { starts, panicked: true });
    await ask();
    const anew = await state('/test/state');
    assert.equal(anew.panicked, false);
    assert.ok(anew.starts > starts, 'the wasm was started again');
    await ask();
    assert.deepEqual(await state('/test/state'), anew, 'and once only');
  });

  test('answers requests side by side, each its own', async () => {
    const asked = Array.from({ length: 40 }, (_, n) => `number-${n}`);
    const answers = await Promise.all(asked.map(async (id) => {
      const response = await running.rondo.fetch('/v1/models', { headers: { authorization: 'Bearer wrong', 'x-request-id': id } });
      await response.text();
      return response.headers.get('x-request-id');
    }));
    assert.deepEqual(answers, asked);
  });
});
