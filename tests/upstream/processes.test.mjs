import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ask, events, open, post } from './client.mjs';
import { createSimulator } from './simulator.mjs';

async function launch(t, ...args) {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./main.mjs', import.meta.url)), '--port', '0', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = new Promise((resolve) => {
    child.once('exit', resolve);
  });
  t.after(async () => {
    child.kill('SIGTERM');
    await gone;
  });
  const [line] = await new Promise((resolve) => {
    createInterface(child.stdout).once('line', (...l) => resolve(l));
  });
  return { url: line.replace('listening on ', ''), child, gone };
}

async function control(sim, method, path, body) {
  const response = await fetch(`${sim.url}/__sim/${path}`, { method, body: body && JSON.stringify(body) });
  return { status: response.status, json: await response.json() };
}

test('it runs by itself and is controlled over HTTP', async (t) => {
  const sim = await launch(t, '--keys', 'k1,k2:org', '--limits', 'trial', '--control', '--record-bodies');
  const status = async (key = 'k1', rest = {}) => (await post(sim, ask('[[tokens=5]]', rest), { key })).status;
  assert.equal(await status(), 200);
  const { json: { id } } = await control(sim, 'POST', 'faults', { kind: 'status', status: 500 });
  assert.equal(await status(), 500);
  assert.deepEqual((await control(sim, 'GET', 'faults')).json, [{ id, hits: 1 }]);
  await control(sim, 'DELETE', `faults/${id}`);
  await control(sim, 'POST', 'revoke', { key: 'k1' });
  assert.equal(await status(), 401);
  await control(sim, 'POST', 'restore', { key: 'k1' });
  await control(sim, 'POST', 'retire', { model: 'gpt-oss-120b', code: 'model_archived' });
  assert.equal(await status(), 404);
  await control(sim, 'POST', 'unretire', { model: 'gpt-oss-120b' });
  await control(sim, 'POST', 'keys', { key: 'k3', org: 'new', limits: { requests: { minute: 1 } } });
  await control(sim, 'POST', 'time', { factor: 0 });
  assert.deepEqual([await status('k3'), await status('k3')], [200, 429]);
  await control(sim, 'POST', 'time', { advanceMs: 60_000 });
  assert.equal(await status('k3'), 200);
  const { json: records } = await control(sim, 'GET', 'records');
  assert.deepEqual(records.map((r) => r.status), [200, 500, 401, 404, 200, 429, 200]);
  assert.equal(JSON.parse(Buffer.from(records[0].body, 'base64')).model, 'gpt-oss-120b');
  assert.equal((await control(sim, 'GET', 'counts')).json.k3.requests, 3);
  await control(sim, 'POST', 'reset');
  assert.deepEqual((await control(sim, 'GET', 'records')).json, []);
  assert.equal(await status('k3'), 200);
  assert.equal((await control(sim, 'POST', 'faults', { kind: 'nope' })).status, 400);
  assert.equal((await control(sim, 'GET', 'nope')).status, 404);
});

test('it ends on SIGTERM, even with a request open', async (t) => {
  const sim = await launch(t, '--keys', 'k1', '--chunk-delay-ms', '50');
  const call = open(sim, ask('[[tokens=4000]]', { stream: true }), { key: 'k1' });
  await call.until('content');
  sim.child.kill('SIGTERM');
  assert.equal(await sim.gone, 0);
  assert.ok((await call.ended).error);
});

const fast = async (t, options = {}) => {
  const sim = await createSimulator({ fast: true, ...options });
  t.after(() => sim.close());
  return sim;
};

test('the fast upstream streams the chunks the model name asks for, well formed', async (t) => {
  const sim = await fast(t);
  for (const n of [3, 20, 500]) {
    const { headers, text } = await post(sim, ask('x', { model: `bench-${n}`, stream: true }));
    assert.match(headers.get('content-type'), /^text\/event-stream/);
    assert.equal(headers.get('x-ratelimit-remaining-requests-minute'), '999999999');
    const list = events(text);
    assert.equal(list.length, n + 1);
    assert.equal(list.at(-1), '[DONE]');
    assert.equal(list.at(-2).usage.completion_tokens, n - 2);
    assert.equal(list.filter((e) => e.choices?.[0].delta.content).length, n - 2);
  }
  const { text } = await post(sim, ask('x', { stream: true }), { headers: { 'x-bench-chunks': '7' } });
  assert.equal(events(text).length, 8);
  assert.deepEqual(sim.counts(), { requests: 4, answered: 4, aborted: 0, chunks: 530 });
});

test('the fast upstream answers about 1 KB of JSON, and nothing elsewhere', async (t) => {
  const sim = await fast(t);
  const { json, text } = await post(sim, ask('x'));
  assert.equal(json.usage.total_tokens, 170);
  assert.ok(text.length > 900 && text.length < 1600, `${text.length} bytes`);
  assert.equal((await post(sim, {}, { path: '/other' })).status, 404);
  const big = await post(sim, ask('y'.repeat(300_000)));
  assert.equal(big.status, 200);
});

test('the fast upstream reads chunked bodies, counts leavers, and goes on', async (t) => {
  const sim = await fast(t, { chunkDelayMs: 2 });
  const parts = [JSON.stringify(ask('x'.repeat(100_000))).slice(0, 50_000), JSON.stringify(ask('x'.repeat(100_000))).slice(50_000)];
  const stream = new ReadableStream({
    pull(controller) {
      const part = parts.shift();
      if (part) controller.enqueue(new TextEncoder().encode(part));
      else controller.close();
    },
  });
  const response = await fetch(`${sim.url}/v1/chat/completions`, { method: 'POST', body: stream, duplex: 'half' });
  assert.equal((await response.json()).object, 'chat.completion');
  const call = open(sim, ask('x', { model: 'bench-5000', stream: true }));
  await call.until('content');
  call.hangUp();
  await call.ended;
  for (let i = 0; sim.counters.aborted === 0 && i < 50; i += 1) await post(sim, ask('x'));
  assert.equal(sim.counters.aborted, 1);
});
