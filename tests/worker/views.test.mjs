// What the admin API shows of the pool: why a key was chosen, what is held of its limits, which keys look like one.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { MODEL, TOKEN, keyName, startPool } from '../harness/rondo.mjs';
import { until } from './proxy.mjs';

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Asks and reads the whole answer. */
async function said(pool, body) {
  const response = await pool.chat(body);
  await response.text();
  return response;
}

/** An admin whose every answer is kept, so that a test can look for what must not be in one. */
function recorded(pool) {
  const texts = [];
  const admin = async (...args) => {
    const answer = await pool.admin(...args);
    texts.push(JSON.stringify(answer));
    return answer;
  };
  const assertNoSecrets = () => {
    assert.ok(texts.length > 0);
    for (const secret of [...pool.names, TOKEN]) {
      assert.ok(!texts.some((text) => text.includes(secret)), 'a secret is in an answer');
    }
    assert.ok(!texts.some((text) => text.includes('sealed')), 'something sealed is in an answer');
  };
  return { admin, assertNoSecrets };
}

describe('a decision', async () => {
  const pool = await startPool({ keys: 3, settings: { max_wait_ms: 300 } });
  after(() => pool.stop());
  const { admin, assertNoSecrets } = recorded(pool);
  const { sim, names } = pool;

  test('names the key, the client token and the candidates', async () => {
    assert.equal((await said(pool, {})).status, 200);
    const used = sim.records.at(-1).key;
    const { items, total } = await admin('GET', '/api/decisions');
    const [latest] = items;
    const row = (await pool.keys()).get(used);
    assert.equal(latest.outcome.kind, 'granted');
    assert.match(latest.outcome.grant, /^\d+$/);
    assert.deepEqual([latest.outcome.key, latest.outcome.masked, latest.outcome.model], [row.id, row.masked, MODEL]);
    assert.deepEqual([latest.asked, latest.attempt, latest.ahead], [MODEL, 1, 0]);
    const [token] = (await admin('GET', '/api/tokens')).items;
    assert.deepEqual(latest.token, { id: token.id, name: token.name });
    assert.deepEqual([latest.candidates, latest.passed_over, latest.skipped], [3, 0, []]);
    assert.match(latest.at, RFC3339);
    assert.equal(total, items.length);
    const found = await admin('GET', `/api/decisions?grant=${latest.outcome.grant}`);
    assert.deepEqual(found, { items: [latest], total: 1 });
  });

  test('says who was passed over, why, and until when', async () => {
    sim.revoke(names[0]);
    sim.fault({ kind: 'status', status: 429, error: 'request_quota_exceeded', key: names[1], times: 1, retryAfter: 30 });
    const begun = Date.now();
    const rows = await pool.keys();
    const [invalid, limited, free] = names.map((name) => rows.get(name));
    const resting = (items) => items.find((item) => item.attempt === 1 && item.outcome.key === free.id && item.passed_over === 2);
    // Until the two were met, and reported.
    const decision = await until(async () => {
      assert.equal((await said(pool, {})).status, 200);
      return resting((await admin('GET', '/api/decisions?limit=5')).items);
    }, 10_000, 'a decision past the two');
    assert.equal(decision.candidates, 1);
    const skipped = new Map(decision.skipped.map((one) => [one.key, one]));
    assert.deepEqual([...skipped.keys()].sort(), [invalid.id, limited.id].sort());
    assert.deepEqual([skipped.get(invalid.id).why, skipped.get(invalid.id).masked], ['barred', invalid.masked]);
    assert.equal(skipped.get(limited.id).why, 'quota');
    const states = await pool.keys();
    assert.equal(skipped.get(limited.id).until, states.get(names[1]).until, 'what the list of keys says');
    const rest = Date.parse(skipped.get(limited.id).until) - begun;
    assert.ok(rest > 29_000 && rest < 42_000, `it rests ${rest} ms`);

    const ofLimited = await admin('GET', `/api/decisions?key=${limited.id}&limit=1000`);
    assert.ok(ofLimited.total > 0 && ofLimited.items.length === ofLimited.total);
    for (const { outcome, skipped: others } of ofLimited.items) {
      assert.ok(outcome.key === limited.id || others.some((one) => one.key === limited.id));
    }
    const two = await admin('GET', '/api/decisions?limit=2');
    assert.equal(two.items.length, 2);
    assert.ok(two.items[0].at >= two.items[1].at && two.total > 2);
  });

  test('to send nothing is one too, and says what it waits for', async () => {
    sim.revoke(names[2]);
    assert.equal((await said(pool, {})).status, 429);
    const [latest] = (await admin('GET', '/api/decisions?limit=1')).items;
    const { kind, why, after_ms: afterMs } = latest.outcome;
    assert.deepEqual([kind, why], ['retry_after', 'quota']);
    const ends = Date.parse((await pool.keys()).get(names[1]).until);
    assert.ok(Math.abs(Date.parse(latest.at) + afterMs - ends) <= 1_000, `${afterMs} ms from ${latest.at}, until ${ends}`);
  });

  test('is found by parameters that are checked, and holds no secret', async () => {
    for (const query of ['limit=0', 'limit=1001', 'grant=x', 'model=m']) {
      const problem = await pool.admin('GET', `/api/decisions?${query}`, undefined, { expect: [400] });
      assert.equal(problem.field, query.split('=')[0]);
    }
    assertNoSecrets();
  });
});

test('the limits held are those of the upstream, and the totals say how well they are foreseen', async () => {
  const pool = await startPool({ keys: 2, sim: { limits: 'trial' } });
  try {
    const { admin, assertNoSecrets } = recorded(pool);
    await said(pool, { max_completion_tokens: 100 });
    const used = pool.sim.records.at(-1).key;
    const rows = await pool.keys();
    const row = rows.get(used);
    const settled = async () => {
      const limits = await admin('GET', `/api/keys/${row.id}/limits`);
      return limits.models[0]?.open === 0 && limits.models[0].buckets.length > 0 && limits;
    };
    const { group, models } = await until(settled, 5_000, 'the request is settled');
    assert.equal(group, `key:${row.id}`);
    assert.deepEqual(models.map(({ model, open, reserved }) => [model, open, reserved]), [[MODEL, 0, 0]]);
    const real = pool.sim.buckets(used, MODEL);
    const names = { requests: 'requests', tokens: 'tokens', uncached_tokens: 'uncached', total_tokens: 'tokens' };
    const held = new Map(models[0].buckets.map((bucket) => [`${names[bucket.what]}-${bucket.window}`, bucket]));
    for (const name of ['requests-minute', 'requests-hour', 'requests-day']) {
      const { limit, remaining, source, full_at: fullAt } = held.get(name);
      assert.deepEqual([limit, source], [real[name].limit, 'learned'], name);
      assert.ok(Math.abs(remaining - real[name].remaining) <= 1, `${name}: ${remaining} held, ${real[name].remaining} there`);
      if (fullAt !== null) assert.match(fullAt, RFC3339);
    }
    // Of the minute's tokens the headers show the tighter bucket, which counts no cached ones.
    const tokens = models[0].buckets.find(({ what, window }) => what !== 'requests' && window === 'minute');
    assert.equal(tokens.limit, real['uncached-minute'].limit);
    assert.ok(Math.abs(tokens.remaining - real['uncached-minute'].remaining) <= 600, `${tokens.remaining} tokens held`);

    await pool.admin('GET', '/api/keys/k_none/limits', undefined, { expect: [404] });

    const stats = await admin('GET', '/api/stats');
    const { waiting, under_way: underWay, foresight } = stats.pool;
    assert.deepEqual([waiting, underWay], [0, 0]);
    assert.deepEqual([foresight.sent, foresight.unforeseen_429s, foresight.expected_429s], [1, 0, 0]);
    assert.ok(foresight.mean_error === null ? foresight.readings === 0 : foresight.mean_error >= 0 && foresight.mean_error < 0.05);
    assertNoSecrets();
  } finally {
    await pool.stop();
  }
});

test('many keys are put into one group, and out of it, in one call', async () => {
  const pool = await startPool({ keys: 5 });
  try {
    const { admin } = recorded(pool);
    const { items } = await admin('GET', '/api/keys');
    const ids = items.map((item) => item.id);
    assert.deepEqual(await admin('POST', '/api/keys/group', { ids: [...ids.slice(0, 3), 'k_none'], group: 'team' }), { changed: 3 });
    assert.deepEqual(await admin('POST', '/api/keys/group', { ids: ids.slice(0, 4), group: 'team' }), { changed: 1 });
    assert.equal((await admin('GET', '/api/keys?group=team')).total, 4);
    assert.equal((await admin('GET', `/api/keys/${ids[3]}/limits`)).group, 'group:team', 'the pool knows at once');
    assert.deepEqual(await admin('POST', '/api/keys/group', { ids, group: null }), { changed: 4 });
    assert.equal((await admin('GET', `/api/keys/${ids[3]}/limits`)).group, `key:${ids[3]}`);
    const log = (await admin('GET', '/api/audit')).items.filter((row) => row.action === 'key.group').map((row) => row.detail);
    assert.deepEqual(log, ['4 keys into groups of their own', '1 keys into team', '3 keys into team']);
  } finally {
    await pool.stop();
  }
});

describe('keys of one organisation', async () => {
  const plan = (day) => ({ requests: { minute: 3_000, day } });
  const shared = [0, 1, 2, 3].map(keyName);
  const pool = await startPool({
    keys: 5,
    // Two pairs of keys, and one key alone. Pairs of one plan, used in strict turn, would be told apart only after long.
    sim: {
      limits: plan(14_400),
      keys: [...shared.map((key, n) => (n < 2 ? { key, org: 'one', limits: plan(14_400) } : { key, org: 'two', limits: plan(20_000) })), keyName(4)],
    },
  });
  after(() => pool.stop());
  const { admin, assertNoSecrets } = recorded(pool);
  let rows;
  const idsOf = (...numbers) => numbers.map((n) => rows.get(keyName(n)).id).sort();
  const suggested = async () => (await admin('GET', '/api/keys/suggestions')).items;
  const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

  test('are noticed from what their answers say, and nothing regroups by itself', { timeout: 150_000 }, async () => {
    rows = await pool.keys();
    const pairs = [idsOf(0, 1), idsOf(2, 3)];
    const items = await until(async () => {
      for (let n = 0; n < 10; n += 1) assert.equal((await said(pool, { max_completion_tokens: 20 })).status, 200);
      const found = await suggested();
      return found.length >= 2 && found;
    }, 120_000, 'two suggestions');
    const keysOf = (item) => item.keys.map((key) => key.id).sort();
    assert.deepEqual(items.map(keysOf).sort(), [...pairs].sort(), 'the two pairs, and not the key alone');
    for (const item of items) {
      assert.deepEqual(item.groups, keysOf(item).map((id) => `key:${id}`));
      assert.equal(item.model, MODEL);
      assert.match(item.since, RFC3339);
      const { observations, limit, window, drop, own, others_least: least, others_most: most } = item.evidence;
      assert.deepEqual([limit, window], [same(keysOf(item), pairs[0]) ? 14_400 : 20_000, 'day']);
      assert.ok(observations >= 10 && drop > own && least <= most, JSON.stringify(item.evidence));
      for (const key of item.keys) assert.ok(item.text.includes(key.label || key.masked), item.text);
      assert.ok(item.text.includes(`${observations} observations with ${MODEL}`), item.text);
    }
    assert.ok([...(await pool.keys()).values()].every((row) => row.group === null));
  });

  test('are one from the call that confirms it', async () => {
    const [first] = (await suggested()).filter((item) => same(item.keys.map((key) => key.id).sort(), idsOf(0, 1)));
    const answer = await admin('POST', '/api/keys/suggestions', { groups: first.groups, accept: true });
    assert.deepEqual(answer, { group: 'shared-1', changed: 2 });
    rows = await pool.keys();
    assert.deepEqual([0, 1, 2, 3, 4].map((n) => rows.get(keyName(n)).group), ['shared-1', 'shared-1', null, null, null]);
    assert.ok((await suggested()).every((item) => !item.groups.some((group) => first.groups.includes(group))));
    await pool.admin('POST', '/api/keys/suggestions', { groups: first.groups, accept: true }, { expect: [409] });

    const used = () => pool.sim.records.some((record) => record.org === 'one');
    pool.sim.resetRecords();
    await until(async () => (await said(pool, { max_completion_tokens: 20 })).status === 200 && used(), 10_000, 'one of them is used');
    const views = await until(async () => {
      // What an answer says of the limits does not travel with each report.
      await said(pool, { max_completion_tokens: 20 });
      const both = await Promise.all(idsOf(0, 1).map((id) => admin('GET', `/api/keys/${id}/limits`)));
      const levels = both.map((view) => view.models.map((model) => model.buckets.map((bucket) => [bucket.what, bucket.window, bucket.limit, bucket.remaining])));
      return both[0].models[0]?.open === 0 && levels[0].flat().length > 0 && same(levels[0], levels[1]) && both;
    }, 20_000, 'both show the same limits');
    assert.deepEqual(views.map((view) => view.group), ['group:shared-1', 'group:shared-1']);
    const day = views[0].models[0].buckets.find((bucket) => bucket.what === 'requests' && bucket.window === 'day');
    const real = pool.sim.buckets('one', MODEL)['requests-day'];
    assert.ok(Math.abs(day.remaining - real.remaining) <= 2, `${day.remaining} held, ${real.remaining} there`);
  });

  test('are not suggested again once that is dismissed, after a restart either', { timeout: 150_000 }, async () => {
    // Its evidence stands, but it is said again only with the next reading.
    const other = await until(async () => {
      await said(pool, { max_completion_tokens: 20 });
      return (await suggested())[0];
    }, 10_000, 'the other suggestion');
    assert.deepEqual(other.keys.map((key) => key.id).sort(), idsOf(2, 3));
    await admin('POST', '/api/keys/suggestions', { groups: other.groups, accept: false });
    assert.deepEqual(await suggested(), []);
    await pool.rondo.restart();
    // The first pair, taken apart again, tells when the other would be noticed too.
    await admin('POST', '/api/keys/group', { ids: idsOf(0, 1), group: null });
    const noticed = async () => {
      for (let n = 0; n < 10; n += 1) assert.equal((await said(pool, { max_completion_tokens: 20 })).status, 200);
      return (await suggested()).map((item) => item.keys.map((key) => key.id).sort());
    };
    assert.deepEqual(await until(async () => {
      const found = await noticed();
      return found.length > 0 && found;
    }, 120_000, 'the first pair again'), [idsOf(0, 1)]);
    for (let n = 0; n < 10; n += 1) assert.ok((await noticed()).every((ids) => same(ids, idsOf(0, 1))));
    const actions = (await admin('GET', '/api/audit')).items.map((row) => row.action);
    assert.ok(actions.includes('suggestion.accept') && actions.includes('suggestion.dismiss'));
    assertNoSecrets();
  });
});
