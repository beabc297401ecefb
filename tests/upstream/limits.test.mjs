import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { KEY, MODEL, ask, events, open, post, start } from './client.mjs';
import { createClock } from './clock.mjs';
import { Limiter } from './limiter.mjs';

const { vectors } = JSON.parse(readFileSync(new URL('./fixtures/limiter-vectors.json', import.meta.url), 'utf8'));
const near = (got, wanted, what) => assert.ok(Math.abs(got - wanted) < 1e-6, `${what}: ${got}, not ${wanted}`);

for (const { name, limits, steps } of vectors) {
  test(`vector: ${name}`, () => {
    const limiter = new Limiter(limits, 0);
    const reserved = [];
    for (const [i, step] of steps.entries()) {
      const what = `step ${i}`;
      if (step.op === 'admit') {
        const got = limiter.admit(step.at_ms, step.prompt, step.max_completion ?? undefined);
        reserved[i] = got.reserved;
        const { wait_ms: wait, reset_ms: reset, ...plain } = step.expect;
        const { waitMs, resetMs, ...rest } = got;
        assert.deepEqual(rest, plain, what);
        if (!got.ok) {
          if (wait === null) assert.equal(waitMs, Infinity, what);
          else near(waitMs, wait, `${what} wait`);
          near(resetMs, reset, `${what} reset`);
        }
      } else if (step.op === 'settle') limiter.settle(step.at_ms, reserved[step.of], step);
      else {
        const state = limiter.state(step.at_ms);
        assert.deepEqual(Object.keys(state), Object.keys(step.expect), what);
        for (const [bucket, wanted] of Object.entries(step.expect)) {
          assert.deepEqual([state[bucket].limit, state[bucket].remaining], [wanted.limit, wanted.remaining], `${what} ${bucket}`);
          near(state[bucket].resetMs, wanted.reset_ms, `${what} ${bucket} reset`);
        }
      }
    }
  });
}

// A clock that stands still makes every level exact.
const still = { timeFactor: 0 };

test('the sixth request of a trial minute is refused as documented, and passes after the reset', async (t) => {
  const sim = await start(t, { ...still, limits: 'trial' });
  for (let i = 0; i < 5; i += 1) assert.equal((await post(sim, ask('x', { max_completion_tokens: 5 }))).status, 200);
  const { status, json, headers } = await post(sim, ask('x', { max_completion_tokens: 5 }));
  assert.equal(status, 429);
  assert.deepEqual(json, { message: 'Requests per minute limit exceeded - too many requests sent.', type: 'too_many_requests_error', param: 'quota', code: 'request_quota_exceeded' });
  assert.equal(headers.get('retry-after'), '60');
  assert.equal(headers.get('x-ratelimit-limit-requests-minute'), '5');
  assert.equal(headers.get('x-ratelimit-remaining-requests-minute'), '0');
  assert.equal(headers.get('x-ratelimit-reset-requests-minute'), '60');
  sim.clock.advance(12_000);
  assert.equal((await post(sim, ask('x', { max_completion_tokens: 5 }))).status, 200);
});

test('retryAfter need states the time until the request fits', async (t) => {
  const sim = await start(t, { ...still, limits: 'trial', retryAfter: 'need' });
  for (let i = 0; i < 5; i += 1) await post(sim, ask('x', { max_completion_tokens: 5 }));
  assert.equal((await post(sim, ask('x', { max_completion_tokens: 5 }))).headers.get('retry-after'), '12');
});

test('headers show the reservation, the buckets the settled use', async (t) => {
  const sim = await start(t, { ...still, limits: { requests: { minute: 100 }, tokens: { minute: 30_000 } } });
  const { headers, json } = await post(sim, ask('[[tokens=50]]'));
  assert.equal(Number(headers.get('x-ratelimit-remaining-tokens-minute')), 30_000 - 16_384 - json.usage.prompt_tokens);
  assert.equal(sim.buckets(KEY, MODEL)['tokens-minute'].remaining, 30_000 - json.usage.total_tokens);
  assert.equal(headers.get('x-ratelimit-limit-requests-hour'), null);
});

test('a token refusal names its window, and takes no request', async (t) => {
  const sim = await start(t, { ...still, limits: { requests: { minute: 100 }, tokens: { minute: 20_000, day: 17_000 } } });
  const { json } = await post(sim, ask('[[tokens=900]]', { max_completion_tokens: 1000 }));
  const refused = await post(sim, ask('x'));
  assert.equal(refused.status, 429);
  assert.deepEqual(refused.json, { message: 'Tokens per day limit exceeded - too many tokens processed.', type: 'too_many_tokens_error', param: 'quota', code: 'token_quota_exceeded' });
  assert.ok(json.usage.total_tokens > 900);
  assert.equal(sim.buckets(KEY, MODEL)['requests-minute'].remaining, 99);
});

test('a trial key shows its uncached bucket as tokens-minute', async (t) => {
  const sim = await start(t, { limits: 'trial' });
  const { headers } = await post(sim, ask('x'));
  assert.equal(headers.get('x-ratelimit-limit-tokens-minute'), '30000');
  assert.equal(headers.get('x-ratelimit-limit-tokens-hour'), '1000000');
});

test('keys of one organisation share buckets; models and organisations do not', async (t) => {
  const limits = { requests: { minute: 2 } };
  const sim = await start(t, { ...still, keys: [{ key: 'a', org: 'o' }, { key: 'b', org: 'o' }, 'c'], limits });
  const status = async (key, rest) => (await post(sim, ask('x', rest), { key })).status;
  assert.deepEqual([await status('a'), await status('b'), await status('a'), await status('b')], [200, 200, 429, 429]);
  assert.equal(await status('c'), 200);
  assert.equal(await status('a', { model: 'qwen-3.8-27b' }), 200);
});

test('limits differ by model and change while it runs', async (t) => {
  const sim = await start(t, { ...still, orgs: { [KEY]: { models: { [MODEL]: { requests: { minute: 1 } } }, default: 'trial' } } });
  await post(sim, ask('x'));
  assert.equal((await post(sim, ask('x'))).status, 429);
  assert.equal((await post(sim, ask('x', { model: 'qwen-3.8-27b' }))).headers.get('x-ratelimit-limit-requests-minute'), '5');
  sim.setLimits(KEY, { requests: { minute: 2 } });
  assert.equal((await post(sim, ask('x'))).status, 200);
  assert.throws(() => sim.setLimits(KEY, 'nope'), RangeError);
});

test('an answer that is cut short is settled to what was sent', async (t) => {
  const sim = await start(t, { ...still, limits: { tokens: { minute: 100_000 } } });
  const call = open(sim, ask('[[tokens=2000 reasoning=0 delay=5]]', { stream: true }));
  await call.until('content');
  call.hangUp();
  const record = await sim.waitFor((r) => r.hungUp);
  assert.ok(record.sentTokens > 0 && record.sentTokens < 2000);
  await new Promise(setImmediate); // the handler sees the close one turn after the record
  assert.equal(sim.buckets(KEY, MODEL)['tokens-minute'].remaining, 100_000 - record.promptTokens - record.sentTokens);
});

test('simulated time runs faster by the factor, stands still at 0, and never goes back', () => {
  let real = 0;
  const clock = createClock(60, () => real);
  const from = clock.now();
  real = 1000;
  assert.equal(clock.now() - from, 60_000);
  clock.setFactor(0);
  real = 5000;
  assert.equal(clock.now() - from, 60_000);
  clock.advance(500);
  clock.setFactor(2);
  real = 5001;
  assert.equal(clock.now() - from, 60_502);
  assert.throws(() => clock.advance(-1), RangeError);
  assert.throws(() => clock.setFactor(-1), RangeError);
});

test('stated waits are simulated seconds, or real ones where asked', async (t) => {
  // An hour's bucket at 60 times the speed: 3600 simulated seconds are 60 real ones.
  for (const [realSeconds, least, most] of [[false, 1800, 3600], [true, 30, 60]]) {
    const sim = await start(t, { timeFactor: 60, limits: { requests: { hour: 1 } }, realSeconds });
    await post(sim, ask('x'));
    const { status, headers } = await post(sim, ask('x'));
    assert.equal(status, 429);
    for (const name of ['retry-after', 'x-ratelimit-reset-requests-hour']) {
      const seconds = Number(headers.get(name));
      assert.ok(seconds > least && seconds <= most, `${name}: ${seconds}`);
    }
  }
});

test('an open key has limits in its headers all the same', async (t) => {
  const sim = await start(t);
  const { headers } = await post(sim, ask('x'));
  for (const name of ['requests-minute', 'requests-hour', 'requests-day', 'tokens-minute', 'tokens-hour', 'tokens-day']) {
    for (const part of ['limit', 'remaining', 'reset']) assert.match(headers.get(`x-ratelimit-${part}-${name}`), /^\d+(\.\d+)?(e-\d+)?$/, `${part} ${name}`);
  }
  assert.equal(events((await post(sim, ask('x', { stream: true }))).text).at(-1), '[DONE]');
});
