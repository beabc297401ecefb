// The stories of requests: the list, the live stream, and the playground, whose requests are told there too.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { MODEL, PASSWORD, TOKEN, startPool } from '../harness/rondo.mjs';
import { assertProblem, caller } from './admin-client.mjs';
import { events, until } from './proxy.mjs';

const PROMPT = 'a-prompt-that-nobody-keeps-51c09e';
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Asks under that request id, reads the answer, and waits until it is told. */
async function told(pool, id, body = {}, headers = {}) {
  const response = await pool.chat({ messages: [{ role: 'user', content: PROMPT }], ...body }, { headers: { 'x-request-id': id, ...headers } });
  await response.text();
  return until(async () => (await pool.admin('GET', '/api/requests')).items.find((story) => story.id === id), 5_000, `${id} is told`);
}

/** Follows the live stream. `next(kind, fits)` gives the next event of that kind, `stop()` leaves. */
async function follow(pool, session, { path = '/api/events', headers = {} } = {}) {
  const leaving = new AbortController();
  const response = await pool.rondo.fetch(path, { headers: { authorization: `Bearer ${session}`, ...headers }, signal: leaving.signal });
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  const seen = [];
  let text = '';
  const reading = (async () => {
    for await (const chunk of response.body) {
      text += Buffer.from(chunk).toString();
      const parts = text.split('\n\n');
      text = parts.pop();
      for (const part of parts) {
        const fields = Object.fromEntries(part.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]));
        seen.push({ ...fields, at: Date.now(), data: fields.data && JSON.parse(fields.data) });
      }
    }
  })().catch(() => {});
  return {
    seen,
    next: (kind, fits = () => true, ms = 6_000) => until(() => seen.find((event) => event.event === kind && fits(event.data)), ms, `${kind} among ${JSON.stringify(seen)}`),
    stop: async () => {
      leaving.abort();
      await reading;
    },
  };
}

async function sessionOf(pool) {
  await pool.admin('GET', '/api/settings');
  return (await caller(pool.rondo)('POST', '/api/auth/login', { password: PASSWORD })).body.token;
}

describe('the last requests', async () => {
  const pool = await startPool({ keys: 3 });
  after(() => pool.stop());
  const { sim, names } = pool;

  test('one that failed over tells both attempts, with masked keys', async () => {
    sim.fault({ kind: 'status', status: 500, times: 1 });
    sim.resetRecords();
    const story = await told(pool, 'fails-over', { stream: true });
    const [first, second] = sim.records.map((record) => record.key);
    const rows = await pool.keys();
    assert.deepEqual(story.attempts.map((one) => [one.key, one.masked, one.end, one.status, one.model]), [
      [rows.get(first).id, rows.get(first).masked, 'upstream', 500, MODEL],
      [rows.get(second).id, rows.get(second).masked, 'ok', 200, MODEL],
    ]);
    const [token] = (await pool.admin('GET', '/api/tokens')).items;
    assert.deepEqual(story.token, { id: token.id, name: token.name });
    assert.deepEqual([story.asked, story.model, story.status, story.error, story.cut, story.stream, story.playground], [MODEL, MODEL, 200, false, false, true, false]);
    assert.ok(story.usage.completion_tokens > 0 && story.usage.estimated === false);
    assert.match(story.at, RFC3339);
    assert.ok(story.duration_ms >= story.first_event_ms && story.first_event_ms >= story.attempts[1].first_event_ms);
    for (const { grant } of story.attempts) {
      const { items } = await pool.admin('GET', `/api/decisions?grant=${grant}`);
      assert.equal(items.length, 1, 'each attempt leads to why its key was chosen');
    }
  });

  test('are found by how they ended, model and place', async () => {
    sim.fault({ kind: 'status', status: 400, times: 1 });
    const bad = await told(pool, 'not-taken');
    assert.deepEqual([bad.status, bad.error, bad.attempts.length, bad.attempts[0].end], [400, true, 1, 'client']);
    const good = await told(pool, 'taken');
    const found = async (query) => (await pool.admin('GET', `/api/requests?${query}`)).items.map((story) => story.id);
    assert.deepEqual(await found('status=error'), ['not-taken']);
    assert.deepEqual(await found('status=400'), ['not-taken']);
    assert.deepEqual(await found('status=ok&limit=1'), ['taken']);
    assert.deepEqual(await found(`before=${good.seq}&limit=1`), ['not-taken']);
    assert.deepEqual(await found(`model=${MODEL}`), ['taken', 'not-taken', 'fails-over']);
    assert.deepEqual(await found('model=none'), []);
    assert.deepEqual(await found('token=t_none'), []);
    const { seq, kept } = await pool.admin('GET', '/api/requests?limit=1');
    assert.deepEqual([seq, kept], [good.seq, 3]);
    for (const query of ['limit=501', 'before=x', 'status=fine', 'page=1']) {
      const problem = await pool.admin('GET', `/api/requests?${query}`, undefined, { expect: [400] });
      assert.equal(problem.field, query.split('=')[0]);
    }
  });

  test('one that never got a key is told too', async () => {
    names.forEach((name) => sim.revoke(name));
    const story = await told(pool, 'nobody-left');
    assert.ok(story.error && story.status >= 429, `${story.status}`);
    assert.ok(story.attempts.length > 0 && story.attempts.every((one) => one.end === 'key' && one.status === 401));
  });

  test('hold no prompt and no secret', async () => {
    const text = JSON.stringify(await pool.admin('GET', '/api/requests?limit=500'));
    for (const secret of [PROMPT, TOKEN, ...names]) assert.ok(!text.includes(secret));
  });
});

describe('the live stream', async () => {
  const pool = await startPool({ keys: 2, sim: { chunkDelayMs: 20 } });
  after(() => pool.stop());
  const session = await sessionOf(pool);

  test('tells a request as it ends, and how the pool does', async () => {
    const live = await follow(pool, session);
    await live.next('pulse', ({ waiting, under_way: underWay, at }) => waiting === 0 && underWay === 0 && RFC3339.test(at));
    assert.equal(live.seen[0].retry, '500');
    const story = await told(pool, 'live-one');
    const event = await live.next('request', ({ id }) => id === 'live-one');
    assert.deepEqual(event.data, story);
    assert.equal(event.id, String(story.seq));
    const between = event.at - Date.parse(story.at);
    assert.ok(between < 3_000, `it came ${between} ms after its end`);
    await live.stop();
  });

  test('wakes at once when something happens in a quiet time', async () => {
    const live = await follow(pool, session);
    await live.next('pulse');
    // The stream's call is waiting inside the object now.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    const story = await told(pool, 'after-a-pause');
    const event = await live.next('request', ({ id }) => id === 'after-a-pause');
    assert.ok(event.at - Date.parse(story.at) < 1_500, `it came ${event.at - Date.parse(story.at)} ms after its end`);
    const busy = told(pool, 'busy', { stream: true, messages: [{ role: 'user', content: '[[tokens=400 delay=20]]' }] });
    await live.next('pulse', ({ under_way: underWay }) => underWay > 0, 10_000);
    await busy;
    const pulses = live.seen.filter((one) => one.event === 'pulse').map((one) => Date.parse(one.data.at));
    pulses.slice(1).forEach((at, n) => assert.ok(at - pulses[n] >= 2_000, 'each 2 s at the most'));
    await live.stop();
  });

  test('is taken up where it was left, after a restart of everything too', async () => {
    const [last] = (await pool.admin('GET', '/api/requests?limit=1')).items;
    const missed = await told(pool, 'missed-one');
    const again = await follow(pool, session, { headers: { 'last-event-id': String(last.seq) } });
    assert.deepEqual((await again.next('request')).data, missed);
    await again.stop();
    const bySince = await follow(pool, session, { path: `/api/events?since=${last.seq}` });
    assert.equal((await bySince.next('request')).data.id, 'missed-one');
    await bySince.stop();

    await pool.rondo.restart();
    const later = await told(pool, 'after-the-restart');
    assert.ok(later.seq > missed.seq, 'numbers go on');
    const after_ = await follow(pool, session, { headers: { 'last-event-id': String(missed.seq) } });
    assert.equal((await after_.next('request')).data.id, 'after-the-restart');
    await after_.stop();
    assertProblem(await caller(pool.rondo, { authorization: `Bearer ${session}` })('GET', '/api/events?since=x'), 400, 'since');
    assertProblem(await caller(pool.rondo)('GET', '/api/events'), 401);
  });
});

test('stories are written nowhere', async () => {
  const persist = mkdtempSync(join(tmpdir(), 'rondo-stories-'));
  const pool = await startPool({ keys: 2, worker: { persist } });
  try {
    const story = await told(pool, 'in-memory-only-3f81');
    const stored = readdirSync(persist, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath ?? entry.path, entry.name), 'latin1'));
    assert.ok(stored.some((text) => text.includes(`"key":"${story.attempts[0].key}"`)), 'the report itself is in the journal');
    for (const text of [...stored, pool.rondo.logs.join('\n')]) assert.ok(!text.includes(story.id) && !text.includes(PROMPT));
  } finally {
    await pool.stop();
    rmSync(persist, { recursive: true, force: true });
  }
});

describe('the playground', async () => {
  const pool = await startPool({ keys: 2 });
  after(() => pool.stop());
  const session = await sessionOf(pool);
  const post = (body, headers) =>
    pool.rondo.fetch('/api/playground', {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: PROMPT }], ...body }),
    });
  const cookie = `rondo=${session}`;

  test('streams with a session, through the course of every request', async () => {
    pool.sim.fault({ kind: 'status', status: 500, times: 1 });
    const response = await post({ stream: true }, { cookie, origin: pool.rondo.url, 'x-request-id': 'played' });
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^text\/event-stream/);
    assert.equal(response.headers.get('x-request-id'), 'played');
    assert.equal(response.headers.get('x-rondo-model'), MODEL);
    assert.equal(response.headers.get('x-rondo-attempts'), '2');
    assert.equal(response.headers.get('access-control-allow-origin'), null, 'no CORS on an admin path');
    assert.equal(events(await response.text()).at(-1), '[DONE]');
    const story = await until(async () => (await pool.admin('GET', '/api/requests')).items.find(({ id }) => id === 'played'), 5_000, 'it is told');
    assert.deepEqual([story.playground, story.token, story.status, story.attempts.length], [true, null, 200, 2]);
    assert.ok(!JSON.stringify(story).includes(PROMPT));
  });

  test('counts in all, per model and per key, and for no token', async () => {
    const response = await post({}, { authorization: `Bearer ${session}` });
    assert.equal(response.status, 200);
    assert.ok((await response.json()).choices.length > 0);
    const stats = await until(async () => {
      const now = await pool.admin('GET', '/api/stats');
      return now.totals.requests === 2 && now;
    }, 5_000, 'both are counted');
    assert.equal(stats.models.find(({ id }) => id === MODEL).requests, 2, 'from its first answer on');
    assert.equal(stats.keys.reduce((sum, key) => sum + key.requests, 0), 3, 'attempts');
    const [token] = (await pool.admin('GET', '/api/tokens')).items;
    assert.equal(token.requests, 0);
  });

  test('refuses who has no session, a foreign page, and a client token', async () => {
    const before = pool.sim.records.length;
    for (const [headers, status] of [
      [{}, 401],
      [{ authorization: `Bearer ${TOKEN}` }, 401],
      [{ cookie }, 403],
      [{ cookie, origin: 'https://evil.example' }, 403],
      [{ cookie: `rondo=${'x'.repeat(43)}`, origin: pool.rondo.url }, 401],
    ]) {
      const response = await post({}, headers);
      assert.equal(response.status, status, JSON.stringify(headers));
      assert.match(response.headers.get('content-type'), /^application\/problem\+json/);
      await response.text();
    }
    assert.equal(pool.sim.records.length, before, 'nothing went upstream');
  });

  test('a session is no credential of the data plane, whatever the body says', async () => {
    for (const body of [{}, { playground: true }]) {
      const response = await pool.chat(body, { token: session });
      assert.equal(response.status, 401, await response.text());
    }
  });

  test('an error is that of the data plane', async () => {
    const response = await post({ messages: undefined, max_completion_tokens: -1 }, { authorization: `Bearer ${session}` });
    assert.equal(response.status, 400);
    const body = await response.json();
    assert.equal(body.error.message, body.message);
  });
});
