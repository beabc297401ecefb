// Four isolates over one Coordinator, asked for more than the quotas hold: nothing bounces off the upstream, all keys
// do their share, and who is sent away is told the truth about when to come back.
//
// Limits run in real time here: Rondo's twin refills a bucket by its window's name, so an upstream whose minute passes
// faster than a minute is one that it does not know.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { PRESETS } from '../upstream/simulator.mjs';
import { startPool } from '../harness/rondo.mjs';

const KEYS = 12;
/** What waits longer is told when to come back. */
const MAX_WAIT_MS = 1_000;
/** Most of the sends that may bounce; one may in any case. */
const BOUNCES = 0.005;
/** Share of what the quotas hold that must be used: some of it is kept for those who were told to come back. */
const YIELD = 0.75;
/** Jain's index of the keys' shares. */
const FAIR = 0.99;

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const jain = (shares) => shares.reduce((a, b) => a + b, 0) ** 2 / (shares.length * shares.reduce((a, b) => a + b * b, 0));

async function startFour(limits) {
  const pool = await startPool({ keys: KEYS, sim: { limits }, worker: { edges: 3 }, settings: { max_wait_ms: MAX_WAIT_MS } });
  return { ...pool, bases: [pool.rondo.url, ...pool.rondo.edges] };
}

/** One client request at one of the isolates. */
async function once(pool, base, n) {
  const response = await pool.chat(
    { stream: n % 2 === 0, max_completion_tokens: 32, messages: [{ role: 'user', content: `${'Talk. '.repeat(1 + 2 * n)}[[tokens=12]]` }] },
    { base },
  );
  const text = await response.text();
  return {
    status: response.status,
    text,
    wait: Number(response.headers.get('retry-after-ms')),
    retryAfter: Number(response.headers.get('retry-after')),
    degraded: response.headers.get('x-rondo-degraded'),
  };
}

/** The longest it may take until the first client is sent away. */
const FILLS_MS = 60_000;

/** `clients` at each isolate ask until it has been too much for `ms`; those who are sent away do as they are told. */
async function load(pool, clients, ms) {
  let end = performance.now() + FILLS_MS;
  const seen = { answered: 0, sentAway: 0, obeyed: 0, refusedAgain: 0, other: [] };
  const byIsolate = pool.bases.map(() => 0);
  const client = async (n) => {
    const place = n % pool.bases.length;
    let told = false;
    while (performance.now() < end) {
      const result = await once(pool, pool.bases[place], n);
      assert.equal(result.degraded, null);
      if (result.status === 200) {
        seen.answered += 1;
        byIsolate[place] += 1;
        if (told) seen.obeyed += 1;
        told = false;
      } else if (result.status === 429 && result.wait > 0 && result.retryAfter >= result.wait / 1_000) {
        if (seen.sentAway === 0) end = performance.now() + ms;
        seen.sentAway += 1;
        if (told) seen.refusedAgain += 1;
        told = true;
        if (performance.now() + result.wait >= end) return;
        // Obeying is the point: this waits as a client would.
        await sleep(result.wait);
      } else {
        seen.other.push(`${result.status} ${result.wait} ${result.text}`);
      }
    }
  };
  await Promise.all(Array.from({ length: clients * pool.bases.length }, (_, n) => client(n)));
  return { ...seen, byIsolate };
}

// Of the trial's five a minute each key has its next after 12 s.
for (const [preset, clients, ms] of [['trial', 3, 14_000], ['free', 6, 7_000]]) {
  describe(`four isolates over 12 keys of the ${preset} limits, asked for more than there is`, () => {
    let pool;
    let seen;
    let sends;
    let held;
    before(async () => {
      pool = await startFour(preset);
      const begun = performance.now();
      seen = await load(pool, clients, ms);
      sends = [...pool.sim.records];
      // What each bucket held at first, and the whole requests that flowed in since.
      held = KEYS * Math.floor(PRESETS[preset].requests.minute * (1 + (performance.now() - begun) / 60_000));
    });
    after(() => pool?.stop());
    const bounced = () => sends.filter(({ status }) => status === 429);
    const shares = () => pool.names.map((name) => sends.filter(({ key, status }) => key === name && status === 200).length);

    test('every client is answered, or told when to come back', (t) => {
      t.diagnostic(JSON.stringify({ ...seen, sent: sends.length, bounced: bounced().length, held: Math.round(held), shares: shares() }));
      assert.deepEqual(seen.other, []);
      assert.ok(seen.sentAway > 0, 'there was more load than capacity');
      assert.equal(sends.length - bounced().length, seen.answered, 'what was sent and did not bounce was answered');
      assert.ok(seen.byIsolate.every((count) => count > 0), `by isolate ${seen.byIsolate}`);
    });

    test('next to nothing bounces off the upstream', () => {
      const codes = [...new Set(bounced().map(({ code }) => code))];
      assert.ok(bounced().length <= Math.ceil(BOUNCES * sends.length), `${bounced().length} of ${sends.length} bounced: ${codes}`);
    });

    test('the quotas are used, all keys alike', () => {
      assert.ok(seen.answered >= YIELD * held, `${seen.answered} answered of ${Math.round(held)} that the quotas held`);
      assert.ok(jain(shares()) >= FAIR, `shares ${shares()}`);
    });

    // Natively: core/src/pool/scenarios/returns.rs.
    test('who comes back when told is served', () => {
      const came = seen.obeyed + seen.refusedAgain;
      assert.ok(seen.refusedAgain <= 0.01 * came, `${seen.refusedAgain} of ${came} were sent away again`);
    });
  });
}

test('a client sent away from one isolate, the only one to come back, is served when told at another', async () => {
  const pool = await startFour({ requests: { minute: 12 } });
  try {
    // Until the quotas are empty.
    let result;
    let asked = 0;
    do {
      const results = await Promise.all(Array.from({ length: 12 }, (_, n) => once(pool, pool.bases[n % 4], n)));
      asked += 12;
      result = results.find(({ status }) => status === 429);
      assert.ok(results.every(({ status }) => status === 200 || status === 429), results.map(({ text }) => text).join('\n'));
      assert.ok(asked <= 3 * KEYS * 12, 'the quotas end');
    } while (!result);
    await sleep(result.wait);
    const again = await once(pool, pool.bases[2], 0);
    assert.equal(again.status, 200, `${again.text} after ${result.wait} ms`);
    assert.deepEqual(pool.sim.records.filter(({ status }) => status === 429), []);
  } finally {
    await pool.stop();
  }
});
