// The limits of a whole request: its time, the client's deadline, and what is no silence.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { Readable } from 'node:stream';
import { after, beforeEach, describe, test } from 'node:test';
import { MODEL, TOKEN, eventsOf, startPool } from '../harness/rondo.mjs';

describe('a request', async () => {
  const timeouts = { headers_ms: 700, headers_whole_ms: 700, silence_ms: 700, total_ms: 1_500 };
  const pool = await startPool({ keys: 5, settings: { timeouts } });
  after(() => pool.stop());
  const { sim, chat } = pool;
  const say = (directive) => ({ messages: [{ role: 'user', content: `Talk. [[${directive}]]` }] });

  // Several keys that time out open the breaker; each of these tests begins with an upstream that answers.
  beforeEach(async () => {
    sim.clearFaults();
    const until = performance.now() + 20_000;
    let status;
    do {
      const response = await chat();
      await response.text();
      status = response.status;
    } while (status !== 200 && performance.now() < until);
    assert.equal(status, 200);
  });

  for (const [kind, stream] of [['whole', false], ['streamed', true]]) {
    test(`ends with its time, however many keys there are left to try (${kind})`, async () => {
      sim.fault({ kind: 'never' });
      const begun = performance.now();
      const response = await chat({ stream });
      await response.text();
      const took = performance.now() - begun;
      assert.equal(response.status, 504);
      assert.ok(took >= 1_300 && took < 2_600, `${took} ms`);
      assert.ok(Number(response.headers.get('x-rondo-attempts')) <= 3);
    });
  }

  test('makes no attempt after the deadline that the client states', async () => {
    const fault = sim.fault({ kind: 'never' });
    const begun = performance.now();
    const response = await chat({}, { headers: { 'x-rondo-deadline-ms': '400' } });
    await response.text();
    fault.remove();
    assert.equal(response.status, 504);
    assert.equal(response.headers.get('x-rondo-attempts'), '1');
    assert.ok(performance.now() - begun < 1_200);
  });

  test('that streams on past its time ends in an error event', async () => {
    const response = await chat({ stream: true, ...say('tokens=400 chunk=1 delay=20') });
    const events = eventsOf(await response.text());
    assert.equal(response.status, 200);
    assert.equal(JSON.parse(events.at(-1)).error.code, 'upstream_timeout');
  });

  test('whose stream ends in an error of the upstream and its mark passes as it came and counts as an error', async () => {
    const before = (await pool.admin('GET', '/api/stats')).totals.errors;
    const fault = sim.fault({ kind: 'error-event', afterChunks: 3, done: true, times: 1 });
    const response = await chat({ stream: true, ...say('tokens=50') });
    const events = eventsOf(await response.text());
    fault.remove();
    assert.equal(events.at(-1), '[DONE]');
    assert.ok(JSON.parse(events.at(-2)).error);
    const deadline = performance.now() + 5_000;
    let errors;
    do {
      errors = (await pool.admin('GET', '/api/stats')).totals.errors;
    } while (errors === before && performance.now() < deadline);
    assert.equal(errors, before + 1);
  });
});

test('a client that reads slowly gets its whole answer, though the upstream has long ended', async () => {
  // 20 MB at once: more than all the buffers on the way hold together, so the pump still waits for the client.
  const chunk = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'y'.repeat(4_000) } }] })}\n\n`;
  const end = `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}\n\ndata: [DONE]\n\n`;
  const upstream = http.createServer((request, response) => {
    request.resume();
    response.setHeader('content-type', 'text/event-stream');
    Readable.from([...new Array(5_000).fill(chunk), end]).pipe(response);
  });
  await once(upstream.listen(0, '127.0.0.1'), 'listening');
  const pool = await startPool({
    keys: 1,
    worker: { bindings: { CEREBRAS_BASE_URL: `http://127.0.0.1:${upstream.address().port}` } },
    settings: { timeouts: { silence_ms: 1_000 } },
  });
  try {
    const request = http.request(`${pool.rondo.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` },
    });
    request.end(JSON.stringify({ model: MODEL, stream: true, messages: [{ role: 'user', content: 'Talk.' }] }));
    const [response] = await once(request, 'response');
    response.pause();
    // The pause is the point: longer than the silence allowed to an upstream, and than what follows it.
    await new Promise((resolve) => setTimeout(resolve, 12_000));
    let tail = '';
    response.on('data', (piece) => (tail = (tail + piece).slice(-2_000)));
    await once(response.resume(), 'end');
    assert.equal(eventsOf(tail).at(-1), '[DONE]');
    assert.equal(response.complete, true, 'the answer ended, it was not cut off');
  } finally {
    await pool.stop();
    upstream.closeAllConnections();
    upstream.close();
  }
});
