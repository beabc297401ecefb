// The books hold what the upstream counted: exactly for whole answers, estimated for those that clients cut off.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { promptOf } from '../upstream/simulator.mjs';
import { inParallel, startPool } from '../harness/rondo.mjs';

const FLUSH_MS = 2_000;
const KINDS = ['english', 'chinese', 'code'];

test('1,000 mixed requests, one in ten cut off, are on the books exactly and survive a restart', async () => {
  const pool = await startPool({ keys: 5, settings: { flush_interval_ms: FLUSH_MS } });
  const { sim } = pool;
  try {
    const tokens = [];
    for (const name of ['one', 'two', 'three']) tokens.push(await pool.admin('POST', '/api/tokens', { name }));
    const asked = new Map(tokens.map(({ id }) => [id, { requests: 0, cut: 0, exact: 0 }]));
    const results = await inParallel(1_000, 25, async (n) => {
      const owner = tokens[n % 3];
      const kind = KINDS[n % KINDS.length];
      const cut = n % 10 === 9;
      const prompt = promptOf(kind, 40 + (n % 60));
      const size = cut ? 400 : 20 + (n % 80);
      const content = `${prompt.text} [[tokens=${size} kind=${kind} reasoning=${n % 2 ? 8 : 0}${cut ? ' delay=5' : ''}]]`;
      const leave = new AbortController();
      asked.get(owner.id).requests += 1;
      const response = await pool.chat(
        { stream: cut || n % 2 === 0, messages: [{ role: 'user', content }] },
        { token: owner.token, signal: leave.signal },
      );
      if (!cut) {
        const text = await response.text();
        asked.get(owner.id).exact += size;
        return { status: response.status, whole: text.length > 0 };
      }
      asked.get(owner.id).cut += 1;
      const reader = response.body.getReader();
      for (let chunks = 0; chunks < 40; chunks += 1) await reader.read();
      leave.abort();
      return { status: response.status, cut };
    });
    assert.ok(results.every((result) => result.status === 200));
    await sim.waitFor(() => sim.active === 0, { timeoutMs: 20_000 });

    const books = async () => {
      const stats = await pool.admin('GET', '/api/stats');
      return { stats, keys: await pool.keys() };
    };
    const check = ({ stats, keys }) => {
      assert.equal(stats.totals.requests, 1_000);
      assert.equal(stats.totals.cut, 100);
      for (const name of pool.names) {
        const mine = sim.records.filter((record) => record.key === name);
        const whole = mine.filter((record) => !record.hungUp);
        const item = keys.get(name);
        assert.equal(item.requests, mine.length, `requests of ${name}`);
        assert.equal(item.prompt_tokens, whole.reduce((sum, record) => sum + record.promptTokens, 0));
        assert.equal(item.completion_tokens, whole.reduce((sum, record) => sum + record.completionTokens, 0));
      }
      for (const { id } of tokens) {
        const row = stats.tokens.find((token) => token.id === id);
        assert.equal(row.requests, asked.get(id).requests);
        assert.equal(row.cut, asked.get(id).cut);
        assert.equal(row.completion_tokens, asked.get(id).exact);
      }
      const cut = sim.records.filter((record) => record.hungUp);
      const sent = cut.reduce((sum, record) => sum + record.sentTokens, 0);
      const prompts = cut.reduce((sum, record) => sum + record.promptTokens, 0);
      const { estimated_completion_tokens: completion, estimated_prompt_tokens: prompt } = stats.totals;
      assert.ok(Math.abs(completion / sent - 1) <= 0.1, `completion estimate ${completion} of ${sent}`);
      assert.ok(Math.abs(prompt / prompts - 1) <= 0.1, `prompt estimate ${prompt} of ${prompts}`);
    };
    // Within one flush interval: by then D1 itself has them, whoever asks.
    const db = await pool.rondo.db();
    const total = async () =>
      (await db.prepare("SELECT requests FROM usage WHERE grain = 'total' AND dim = 'pool'").first('requests')) ?? 0;
    const started = performance.now();
    while ((await total()) < 1_000 && performance.now() - started < FLUSH_MS + 1_000) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(await total(), 1_000);
    check(await books());
    await pool.rondo.restart();
    check(await books());
  } finally {
    await pool.stop();
  }
});
