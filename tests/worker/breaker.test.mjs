// An upstream that fails for every key is left alone but for a probe, no key pays for it, and service resumes soon
// after it is back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSimulator } from '../upstream/simulator.mjs';
import { inParallel, keyName, startPool } from '../harness/rondo.mjs';
import { until } from './proxy.mjs';

const KEYS = 6;
const names = Array.from({ length: KEYS }, (_, n) => keyName(n));
/** How long after the upstream's return the first answer may come: the pause between two probes, and then some. */
const RESUMES_MS = 2_600;
/** How long a failing upstream takes to say so, so that two at a time are seen. */
const FAILS_AFTER_MS = 120;

const answered = async (response) => {
  const text = await response.text();
  return {
    status: response.status,
    text,
    at: performance.now(),
    attempts: Number(response.headers.get('x-rondo-attempts')),
    wait: Number(response.headers.get('retry-after-ms')),
    retryAfter: response.headers.get('retry-after'),
  };
};
const within = (ms) => ({ headers: { 'x-rondo-deadline-ms': String(ms) } });
const tally = (results) => {
  const counts = {};
  for (const { status } of results) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};

/** Answers that are awaited later; a test that fails before has another reason to tell. */
function later(results) {
  results.catch(() => {});
  return results;
}

/** Each key has answered before, so its limits are known and nothing else keeps requests apart. */
async function warm(pool) {
  const results = await inParallel(4 * KEYS, 4, async () => answered(await pool.chat()));
  assert.deepEqual(tally(results), { 200: 4 * KEYS });
  await until(async () => (await pool.admin('GET', '/api/stats')).totals.requests === 4 * KEYS, 5_000, 'the warm-up on the books');
  pool.sim.resetRecords();
}

async function assertNobodyPunished(pool) {
  for (const [name, item] of await pool.keys()) assert.equal(item.status, 'active', `${name}: ${item.status} (${item.reason})`);
}

/** The most requests under way at a time among these. */
function mostAtOnce(records) {
  const edges = records.flatMap(({ receivedAt, endedAt }) => [[receivedAt, 1], [endedAt ?? Infinity, -1]]);
  edges.sort(([one, by], [other, thenBy]) => one - other || by - thenBy);
  let now = 0;
  return edges.reduce((most, [, by]) => Math.max(most, (now += by)), 0);
}

test('an upstream that fails for all keys is probed one request at a time, and serves again soon after it is back', async (t) => {
  const pool = await startPool({ keys: KEYS });
  const { sim, admin } = pool;
  // Small answers: the quotas have nothing to do with it.
  const chat = (init) => pool.chat({ max_completion_tokens: 16 }, init);
  try {
    await warm(pool);
    sim.fault({ kind: 'delay-headers', ms: FAILS_AFTER_MS });
    sim.fault({ kind: 'status', status: 500 });
    const patient = later(inParallel(12, 12, async () => answered(await chat(within(60_000)))));
    const [outage] = await until(async () => {
      const { outages } = await admin('GET', '/api/overview');
      return outages.length > 0 && outages;
    }, 20_000, 'an outage');
    assert.equal(outage.provider, 'cerebras');
    // As the simulator's records say it.
    const since = Date.parse(outage.since);
    const opened = since - performance.timeOrigin;
    // Those who come while it is open and can't wait.
    const hasty = await inParallel(40, 8, async () => answered(await chat(within(300))));
    for (const { status, text, attempts, wait, retryAfter } of hasty) {
      assert.ok(status >= 500, `${status} ${text}`);
      if (attempts === 0) assert.ok(wait > 0 && Number(retryAfter) >= wait / 1_000, `no time is told with ${status}: ${text}`);
    }
    assert.ok(hasty.some(({ attempts }) => attempts === 0), 'some are refused without an attempt');
    // What was under way when it opened is over before the first probe may go. One of somebody who can't wait may be
    // given up, says nothing then, and is followed by the next at once.
    const patientOnly = performance.now();
    const probes = (from) => sim.records.filter(({ receivedAt }) => receivedAt >= from);
    await until(() => probes(patientOnly).filter(({ endedAt }) => endedAt).length >= 3, 20_000, 'three probes that fail');
    const open = probes(opened + 990);
    const times = open.map(({ receivedAt }) => Math.round(receivedAt - opened)).join(' ');
    assert.equal(mostAtOnce(open), 1, `sent while open, ms: ${times}`);
    const patients = probes(patientOnly);
    const gaps = patients.slice(1).map(({ receivedAt }, n) => receivedAt - patients[n].receivedAt);
    assert.ok(gaps.every((gap) => gap >= 900), `each probe that fails is followed by a pause; sent, ms: ${times}`);
    const { items } = await admin('GET', '/api/decisions?limit=1000');
    const given = items.filter(({ at, outcome }) => outcome.kind === 'granted' && Date.parse(at) > since);
    assert.ok(given.length > 0 && given.every(({ outcome }) => outcome.more === 0), 'a probe comes alone');
    await assertNobodyBarred(pool);

    sim.clearFaults();
    const back = performance.now();
    const results = await patient;
    t.diagnostic(`${sim.records.length} requests sent in all, ${open.length} of them probes; back after ${Math.round(results[0].at - back)} ms`);
    assert.deepEqual(tally(results), { 200: 12 }, 'who waits is answered');
    const first = Math.min(...results.map(({ at }) => at)) - back;
    const last = Math.max(...results.map(({ at }) => at)) - back;
    // At the most twice the last pause between two probes.
    const soon = 2 * gaps.at(-1) + 600;
    assert.ok(first < soon, `the first answer ${first} ms after`);
    assert.ok(last < soon + 1_500, `the last answer ${last} ms after`);
    assert.deepEqual((await admin('GET', '/api/overview')).outages, []);
    await assertNobodyPunished(pool);
    sim.resetRecords();
    assert.deepEqual(tally(await inParallel(10 * KEYS, 6, async () => answered(await pool.chat()))), { 200: 10 * KEYS });
    const shares = names.map((name) => sim.counts()[name]?.requests ?? 0);
    assert.ok(shares.every((share) => share >= 8 && share <= 12), `shares ${shares}`);
  } finally {
    await pool.stop();
  }
});

/** During the outage: a key may rest a moment for what came before the breaker opened, no more. */
async function assertNobodyBarred(pool) {
  for (const [name, { status, until: end }] of await pool.keys()) {
    assert.ok(['active', 'cooling'].includes(status), `${name}: ${status}`);
    if (status === 'cooling') assert.ok(Date.parse(end) - Date.now() <= 2_000, `${name} until ${end}`);
  }
}

test('who met the outage and can’t wait for its end is told when to come back, like all others', async () => {
  const pool = await startPool({ keys: KEYS });
  try {
    await warm(pool);
    pool.sim.fault({ kind: 'status', status: 500 });
    // Less than the pause before the first probe.
    const results = await inParallel(24, 8, async () => answered(await pool.chat({}, within(700))));
    // Whose own time ended while an attempt was under way learned nothing of the upstream; on a slow machine there are some.
    const told = results.filter(({ status, attempts }) => !(status === 504 && attempts > 0));
    assert.ok(told.some(({ attempts }) => attempts > 0));
    for (const { status, text, wait, retryAfter } of told) {
      assert.ok(status >= 500, `${status} ${text}`);
      assert.ok(wait > 0 && Number(retryAfter) >= wait / 1_000, `no time is told with ${status}: ${text}`);
    }
  } finally {
    await pool.stop();
  }
});

test('an upstream that refuses connections is waited for, and who can’t wait is told when to come back', async () => {
  const pool = await startPool({ keys: KEYS });
  const port = Number(new URL(pool.sim.url).port);
  let again;
  try {
    await warm(pool);
    await pool.sim.close();
    const patient = later(inParallel(6, 6, async (n) => answered(await pool.chat({ stream: n % 2 === 0 }, within(12_000)))));
    // Until it is known: one that is refused without an attempt.
    const refused = await until(async () => {
      const result = await answered(await pool.chat({}, within(200)));
      assert.ok(result.status >= 500, `${result.status} ${result.text}`);
      return result.attempts === 0 && result;
    }, 5_000, 'a refusal at once');
    assert.equal(refused.status, 503);
    assert.ok(refused.wait > 0 && Number(refused.retryAfter) >= refused.wait / 1_000, `retry-after-ms ${refused.wait}`);
    again = await createSimulator({ keys: names, port });
    const back = performance.now();
    const results = await patient;
    assert.deepEqual(tally(results), { 200: 6 });
    const first = Math.min(...results.map(({ at }) => at)) - back;
    assert.ok(first < RESUMES_MS, `the first answer ${first} ms after`);
    await assertNobodyPunished(pool);
  } finally {
    await pool.stop();
    await again?.close();
  }
});

// Probes are at most 3 s apart.
test('after an outage of many seconds service resumes with the next probe', async (t) => {
  const pool = await startPool({ keys: KEYS });
  const { sim, chat } = pool;
  try {
    await warm(pool);
    sim.fault({ kind: 'status', status: 503 });
    const patient = later(inParallel(4, 4, async () => answered(await chat({}, within(40_000)))));
    const begun = performance.now();
    // Long enough for the pause between two probes to have grown; then the moment after one that failed.
    await sim.waitFor(({ receivedAt, endedAt }) => endedAt && receivedAt > begun + 6_500, { timeoutMs: 20_000 });
    await until(async () => performance.now() - sim.records.at(-1).receivedAt > 250, 5_000, 'a pause after the probe');
    sim.clearFaults();
    const back = performance.now();
    const results = await patient;
    assert.deepEqual(tally(results), { 200: 4 });
    const first = Math.min(...results.map(({ at }) => at)) - back;
    t.diagnostic(`out for ${Math.round(back - begun)} ms, ${sim.records.length} requests sent, back after ${Math.round(first)} ms`);
    assert.ok(first < 3_000 + 500, `the first answer ${Math.round(first)} ms after an outage of ${Math.round(back - begun)} ms`);
    await assertNobodyPunished(pool);
  } finally {
    await pool.stop();
  }
});

for (const [what, fault, status] of [
  ['a quota that is used up', { kind: 'status', error: 'request_quota_exceeded', retryAfter: 60 }, 'cooling'],
  ['a refused key', { kind: 'status', status: 401 }, 'invalid'],
]) {
  test(`${what} on all keys but one opens no breaker: the one serves all, at once`, async () => {
    const pool = await startPool({ keys: KEYS });
    try {
      await warm(pool);
      pool.sim.fault({ ...fault, key: names.slice(1) });
      const results = await inParallel(30, 3, async () => answered(await pool.chat({}, within(900))));
      assert.deepEqual(tally(results), { 200: 30 });
      const items = [...(await pool.keys()).values()].map((item) => item.status);
      assert.deepEqual(items, ['active', ...Array(KEYS - 1).fill(status)]);
    } finally {
      await pool.stop();
    }
  });
}

test('a client’s own short deadline is no fault of the upstream: nobody rests for it, and no breaker opens', async () => {
  const pool = await startPool({ keys: KEYS });
  try {
    await warm(pool);
    const slow = pool.sim.fault({ kind: 'delay-headers', ms: 700 });
    const results = await inParallel(KEYS, KEYS, async () => answered(await pool.chat({}, within(300))));
    assert.ok(results.every(({ status }) => status >= 400), 'none can be answered in time');
    assert.equal(new Set(pool.sim.records.map(({ key }) => key)).size, KEYS, 'each key was asked');
    await assertNobodyPunished(pool);
    slow.remove();
    pool.sim.resetRecords();
    const begun = performance.now();
    const next = await answered(await pool.chat({}, within(5_000)));
    assert.deepEqual([next.status, next.attempts], [200, 1]);
    assert.ok(next.at - begun < 600, `served after ${Math.round(next.at - begun)} ms`);
  } finally {
    await pool.stop();
  }
});
