// A thousand keys of which one works: what one request learns the pool keeps, so it is found soon and then used.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { keyName, startPool } from '../harness/rondo.mjs';
import { until } from './proxy.mjs';

const KEYS = 1_000;
const WORKS = keyName(617);
/** What a request may try by default. */
const BUDGET = 40;

const manyKeys = (settings) => startPool({ keys: KEYS, sim: { keys: [WORKS] }, settings });
const answered = async (response) => {
  const text = await response.text();
  return { status: response.status, text, attempts: Number(response.headers.get('x-rondo-attempts')) };
};

const statuses = (results) => results.map(({ status, attempts }) => `${status} after ${attempts}`).join(', ');

/** Refused keys were each tried once. */
function assertNothingTwice(sim) {
  const twice = Object.entries(sim.counts()).filter(([key, { requests }]) => key !== WORKS && requests > 1);
  assert.deepEqual(twice, [], 'no refused key is tried twice');
}

describe('one live key among 1,000', () => {
  const results = [];
  let pool;
  before(async () => {
    pool = await manyKeys();
    for (let n = 0; n < 26; n += 1) {
      const sent = pool.sim.records.length;
      const result = await answered(await pool.chat({ stream: n % 2 === 1 }));
      results.push({ ...result, sent: pool.sim.records.length - sent });
    }
  });
  after(() => pool?.stop());

  test('is found within 25 requests, within the budget of each', (t) => {
    const found = results.findIndex(({ status }) => status === 200) + 1;
    t.diagnostic(`found by request ${found}`);
    assert.ok(found >= 1 && found <= 25, statuses(results));
    for (const { status, text, attempts, sent } of results) {
      assert.equal(sent, attempts, 'the answer says how many were tried');
      assert.ok(attempts <= BUDGET, `${attempts} attempts`);
      if (status === 200) continue;
      assert.equal(attempts, BUDGET, 'the budget is used before the client is told');
      assert.ok(status >= 500, `${status} ${text}`);
    }
  });

  test('is used from then on: no later request fails', () => {
    const found = results.findIndex(({ status }) => status === 200);
    assert.deepEqual([...new Set(results.slice(found).map(({ status }) => status))], [200], statuses(results));
  });

  test('serves the 26th request at the first attempt', () => {
    const { status, attempts } = results.at(-1);
    assert.deepEqual([status, attempts], [200, 1], statuses(results));
  });

  test('leaves each of the others tried once at most, and known to be refused', async () => {
    assertNothingTwice(pool.sim);
    const tried = Object.keys(pool.sim.counts()).filter((key) => key !== WORKS).length;
    const refused = async () => (await pool.admin('GET', '/api/keys?status=invalid&per_page=1')).total;
    await until(async () => (await refused()) === tried, 5_000, `${tried} keys refused`);
  });
});

test('with a paid plan’s budget the first request finds the one live key among 1,000', async () => {
  const pool = await manyKeys({ attempt_budget: 900 });
  try {
    const first = await answered(await pool.chat());
    assert.equal(first.status, 200, first.text);
    assert.ok(first.attempts > BUDGET, `${first.attempts} attempts`);
    assertNothingTwice(pool.sim);
    const second = await answered(await pool.chat({ stream: true }));
    const third = await answered(await pool.chat());
    assert.deepEqual([second.status, third.status, third.attempts], [200, 200, 1]);
    assertNothingTwice(pool.sim);
  } finally {
    await pool.stop();
  }
});
