// The books hold what the upstream counted, whatever dialect was spoken; and how streams in another dialect end.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { startPool } from '../harness/rondo.mjs';
import { promptOf } from '../upstream/simulator.mjs';
import { askIn, dialects } from './clients/dialects/forms.mjs';
import { MODEL, until } from './proxy.mjs';

const names = Object.keys(dialects);
const LEFT_WITHIN_MS = 5_000;
/** A little more than the silence after which clients are told that somebody is there. */
const SILENT_MS = 14_000;

const totals = (records) => Object.fromEntries(['promptTokens', 'cachedTokens', 'completionTokens'].map((field) => [field, records.reduce((sum, record) => sum + record[field], 0)]));
const booked = (row) => ({ promptTokens: row.prompt_tokens, cachedTokens: row.cached_tokens, completionTokens: row.completion_tokens });

/** What a client is told of its tokens, whole or streamed, in the upstream's terms. */
const usage = {
  completions: ({ usage: { prompt_tokens: prompt, completion_tokens: completion } }) => ({ prompt, completion }),
  responses: ({ response, usage: own = response.usage }) => ({ prompt: own.input_tokens, completion: own.output_tokens, cached: own.input_tokens_details.cached_tokens }),
  messages: ({ usage: own }) => ({ prompt: own.input_tokens + own.cache_read_input_tokens, completion: own.output_tokens, cached: own.cache_read_input_tokens }),
  gemini: ({ usageMetadata: own }) => ({
    prompt: own.promptTokenCount, completion: own.candidatesTokenCount + (own.thoughtsTokenCount ?? 0), cached: own.cachedContentTokenCount ?? 0,
  }),
};

/** The last piece of a stream that tells of tokens, or the whole answer. */
function lastWithUsage(text, stream) {
  if (!stream) return JSON.parse(text);
  const pieces = text.split('\n').filter((line) => line.startsWith('data: {')).map((line) => JSON.parse(line.slice(6)));
  return pieces.findLast((piece) => piece.usage || piece.usageMetadata || piece.response?.usage);
}

describe('the books of every dialect', async () => {
  const pool = await startPool({ keys: 2, sim: { recordBodies: true } });
  after(() => pool.stop());
  const { sim, rondo } = pool;
  const tokens = new Map();
  for (const name of names) tokens.set(name, await pool.admin('POST', '/api/tokens', { name }));
  const recordOf = (name, id) => sim.waitFor((record) => record.body?.includes(`${name} number ${id} `));

  test('hold what the upstream counted, by token and key, with what was cached; so does the answer', { timeout: 60_000 }, async () => {
    const { text } = promptOf('english', 600);
    const made = new Map(names.map((name) => [name, []]));
    for (let n = 0; n < 8; n += 1) {
      for (const name of names) {
        const stream = n % 2 === 1;
        const more = { stream, ...(name === 'completions' && stream && { stream_options: { include_usage: true } }) };
        const prompt = `${name}: ${text} ${name} number ${n} [[tokens=${20 + n} reasoning=${n}]]`;
        const response = await askIn(name, rondo.url, tokens.get(name).token, MODEL, prompt, { more });
        const answer = await response.text();
        assert.equal(response.status, 200, answer);
        const record = await recordOf(name, n);
        made.get(name).push(record);
        const { prompt: sent, completion, cached = record.cachedTokens } = usage[name](lastWithUsage(answer, stream));
        assert.deepEqual([sent, completion, cached], [record.promptTokens, record.completionTokens, record.cachedTokens], `${name} ${n}`);
      }
    }
    const stats = await until(async () => {
      const now = await pool.admin('GET', '/api/stats');
      return now.totals.requests === 8 * names.length && now;
    }, 8_000, 'all are on the books');
    const rows = await pool.keys();
    for (const name of names) {
      const expected = totals(made.get(name));
      assert.ok(expected.cachedTokens > 0, 'the test itself has nothing cached');
      assert.deepEqual(booked(stats.tokens.find(({ id }) => id === tokens.get(name).id)), expected, `the token of ${name}`);
    }
    const all = [...made.values()].flat();
    for (const key of pool.names) {
      const mine = all.filter((record) => record.key === key);
      assert.ok(mine.length > 0);
      assert.deepEqual(booked(stats.keys.find(({ id }) => id === rows.get(key).id)), totals(mine), `the key ${key}`);
    }
    assert.deepEqual([stats.totals.cut, stats.totals.errors], [0, 0]);
  });

  for (const name of names) {
    test(`${name}: who leaves half way ends the upstream’s stream, and is booked as an estimate`, { timeout: 30_000 }, async () => {
      const { id, token } = tokens.get(name);
      const row = async () => (await pool.admin('GET', '/api/stats')).tokens.find((one) => one.id === id);
      const before = await row();
      const leave = new AbortController();
      const prompt = `${name} number cut [[tokens=2000 reasoning=0 delay=5]]`;
      const response = await askIn(name, rondo.url, token, MODEL, prompt, { more: { stream: true }, signal: leave.signal });
      const reader = response.body.getReader();
      for (let pieces = 0; pieces < 60; pieces += 1) assert.ok(!(await reader.read()).done);
      leave.abort();
      const left = performance.now();
      const record = await sim.waitFor((one) => one.hungUp && one.body?.includes(`${name} number cut `), { timeoutMs: LEFT_WITHIN_MS });
      assert.ok(record.endedAt - left < LEFT_WITHIN_MS && record.sentTokens < 2000);
      const now = await until(async () => {
        const current = await row();
        return current.cut === before.cut + 1 && current;
      }, 8_000, 'it is booked');
      assert.deepEqual(booked(now), booked(before), 'nothing is told as counted');
      const estimated = now.estimated_completion_tokens - (before.estimated_completion_tokens ?? 0);
      assert.ok(Math.abs(estimated / record.sentTokens - 1) <= 0.15, `${estimated} estimated, ${record.sentTokens} sent`);
    });

    test(`${name}: an upstream that breaks off is told in the stream, and counts as an error`, { timeout: 30_000 }, async () => {
      const { id, token } = tokens.get(name);
      const row = async () => (await pool.admin('GET', '/api/stats')).tokens.find((one) => one.id === id);
      const before = await row();
      const fault = sim.fault({ kind: 'reset-mid-stream', afterChunks: 12, times: 1 });
      const response = await askIn(name, rondo.url, token, MODEL, '[[tokens=80 reasoning=0 delay=2]] Go on.', { more: { stream: true } });
      const text = await response.text();
      fault.remove();
      assert.match(text, /broke off/);
      assert.doesNotMatch(text, /\[DONE\]|message_stop|response\.completed|"finishReason"/);
      await until(async () => (await row()).errors === before.errors + 1, 8_000, 'it is booked');
    });
  }
});

test('a long silence is bridged where the dialect has a word for it, and ended in each one’s own words', { timeout: 60_000 }, async () => {
  const pool = await startPool({ keys: names.length, settings: { model_policy: 'passthrough', timeouts: { silence_ms: SILENT_MS } } });
  try {
    const { sim, rondo } = pool;
    const alive = { messages: /event: ping\ndata: \{"type":"ping"\}\n\n/, responses: /\n\n: [^\n]+\n\n/, completions: /\n\n:\n\n/ };
    await Promise.all(names.map(async (name) => {
      const model = `silent-${name}`;
      sim.addModel(model);
      sim.fault({ kind: 'stall', model, afterChunks: 6 });
      const { token } = await pool.admin('POST', '/api/tokens', { name });
      const response = await askIn(name, rondo.url, token, model, '[[tokens=80 reasoning=0]] Go on.', { more: { stream: true } });
      const text = await response.text();
      if (alive[name]) assert.match(text, alive[name], name);
      assert.match(text.trimEnd().slice(-900), /did not answer in time/, name);
      const record = await sim.waitFor((one) => one.model === model && one.hungUp, { timeoutMs: LEFT_WITHIN_MS });
      assert.ok(record.endedAt - record.firstByteAt < SILENT_MS + LEFT_WITHIN_MS, name);
    }));
  } finally {
    await pool.stop();
  }
});
