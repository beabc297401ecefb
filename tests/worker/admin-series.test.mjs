// The figures of the admin API: numbers over time, the first page's overview, and what Prometheus reads.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MODEL, TOKEN, startPool } from '../harness/rondo.mjs';
import { PLAN_ENTRY, planner } from './plans.mjs';
import { until } from './proxy.mjs';

const HOUR_MS = 3_600_000;
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const NO_ERRORS = { rate_limited: 0, client: 0, upstream: 0, unavailable: 0, broken: 0 };

/** The sum of one number over points, and of each kind of error. */
const sum = (points, of) => points.reduce((sums, point) => sums + of(point), 0);
const errorsOf = (points) =>
  Object.fromEntries(Object.keys(NO_ERRORS).map((name) => [name, sum(points, (point) => point.errors_by?.[name] ?? 0)]));

/** The samples of an exposition by name and labels; asserts that each family is declared once and before its samples. */
function samplesOf(text) {
  const samples = new Map();
  const families = new Map();
  assert.ok(text.endsWith('\n'));
  for (const line of text.slice(0, -1).split('\n')) {
    const type = line.match(/^# TYPE (\w+) (counter|gauge|histogram)$/);
    if (type) {
      assert.ok(!families.has(type[1]), `${type[1]} is declared twice`);
      families.set(type[1], type[2]);
    } else if (!line.startsWith('# HELP ')) {
      const [, name, labels = '', value] = line.match(/^(\w+)(\{(?:\w+="(?:[^"\\\n]|\\.)*",?)+\})? ([0-9.e+]+)$/) ?? assert.fail(line);
      assert.ok(families.has(name) || families.has(name.replace(/_(bucket|sum|count)$/, '')), `${name} is not declared`);
      assert.ok(!samples.has(name + labels), `${name}${labels} is there twice`);
      samples.set(name + labels, Number(value));
    }
  }
  return samples;
}

describe('figures', async () => {
  let pool;
  let limited;
  let begun;
  const scrape = (headers) => pool.rondo.fetch('/metrics', { headers });
  const metrics = async () => {
    const response = await scrape({ authorization: `Bearer ${limited.token}` });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    return samplesOf(await response.text());
  };
  /** Points of the only series. */
  const points = async (query) => {
    const { series } = await pool.admin('GET', `/api/stats/series?${query}`);
    assert.equal(series.length, 1, JSON.stringify(series));
    return series[0].points;
  };

  before(async () => {
    // One attempt each, so that what the upstream does is what the client gets.
    pool = await startPool({ keys: 2, settings: { attempt_budget: 1, max_wait_ms: 300 } });
    limited = await pool.admin('POST', '/api/tokens', { name: 'scraper', requests_per_minute: 1, metrics: true });
    begun = new Date(Date.now() - HOUR_MS / 2).toISOString();
    const said = async (status, body, init) => {
      const response = await pool.chat(body, init);
      const text = await response.text();
      assert.equal(response.status, status, text);
      return text;
    };
    const eight = [{ role: 'user', content: 'Hello [[tokens=8]]' }];
    await said(200, { messages: eight });
    await said(200, { messages: eight, stream: true });
    await said(200, { messages: eight }, { token: limited.token });
    await said(429, { messages: eight }, { token: limited.token });
    await said(400, { messages: eight, temperature: 'hot' });
    pool.sim.fault({ kind: 'status', status: 500, times: 1 });
    await said(500, { messages: eight });
    await said(200, { messages: eight });
    pool.sim.fault({ kind: 'status', status: 503, times: 1 });
    await said(503, { messages: eight });
    await said(200, { messages: eight });
    pool.sim.fault({ kind: 'error-event', afterChunks: 2, times: 1 });
    assert.match(await said(200, { messages: eight, stream: true }), /error/);
    await until(async () => (await pool.admin('GET', '/api/stats')).totals.requests === 10, 5_000, 'all is on the books');
  });
  after(() => pool?.stop());

  test('a series tells what happened, by minute, hour and day', async () => {
    const { totals } = await pool.admin('GET', '/api/stats');
    assert.ok(totals.completion_tokens >= 5 * 8);
    for (const step of ['minute', 'hour', 'day']) {
      const all = await points(`step=${step}&from=${begun}`);
      assert.ok(all.length >= 1 && all.length <= 2, `${all.length} points by ${step}`);
      assert.deepEqual([sum(all, (at) => at.requests), sum(all, (at) => at.errors), sum(all, (at) => at.cut)], [10, 5, 0], step);
      assert.deepEqual(errorsOf(all), { rate_limited: 1, client: 1, upstream: 1, unavailable: 1, broken: 1 }, step);
      for (const kind of ['prompt_tokens', 'completion_tokens', 'cached_tokens']) assert.equal(sum(all, (at) => at[kind]), totals[kind], kind);
      for (const point of all.filter((at) => at.requests > at.errors)) {
        assert.match(point.at, RFC3339);
        for (const { p50, p95 } of [point.latency_ms, point.first_event_ms]) assert.ok(p50 > 0 && p50 <= p95 && p95 < 60_000);
      }
    }
  });

  test('the step follows the span, and the answer says what it tells', async () => {
    const { from, to, step, by, series } = await pool.admin('GET', '/api/stats/series');
    assert.deepEqual([Date.parse(to) - Date.parse(from), step, by], [HOUR_MS, 'minute', null]);
    assert.deepEqual([series[0].id, series[0].name], [null, null]);
    const week = await pool.admin('GET', `/api/stats/series?from=${new Date(Date.now() - 7 * 24 * HOUR_MS).toISOString()}`);
    assert.equal(week.step, 'hour');
    const before = await pool.admin('GET', '/api/stats/series?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z');
    assert.deepEqual(before.series, [{ id: null, name: null, points: [] }]);
  });

  test('series by token, model and key have names, the busiest first, and can be asked for one by one', async () => {
    const byToken = await pool.admin('GET', `/api/stats/series?by=token&from=${begun}`);
    assert.deepEqual([byToken.step, byToken.by], ['hour', 'token']);
    assert.deepEqual(byToken.series.map(({ points: of }) => sum(of, (at) => at.requests)), [8, 2]);
    assert.deepEqual([byToken.series[1].id, byToken.series[1].name], [limited.id, 'scraper']);
    assert.deepEqual(errorsOf(byToken.series[1].points), { ...NO_ERRORS, rate_limited: 1 });
    assert.deepEqual(await points(`by=token&id=${limited.id}&from=${begun}`), byToken.series[1].points);
    assert.deepEqual((await pool.admin('GET', '/api/stats/series?by=token&id=t_none')).series, []);

    const byModel = await pool.admin('GET', `/api/stats/series?by=model&step=day&from=${begun}`);
    assert.deepEqual(byModel.series.map(({ id, name }) => [id, name]), [[MODEL, MODEL]]);
    assert.equal(sum(byModel.series[0].points, (at) => at.requests), pool.sim.records.length, 'attempts');
    assert.deepEqual(errorsOf(byModel.series[0].points), { ...NO_ERRORS, client: 1, upstream: 1, unavailable: 1, broken: 1 });

    const byKey = await pool.admin('GET', `/api/stats/series?by=key&step=hour&from=${begun}`);
    const rows = [...(await pool.keys()).values()];
    for (const { id, name, points: of } of byKey.series) {
      const row = rows.find((key) => key.id === id);
      assert.equal(name, row.label || row.masked);
      assert.equal(sum(of, (at) => at.requests), row.requests);
      assert.ok(of.every((at) => at.errors_by === null && at.latency_ms === null), 'not kept for keys');
    }
    assert.equal(byKey.series.length, 2);
  });

  test('parameters that are wrong are named', async () => {
    const far = 'from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z';
    for (const [query, field] of [
      ['from=yesterday', 'from'], ['to=2026-11-21', 'to'], ['from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z', 'from'],
      ['step=second', 'step'], [`step=minute&${far}`, 'step'], ['step=minute&by=token', 'step'], ['step=minute&by=model', 'step'],
      ['by=pool', 'by'], ['id=k_1', 'id'], ['limit=5', 'limit'],
    ]) {
      const problem = await pool.admin('GET', `/api/stats/series?${query}`, undefined, { expect: [400] });
      assert.equal(problem.field, field, query);
    }
    const steps = await pool.admin('GET', '/api/stats/series?step=minute&by=token', undefined, { expect: [400] });
    assert.match(steps.detail, /hour, day/);
    assert.equal((await pool.admin('GET', '/api/overview?x=1', undefined, { expect: [400] })).field, 'x');
  });

  test('the overview tells the state, the pace and the fuel', async () => {
    const view = await pool.admin('GET', '/api/overview');
    assert.match(view.at, RFC3339);
    assert.deepEqual([view.ready, view.demo, view.missing], [true, false, []]);
    const { total, active, cooling } = view.keys;
    assert.deepEqual([total, active + cooling], [2, 2]);
    const { requests_per_minute: requests, tokens_per_minute: tokens, waiting, under_way: underWay } = view.now;
    assert.ok(requests >= 1 && requests <= 10 && tokens >= requests, JSON.stringify(view.now));
    assert.deepEqual([waiting, underWay], [0, 0]);
    const { quota, cloudflare } = view.fuel;
    assert.deepEqual([quota.lasts_s, quota.group], [null, null], 'this upstream has limits that nobody reaches');
    assert.ok(quota.groups.length === 2 && quota.groups.every((of) => of.lasts_s === null && of.left > 1e6));
    const since = `${new Date().toISOString().slice(0, 10)}T00:00:00.000Z`;
    assert.deepEqual([cloudflare.estimated, cloudflare.plan, cloudflare.since], [true, 'free', since]);
    const items = new Map(cloudflare.items.map(({ name, used, limit }) => [name, { used, limit }]));
    assert.deepEqual([...items.keys()], ['requests', 'object_requests', 'rows_written', 'rows_read']);
    assert.deepEqual(items.get('requests'), { used: 10, limit: 100_000 });
    assert.deepEqual(['object_requests', 'rows_written', 'rows_read'].map((name) => items.get(name).limit), [100_000, 100_000, 5_000_000]);
    for (const name of ['object_requests', 'rows_written', 'rows_read']) {
      assert.ok(items.get(name).used >= 10 && items.get(name).used < 2_000, `${name}: ${items.get(name).used}`);
    }
    const later = await pool.admin('GET', '/api/overview');
    const calls = (of) => of.fuel.cloudflare.items[1].used;
    assert.ok(calls(later) > calls(view), 'this call is one too');
  });

  test('metrics tell the same, and name no token and no secret', async () => {
    const samples = await metrics();
    const said = (name) => samples.get(name);
    assert.equal(said('rondo_requests_total'), 10);
    for (const name of Object.keys(NO_ERRORS)) assert.equal(said(`rondo_request_errors_total{class="${name}"}`), 1, name);
    const { totals } = await pool.admin('GET', '/api/stats');
    for (const kind of ['prompt', 'completion', 'cached']) assert.equal(said(`rondo_tokens_total{kind="${kind}"}`), totals[`${kind}_tokens`]);
    assert.equal(said(`rondo_model_attempts_total{model="${MODEL}"}`), pool.sim.records.length);
    assert.equal(said('rondo_keys{status="active"}') + said('rondo_keys{status="cooling"}'), 2);
    assert.deepEqual([said('rondo_requests_waiting'), said('rondo_requests_under_way'), said('rondo_unforeseen_429s_total')], [0, 0, 0]);
    for (const [name, count] of [['rondo_request_duration_seconds', 5], ['rondo_first_event_seconds', 6]]) {
      assert.equal(said(`${name}_count`), count, name);
      assert.equal(said(`${name}_bucket{le="+Inf"}`), count);
      const buckets = [...samples].filter(([line]) => line.startsWith(`${name}_bucket`)).map(([, value]) => value);
      assert.deepEqual(buckets, [...buckets].sort((one, other) => one - other), 'buckets are cumulative');
      assert.ok(said(`${name}_sum`) > 0);
    }
    const text = [...samples.keys()].join('\n');
    for (const secret of [...pool.names, TOKEN, limited.token, 'scraper', 'csk-']) assert.ok(!text.includes(secret), secret);
  });

  test('metrics are for an admin, or a token that is marked for them', async () => {
    for (const headers of [{}, { authorization: `Bearer ${TOKEN}` }, { authorization: 'Bearer rk-nobody-knows-this-one' }]) {
      const refused = await scrape(headers);
      assert.equal(refused.status, 401);
      assert.match(refused.headers.get('content-type'), /^application\/problem\+json/);
      await refused.text();
    }
    assert.equal((await pool.rondo.fetch('/metrics', { method: 'POST' })).status, 405);
    await pool.admin('PATCH', `/api/tokens/${limited.id}`, { enabled: false });
    assert.equal((await scrape({ authorization: `Bearer ${limited.token}` })).status, 401);
    await pool.admin('PATCH', `/api/tokens/${limited.id}`, { enabled: true });
    await metrics();
  });

  test('all of it survives a restart', async () => {
    const figures = async () => [...(await metrics())].filter(([name]) => /^rondo_(request|first_event|tokens|model)/.test(name));
    const [before, points1] = [await figures(), await points(`step=hour&from=${begun}`)];
    const spent = async () => (await pool.admin('GET', '/api/overview')).fuel.cloudflare.items;
    const [, , written] = await spent();
    await pool.rondo.restart();
    assert.deepEqual(await figures(), before);
    assert.deepEqual(await points(`step=hour&from=${begun}`), points1);
    const [requests, , writtenAfter] = await spent();
    assert.equal(requests.used, 10);
    assert.ok(writtenAfter.used >= written.used / 2, 'what was spent is kept with the checkpoints');
  });
});

test('the fuel is what is left upstream, and says what runs out first', async () => {
  const pool = await startPool({ keys: 2, sim: { limits: { requests: { minute: 3_000, day: 1_440 } } } });
  try {
    for (let n = 0; n < 12; n += 1) assert.equal((await (await pool.chat({ max_completion_tokens: 8 })).text()).length > 0, true);
    const view = await until(async () => {
      const { fuel, now } = await pool.admin('GET', '/api/overview');
      return now.under_way === 0 && fuel.quota.groups.length === 2 && fuel;
    }, 5_000, 'both keys are known');
    const { lasts_s: lasts, group, groups } = view.quota;
    const ids = [...(await pool.keys()).values()].map(({ id }) => `key:${id}`);
    assert.deepEqual(groups.map((of) => of.group).sort(), ids.sort());
    for (const of of groups) {
      assert.deepEqual([of.model, of.keys, of.window, of.counted, of.limit], [MODEL, 1, 'day', 'requests', 1_440]);
      assert.ok(of.left >= 1_432 && of.left <= 1_435, `${of.left} left`);
      assert.ok(of.per_minute > 4 && of.per_minute < 8, `${of.per_minute} a minute`);
      // 1 a minute refills.
      assert.ok(Math.abs(of.lasts_s - (of.left / (of.per_minute - 1)) * 60) < 120, JSON.stringify(of));
    }
    assert.deepEqual([lasts, group], [groups[0].lasts_s, groups[0].group]);
    assert.ok(groups[0].lasts_s <= groups[1].lasts_s);
  } finally {
    await pool.stop();
  }
});

test('what was counted before errors and times were kept is read, and counted on', async () => {
  const pool = await startPool({ keys: 1 });
  try {
    await (await pool.chat()).text();
    await until(async () => (await pool.admin('GET', '/api/stats')).totals.requests === 1, 5_000, 'it is on the books');
    const db = await pool.rondo.db();
    await db.batch([
      db.prepare('ALTER TABLE usage DROP COLUMN detail'),
      db.prepare("DELETE FROM d1_migrations WHERE name LIKE '0002%'"),
      db.prepare("UPDATE usage SET id = 't_old' WHERE dim = 'token'"),
    ]);
    await pool.rondo.restart();
    await (await pool.chat()).text();
    await until(async () => (await pool.admin('GET', '/api/stats')).totals.requests >= 2, 5_000, 'both are on the books');
    const { series } = await pool.admin('GET', '/api/stats/series?by=token&id=t_old&step=day');
    assert.deepEqual(series[0].points.map(({ requests, errors_by, latency_ms }) => [requests, errors_by, latency_ms]), [[1, null, null]]);
    const all = (await pool.admin('GET', '/api/stats/series?step=day')).series[0].points;
    assert.equal(sum(all, (at) => at.requests), 2);
    assert.deepEqual(errorsOf(all), NO_ERRORS);
  } finally {
    await pool.stop();
  }
});

// The Coordinator does not answer once it was told so.
const SILENCEABLE = `
import worker, { Coordinator as Real } from './index.js';
export * from './index.js';
export default worker;
let silent = false;
export class Coordinator extends Real {
  fetch(request) {
    if (new URL(request.url).pathname === '/test/silent') { silent = true; return new Response(''); }
    return silent ? new Promise(() => {}) : super.fetch(request);
  }
}`;

test('while the Coordinator does not answer the overview says what is known, and metrics are 503', async () => {
  const pool = await startPool({ keys: 2, worker: { entry: SILENCEABLE } });
  try {
    await pool.admin('GET', '/api/overview');
    await pool.rondo.coordinator('/test/silent');
    const { ready, missing, keys, now, fuel } = await pool.admin('GET', '/api/overview');
    assert.deepEqual([ready, missing, now], [false, [], null]);
    assert.deepEqual(keys, { total: 2, active: 2, cooling: 0, suspended: 0, invalid: 0, disabled: 0 });
    assert.deepEqual(fuel.quota, { lasts_s: null, group: null, name: null, groups: [] });
    assert.deepEqual(fuel.cloudflare.items, []);
    await pool.admin('GET', '/metrics', undefined, { expect: [503] });
  } finally {
    await pool.stop();
  }
});

test('a series is read in one query by primary key', async () => {
  const pool = await startPool({ keys: 1, worker: { edges: 1, edgeEntry: PLAN_ENTRY } });
  try {
    const { items } = await pool.admin('GET', '/api/keys');
    const planned = await planner(pool);
    for (const query of ['', '?by=token', '?by=model', '?by=key', `?by=key&id=${items[0].id}`]) {
      const plans = (await planned(`/api/stats/series${query}`)).plans.filter(({ sql }) => sql.includes('usage'));
      assert.equal(plans.length, 1, query);
      const [{ steps }] = plans;
      assert.ok(steps.some((step) => /^SEARCH u USING PRIMARY KEY \(grain=\? AND dim=\? AND id=\? AND at>\? AND at<\?\)$/.test(step)), steps.join('\n'));
      assert.ok(steps.every((step) => !step.startsWith('SCAN') || step === 'SCAN b'), steps.join('\n'));
    }
  } finally {
    await pool.stop();
  }
});
