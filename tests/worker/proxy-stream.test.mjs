// How a stream ends when it does not end well, and what the books say of it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { events, keys, start, streamErrorOf, until } from './proxy.mjs';

describe('a stream', () => {
  let running;
  let sim;
  before(async () => {
    const timeouts = { silence_ms: 1000, first_event_ms: 1000, headers_ms: 1000, headers_whole_ms: 1500 };
    running = await start({ pool: keys(2), settings: { timeouts, flush_interval_ms: 1000 } });
    ({ sim } = running);
  });
  after(() => running?.stop());

  const ends = [
    ['is reset', { kind: 'reset-mid-stream', afterChunks: 4 }],
    ['is reset within an event', { kind: 'reset-mid-frame', afterChunks: 4 }],
    ['is closed within an event', { kind: 'reset-mid-frame', afterChunks: 4, how: 'fin' }],
    ['falls silent', { kind: 'stall', afterChunks: 4 }],
    ['ends without [DONE]', { kind: 'no-done' }],
  ];
  for (const [how, fault] of ends) {
    test(`that ${how} gives the client a well-formed error event, and no [DONE]`, async () => {
      const set = sim.fault({ ...fault, times: 1 });
      const response = await running.ask({ stream: true, prompt: 'Talk. [[tokens=200 delay=15]]' });
      assert.equal(response.status, 200);
      const text = await response.text();
      set.remove();
      assert.equal(set.hits, 1);
      const all = events(text);
      const last = all.at(-1);
      streamErrorOf(last);
      assert.ok(last.status_code >= 500);
      assert.ok(!all.includes('[DONE]'));
      assert.ok(all.length > 2, 'what came before was passed on');
      assert.ok(text.startsWith(Buffer.from(sim.records.at(-1).response).toString()), 'what came before was passed on unchanged');
      // The answer had begun: no other attempt was made.
      assert.equal(response.headers.get('x-rondo-attempts'), '1');
    });
  }

  test('with an error event of the upstream in its middle passes as it came, with no second error', async () => {
    const set = sim.fault({ kind: 'error-event', afterChunks: 4, times: 1 });
    const response = await running.ask({ stream: true, prompt: 'Talk. [[tokens=100 delay=10]]' });
    const text = await response.text();
    set.remove();
    assert.equal(text, Buffer.from(sim.records.at(-1).response).toString());
    assert.equal(events(text).filter((event) => event.error).length, 1);
  });

  test('whose client leaves while chunks come closes the upstream within 1 s, and what was used is booked as an estimate', async () => {
    const before = await running.admin('GET', '/api/stats');
    const client = new AbortController();
    const response = await running.ask({ stream: true, prompt: 'Talk. [[tokens=4000 delay=20]]', max_completion_tokens: 5000 }, { signal: client.signal });
    const reader = response.body.getReader();
    for (let n = 0; n < 40; n += 1) await reader.read();
    const left = Date.now();
    client.abort();
    await sim.waitFor(() => sim.records.at(-1).hungUp, { timeoutMs: 1000 });
    assert.ok(Date.now() - left <= 1000);
    const record = sim.records.at(-1);
    const { totals } = await until(async () => {
      const stats = await running.admin('GET', '/api/stats');
      return stats.totals.cut > before.totals.cut ? stats : undefined;
    }, 5000, 'the cut request on the books');
    const estimated = totals.estimated_completion_tokens - before.totals.estimated_completion_tokens;
    assert.ok(Math.abs(estimated - record.sentTokens) <= 0.25 * record.sentTokens, `${estimated} of ${record.sentTokens}`);
  });

  test('lives longer than the silence limit as long as something comes', async () => {
    const response = await running.ask({ stream: true, prompt: 'Talk. [[tokens=30 chunk=1 delay=100]]' });
    assert.equal(events(await response.text()).at(-1), '[DONE]');
  });

  test('that another one of the same isolate breaks is not touched by it', async () => {
    const set = sim.fault({ kind: 'reset-mid-stream', afterChunks: 4, times: 1 });
    const prompts = Array.from({ length: 6 }, () => running.ask({ stream: true, prompt: 'Talk. [[tokens=60 delay=10]]' }).then((r) => r.text()));
    const texts = await Promise.all(prompts);
    set.remove();
    const done = texts.filter((text) => events(text).at(-1) === '[DONE]');
    assert.equal(done.length, 5);
  });
});
