import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KEY, MODEL, ask, get, open, post, start } from './client.mjs';

test('a record holds what came, what was sent and when', async (t) => {
  const sim = await start(t, { recordBodies: true });
  const from = performance.now();
  const body = JSON.stringify(ask('[[tokens=30]]', { stream: true }), null, 2);
  const { text } = await post(sim, body, { path: '/v1/chat/completions?x=1', headers: { 'x-custom': 'y' } });
  const [record] = sim.records;
  assert.deepEqual(
    [record.key, record.org, record.model, record.method, record.path, record.query, record.stream, record.status, record.done, record.hungUp],
    [KEY, KEY, MODEL, 'POST', '/v1/chat/completions', 'x=1', true, 200, true, false],
  );
  assert.equal(record.headers['x-custom'], 'y');
  assert.equal(record.bodyBytes, Buffer.byteLength(body));
  assert.equal(record.body.toString(), body);
  assert.equal(record.response.toString(), text);
  assert.equal(record.sentBytes, Buffer.byteLength(text));
  assert.deepEqual([record.completionTokens, record.sentTokens], [30, 30]);
  const times = [from, record.receivedAt, record.bodyAt, record.firstByteAt, record.endedAt, performance.now()];
  assert.deepEqual(times, [...times].sort((a, b) => a - b));
});

test('bodies are not kept unless asked for', async (t) => {
  const sim = await start(t);
  await post(sim, ask('x'));
  assert.equal('body' in sim.records[0] || 'response' in sim.records[0], false);
});

test("a client's leaving is seen while chunks are paced, and stops the answer", async (t) => {
  const sim = await start(t, { chunkDelayMs: 5 });
  const call = open(sim, ask('[[tokens=4000]]', { stream: true }));
  await sim.waitFor((r) => r.sentChunks >= 3);
  const left = performance.now();
  call.hangUp();
  const record = await sim.waitFor((r) => r.hungUp);
  assert.ok(record.hungUpAt >= left && record.endedAt >= record.hungUpAt);
  assert.equal(record.done, false);
  const { sentChunks } = record;
  await post(sim, ask('x'));
  assert.equal(record.sentChunks, sentChunks);
  assert.equal(sim.active, 0);
});

test('a client that does not read stops the writing', async (t) => {
  const sim = await start(t);
  // About 28 MB of frames, more than all socket buffers between the two hold.
  const call = open(sim, ask('[[tokens=40000 chunk=1 reasoning=0]]', { stream: true, n: 3 }));
  const res = await call.response;
  res.pause();
  const held = await sim.waitFor((r) => r.heldBack > 0);
  call.hangUp();
  const record = await sim.waitFor((r) => r.id === held.id && r.hungUp);
  assert.equal(record.done, false);
  assert.ok(record.sentTokens < record.completionTokens);
});

test('counts are per key and outlast the records', async (t) => {
  const sim = await start(t, { keys: [KEY, 'b'] });
  await post(sim, ask('[[tokens=10]]'));
  await post(sim, ask('[[tokens=20]]', { stream: true }));
  sim.fault({ kind: 'status', status: 503, key: 'b', times: 1 });
  await post(sim, ask('x'), { key: 'b' });
  await post(sim, ask('x'), { key: 'b' });
  const counts = sim.counts();
  assert.deepEqual([counts[KEY].requests, counts[KEY].byStatus, counts[KEY].completionTokens, counts[KEY].sentTokens], [2, { 200: 2 }, 30, 30]);
  assert.deepEqual([counts.b.byStatus, counts.b.faults], [{ 200: 1, 503: 1 }, 1]);
  assert.equal(counts[KEY].maxActive, 1);
  sim.resetRecords();
  assert.deepEqual([sim.records.length, sim.counts()], [0, {}]);
});

test('waiting for a record ends at once if it is there, at the event if not, and says what is missing', async (t) => {
  const sim = await start(t);
  await post(sim, ask('x'));
  assert.equal(await sim.waitFor((r) => r.status === 200), sim.records[0]);
  const later = sim.waitFor((r) => r.stream && r.done);
  await post(sim, ask('x', { stream: true }));
  assert.equal(await later, sim.records[1]);
  await assert.rejects(sim.waitFor((r) => r.status === 500, { timeoutMs: 1 }), /no record fits within 1 ms; the last of 2/);
});

test('closing cuts what is open', async (t) => {
  const sim = await start(t);
  sim.fault({ kind: 'never' });
  const call = open(sim, ask('x'));
  await sim.waitFor((r) => r.faults.includes('never'));
  await sim.close();
  await assert.rejects(call.response);
});

test('reads of the public list are kept apart', async (t) => {
  const sim = await start(t);
  const seen = sim.waitFor((record) => record.status === 200 && record.endedAt !== undefined, { open: true });
  assert.equal((await get(sim, '/public/v1/models', { key: '' })).status, 200);
  assert.equal((await seen).path, '/public/v1/models');
  assert.deepEqual([sim.records.length, sim.publicRecords.length, sim.active, Object.keys(sim.counts()).length], [0, 1, 0, 0]);
  assert.equal((await get(sim, '/v1/models')).status, 200);
  assert.deepEqual([sim.records.length, sim.publicRecords.length], [1, 1]);
  sim.resetRecords();
  assert.deepEqual([sim.records.length, sim.publicRecords.length], [0, 0]);
});
