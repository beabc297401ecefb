import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KEY, MODEL, ask, events, get, open, post, start } from './client.mjs';

const STREAM = ask('[[tokens=40 reasoning=0]]', { stream: true });
const WHOLE = ask('[[tokens=40 reasoning=0]]');

test('a status fault answers with the documented body of that status or code, or any other', async (t) => {
  const sim = await start(t);
  const codes = { 401: 'wrong_api_key', 402: 'payment_required', 404: 'model_not_found', 429: 'request_quota_exceeded', 503: 'server_error' };
  for (const [status, code] of Object.entries(codes)) {
    const fault = sim.fault({ kind: 'status', status: Number(status) });
    const got = await post(sim, WHOLE);
    assert.deepEqual([got.status, got.json.code], [Number(status), code]);
    fault.remove();
  }
  sim.fault({ kind: 'status', error: 'queue_exceeded', times: 1 });
  const queue = await post(sim, WHOLE);
  assert.deepEqual([queue.status, queue.json.param, queue.headers.get('x-should-retry')], [429, 'queue', 'false']);
  sim.fault({ kind: 'status', status: 418, body: 'tea', headers: { 'x-pot': 'brown', 'content-type': 'text/html' }, times: 1 });
  const tea = await post(sim, WHOLE);
  assert.deepEqual([tea.status, tea.text, tea.headers.get('x-pot'), tea.headers.get('content-type')], [418, 'tea', 'brown', 'text/html']);
  assert.equal((await post(sim, WHOLE)).status, 200);
  assert.equal(sim.records[0].code, 'wrong_api_key');
});

test('Retry-After comes in every form', async (t) => {
  const sim = await start(t, { timeFactor: 0 });
  const headersOf = async (retryAfter) => {
    sim.fault({ kind: 'status', status: 429, retryAfter, times: 1 });
    const { headers } = await post(sim, WHOLE);
    return [headers.get('retry-after'), headers.get('retry-after-ms')];
  };
  assert.deepEqual(await headersOf(7), ['7', null]);
  assert.deepEqual(await headersOf({ form: 'fractional', seconds: 1.25 }), ['1.25', null]);
  assert.deepEqual(await headersOf({ form: 'ms', seconds: 1.25 }), [null, '1250']);
  assert.deepEqual(await headersOf({ form: 'both', seconds: 1.25 }), ['2', '1250']);
  const [date] = await headersOf({ form: 'date', seconds: 90 });
  assert.equal(Date.parse(date), Math.floor((sim.clock.now() + 90_000) / 1000) * 1000);
});

test('faults strike by key, organisation, model, kind of answer and path', async (t) => {
  const sim = await start(t, { keys: [KEY, { key: 'b', org: 'o' }, { key: 'c', org: 'o' }] });
  const status = async (key, rest = {}) => (await post(sim, { ...WHOLE, ...rest }, { key })).status;
  sim.fault({ kind: 'status', status: 500, key: KEY, model: MODEL, stream: false });
  assert.deepEqual([await status(KEY), await status('b'), await status(KEY, { model: 'qwen-3.8-27b' }), await status(KEY, { stream: true })], [500, 200, 200, 200]);
  sim.clearFaults();
  sim.fault({ kind: 'status', status: 500, org: 'o' });
  assert.deepEqual([await status(KEY), await status('b'), await status('c')], [200, 500, 500]);
  assert.equal((await get(sim, '/v1/models', { key: 'b' })).status, 200);
  sim.fault({ kind: 'status', status: 503, path: '/public/*' });
  assert.equal((await get(sim, '/public/v1/models', { key: '' })).status, 503);
});

test('a fault is limited to a number of requests, after a number let through', async (t) => {
  const sim = await start(t);
  const fault = sim.fault({ kind: 'status', status: 500, skip: 1, times: 2 });
  const seen = [];
  for (let i = 0; i < 4; i += 1) seen.push((await post(sim, WHOLE)).status);
  assert.deepEqual(seen, [200, 500, 500, 200]);
  assert.equal(fault.hits, 2);
});

test('a share of requests is struck, the same ones for the same seed', async (t) => {
  const run = async (seed) => {
    const sim = await start(t, { seed });
    sim.fault({ kind: 'status', status: 500, share: 0.3 });
    const seen = [];
    for (let i = 0; i < 100; i += 1) seen.push((await post(sim, WHOLE)).status);
    return seen;
  };
  const first = await run(7);
  const struck = first.filter((s) => s === 500).length;
  assert.ok(struck > 15 && struck < 45, `${struck} of 100`);
  assert.deepEqual(await run(7), first);
  assert.notDeepEqual(await run(8), first);
});

test('a reset before headers is a lost connection; after headers, a lost body', async (t) => {
  const sim = await start(t);
  for (const body of [STREAM, WHOLE]) {
    sim.fault({ kind: 'reset-before-headers', times: 1 });
    await assert.rejects(open(sim, body).response, { code: 'ECONNRESET' });
    sim.fault({ kind: 'reset-after-headers', times: 1 });
    const call = open(sim, body);
    assert.equal((await call.response).statusCode, 200);
    const { text, error } = await call.ended;
    assert.equal(text, '');
    assert.equal(error?.code, 'ECONNRESET');
  }
  assert.ok(sim.records.every((r) => !r.hungUp && !r.done && r.sentTokens === 0));
});

test('a reset mid-stream comes after so many whole chunks, mid-frame inside the next', async (t) => {
  const sim = await start(t);
  sim.fault({ kind: 'reset-mid-stream', afterChunks: 5, times: 1 });
  const clean = await open(sim, STREAM).ended;
  assert.ok(clean.error);
  assert.equal(clean.text.split('\n\n').length, 6);
  assert.ok(clean.text.endsWith('\n\n'));
  sim.fault({ kind: 'reset-mid-frame', afterChunks: 5, how: 'fin', times: 1 });
  const torn = await open(sim, STREAM).ended;
  assert.ok(torn.error);
  const frames = torn.text.split('\n\n');
  assert.equal(frames.length, 6);
  assert.ok(frames[5].startsWith('data: {') && !frames[5].endsWith('}'));
  assert.deepEqual(sim.records.map((r) => r.sentChunks), [5, 5]);
  assert.ok(sim.records.every((r) => r.sentTokens > 0 && r.sentTokens < r.completionTokens));
});

test('a fault set for after the last chunk strikes before the finish chunk', async (t) => {
  const sim = await start(t);
  sim.fault({ kind: 'reset-mid-stream', afterChunks: 10_000 });
  const { text, error } = await open(sim, STREAM).ended;
  assert.ok(error);
  assert.ok(!text.includes('finish_reason'));
  assert.equal(sim.records[0].sentTokens, 40);
});

test('silence: no answer at all, or none after some chunks, until the client leaves', async (t) => {
  const sim = await start(t);
  sim.fault({ kind: 'never', times: 1 });
  const mute = open(sim, STREAM);
  await sim.waitFor((r) => r.faults.includes('never'));
  mute.hangUp();
  const first = await sim.waitFor((r) => r.hungUp);
  assert.equal(first.status, undefined);
  sim.resetRecords();
  sim.fault({ kind: 'stall', afterChunks: 4 });
  for (const body of [STREAM, WHOLE]) {
    const call = open(sim, body);
    const { id } = await sim.waitFor((r) => r.sentBytes > 0 && (r.sentChunks === 4 || !r.stream) && r.endedAt === undefined);
    await call.until('"id"');
    call.hangUp();
    const record = await sim.waitFor((r) => r.id === id && r.hungUp);
    assert.equal(record.done, false);
    sim.resetRecords();
  }
});

test('delays come before headers or before the first chunk, and combine with other faults', async (t) => {
  const sim = await start(t);
  sim.fault({ kind: 'delay-headers', ms: 40, times: 1 });
  await post(sim, WHOLE);
  assert.ok(sim.records[0].firstByteAt - sim.records[0].bodyAt >= 38);
  sim.fault({ kind: 'delay-first-chunk', ms: 60_000, times: 2 });
  for (const body of [STREAM, WHOLE]) {
    const call = open(sim, body);
    assert.equal((await call.response).statusCode, 200);
    assert.equal(sim.records.at(-1).firstByteAt, undefined);
    call.hangUp();
    await sim.waitFor((r) => r.id === sim.records.at(-1).id && r.hungUp);
  }
  sim.fault({ kind: 'delay-headers', ms: 20 });
  sim.fault({ kind: 'status', status: 500 });
  const { status } = await post(sim, WHOLE);
  assert.equal(status, 500);
  assert.deepEqual(sim.records.at(-1).faults, ['delay-headers', 'status']);
  assert.ok(sim.records.at(-1).firstByteAt - sim.records.at(-1).bodyAt >= 18);
});

test('an error event comes first or later, and ends the stream without [DONE]', async (t) => {
  const sim = await start(t);
  sim.fault({ kind: 'error-event', times: 1 });
  const first = events((await post(sim, STREAM)).text);
  assert.equal(first.length, 1);
  assert.deepEqual(Object.keys(first[0]), ['error', 'status_code']);
  assert.deepEqual(Object.keys(first[0].error), ['message', 'type', 'param', 'code', 'id']);
  sim.fault({ kind: 'error-event', afterChunks: 3, event: { status: 429, error: { code: 'queue_exceeded' } }, done: true, times: 1 });
  const later = events((await post(sim, STREAM)).text);
  assert.equal(later.length, 5);
  assert.deepEqual([later[3].status_code, later[3].error.code, later[4]], [429, 'queue_exceeded', '[DONE]']);
  sim.fault({ kind: 'error-event', times: 1 });
  const { status, json } = await post(sim, WHOLE);
  assert.deepEqual([status, json.status_code], [200, 500]);
});

test('comments come first; an end comes without [DONE], or without the finish chunk', async (t) => {
  const sim = await start(t);
  sim.fault({ kind: 'comments-first', count: 3, times: 1 });
  const { text } = await post(sim, STREAM);
  assert.ok(text.startsWith(`${': keep-alive\n\n'.repeat(3)}data: {`));
  sim.fault({ kind: 'no-done', times: 1 });
  const undone = events((await post(sim, STREAM)).text);
  assert.equal(undone.at(-1).choices[0].finish_reason, 'stop');
  sim.fault({ kind: 'no-finish', times: 1 });
  const unfinished = events((await post(sim, STREAM)).text);
  assert.ok(unfinished.every((e) => e !== '[DONE]' && e.usage === undefined));
  assert.deepEqual(sim.records.map((r) => r.done), [true, false, false]);
});

test('garbage and wrong content types, whole and streaming', async (t) => {
  const sim = await start(t);
  sim.fault({ kind: 'garbage', times: 2 });
  const stream = await post(sim, STREAM);
  assert.throws(() => events(stream.text), SyntaxError);
  const whole = await post(sim, WHOLE);
  assert.deepEqual([whole.status, whole.json], [200, undefined]);
  sim.fault({ kind: 'wrong-content-type', times: 2 });
  const typed = await post(sim, STREAM);
  assert.equal(typed.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.equal(events(typed.text).at(-1), '[DONE]');
  assert.ok((await post(sim, WHOLE)).json.usage);
  sim.fault({ kind: 'wrong-content-type', body: '<html>', contentType: 'text/plain', times: 2 });
  for (const body of [STREAM, WHOLE]) assert.equal((await post(sim, body)).text, '<html>');
});

test('frames can be torn into small writes without changing a byte', async (t) => {
  const sim = await start(t, { recordBodies: true });
  sim.fault({ kind: 'fragment', bytes: 5 });
  const { text } = await post(sim, ask('[[tokens=12 kind=chinese]]', { stream: true }));
  assert.equal(text, sim.records[0].response.toString());
  assert.equal(events(text).at(-2).usage.completion_tokens, 12);
});

test('faults that make no sense are refused where they are written', async (t) => {
  const sim = await start(t);
  for (const spec of [{ kind: 'nope' }, { kind: 'status' }, { kind: 'status', error: 'nope' }, { kind: 'stall', afterChunk: 3 }, { kind: 'status', status: 429, retryAfter: { form: 'x', seconds: 1 } }]) {
    assert.throws(() => sim.fault(spec), RangeError, JSON.stringify(spec));
  }
});
