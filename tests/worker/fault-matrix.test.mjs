// Every kind of upstream fault, streaming and not, before the gate and after it: what the client sees, who is
// punished and for how long, and what the books say. One row a kind; each case has two new keys.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventsOf, keyName, MODEL, startPool } from '../harness/rondo.mjs';
import { errorOf, events, streamErrorOf, until } from './proxy.mjs';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
/** How much later than stated a rest may end: the report's way, and rounding. */
const SLACK_MS = 1_500;
const HTML = '<!doctype html><html><title>Bad gateway</title><h1>502</h1></html>';

const flat = (message, type, param, code) => ({ message, type, param, code });
const nested = (...words) => ({ error: flat(...words) });
const status = (code, rest = {}) => ({ kind: 'status', status: code, ...rest });
const quota = (what, window) => {
  const tokens = what === 'token';
  return flat(
    `${tokens ? 'Tokens' : 'Requests'} per ${window} limit exceeded - too many ${tokens ? 'tokens processed' : 'requests sent'}.`,
    tokens ? 'too_many_tokens_error' : 'too_many_requests_error',
    'quota',
    `${what}_quota_exceeded`,
  );
};
const used = (bucket, seconds) => ({
  [`x-ratelimit-limit-${bucket}`]: '30',
  [`x-ratelimit-remaining-${bucket}`]: '0',
  [`x-ratelimit-reset-${bucket}`]: String(seconds),
});
const page = (body = HTML) => ({ body, headers: { 'content-type': 'text/html' } });

// What follows from a fault: the key's status, and how long it lasts.
const cools = (ms, least = ms) => ({ status: 'cooling', least, most: ms, reason: /^quota of / });
const invalid = { status: 'invalid', least: 24 * HOUR, most: 24 * HOUR };
const suspended = { status: 'suspended', least: 6 * HOUR, most: 6 * HOUR };
const rests = { status: 'cooling', least: SECOND, most: SECOND, reason: /upstream/, short: true };
const nobody = { status: 'active' };

// Hidden before the gate, whether the client wants a stream or the whole: [what, fault, effect].
const hidden = [
  ['429 of requests a minute, Retry-After in seconds', status(429, { error: 'request_quota_exceeded', retryAfter: 20 }), cools(20 * SECOND)],
  ['429 of tokens a minute, Retry-After in fractions', status(429, { error: 'token_quota_exceeded', retryAfter: { form: 'fractional', seconds: 12.5 } }), cools(12_500)],
  ['429 of tokens an hour, Retry-After as a date', status(429, { body: quota('token', 'hour'), retryAfter: { form: 'date', seconds: 1_800 } }), cools(1_800 * SECOND, 1_799 * SECOND)],
  ['429 of tokens a day', status(429, { body: quota('token', 'day'), retryAfter: 20_000 }), cools(20_000 * SECOND)],
  ['429 of requests a day, nested', status(429, { body: { error: quota('request', 'day') }, retryAfter: 7_200 }), cools(7_200 * SECOND)],
  ['429 with retry-after-ms', status(429, { error: 'request_quota_exceeded', retryAfter: { form: 'ms', seconds: 7.25 } }), cools(7_250)],
  ['429 with both, of which the exact one counts', status(429, { error: 'request_quota_exceeded', retryAfter: { form: 'both', seconds: 7.25 } }), cools(7_250)],
  ['429 of a quota with reset headers alone', status(429, { error: 'request_quota_exceeded', headers: used('requests-minute', 9.5) }), cools(9_500)],
  ['429 of a quota, the later of two used-up buckets counts', status(429, { error: 'token_quota_exceeded', headers: { ...used('requests-minute', 9.5), ...used('tokens-hour', 600) } }), cools(600 * SECOND)],
  ['429 of a quota that states no time', status(429, { error: 'request_quota_exceeded' }), cools(2 * SECOND)],
  ['429 without a code that says when', status(429, { body: '', retryAfter: 11 }), cools(11 * SECOND)],
  ['429 queue_exceeded', status(429, { error: 'queue_exceeded' }), nobody],
  ['bare 429', status(429, { body: '' }), rests],
  ['401', status(401), invalid],
  ['401, nested', status(401, { body: nested('Incorrect API key provided', 'invalid_request_error', 'api_key', 'invalid_api_key') }), invalid],
  ['401 without a body', status(401, { body: '' }), invalid],
  ['403 whose JSON names the key', status(403, { body: flat('Wrong API Key', 'invalid_request_error', 'api_key', 'wrong_api_key') }), invalid],
  ['403 Not authenticated', status(403), invalid],
  ['403 error code: 1010', status(403, { error: 'banned_agent' }), nobody],
  ['403 with a firewall’s page that speaks of keys', status(403, page('<html>Access denied: no API key</html>')), nobody],
  ['402', status(402), suspended],
  ['402, nested', status(402, { body: nested('Payment required', 'payment_required_error', 'quota', 'payment_required') }), suspended],
  ['404 without a body', status(404, { body: '' }), nobody],
  ['405', status(405, { body: { detail: 'Method Not Allowed' } }), nobody],
  ['408', status(408), rests],
  ['500, flat', status(500), rests],
  ['500, nested', status(500, { body: nested('Internal server error', 'server_error', '', 'server_error') }), rests],
  ['502 with a page', status(502, page()), rests],
  ['503 with Retry-After', status(503, { retryAfter: 30 }), rests],
  ['504 without a body', status(504, { body: '' }), rests],
  ['529', status(529, { body: '' }), rests],
  ['redirect 302', status(302, { body: '', headers: { location: 'http://127.0.0.1:1/' } }), rests],
  ['redirect 307', status(307, { body: '', headers: { location: '/v1/chat/completions' } }), rests],
  ['reset before headers', { kind: 'reset-before-headers' }, rests],
  ['connection closed before headers', { kind: 'reset-before-headers', how: 'fin' }, rests],
  ['reset after headers', { kind: 'reset-after-headers' }, rests],
  ['silence before headers', { kind: 'never' }, rests],
  ['garbage for an answer', { kind: 'garbage' }, rests],
  ['an empty 200', { kind: 'wrong-content-type', body: '' }, rests],
  ['a 200 with a page', { kind: 'wrong-content-type', body: HTML }, rests],
  ['a 200 with an error in JSON', { kind: 'wrong-content-type', contentType: 'application/json', body: JSON.stringify(nested('Overloaded', 'server_error', '', 'server_error')) }, rests],
  ['an error in an answer of status 200', { kind: 'error-event' }, rests],
];
const hiddenWhole = [
  ['an answer cut in its middle', { kind: 'reset-mid-stream' }, rests],
  ['silence in the middle of an answer', { kind: 'stall' }, rests],
  ['truncated JSON', { kind: 'garbage', body: '{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"mess' }, rests],
];
const hiddenStream = [
  ['silence before the first event', { kind: 'delay-first-chunk', ms: 60_000 }, rests],
  ['silence after comments', { kind: 'stall', afterChunks: 0 }, rests, { kind: 'comments-first', count: 2 }],
  ['an end before the first event', { kind: 'garbage', body: '\n' }, rests],
  ['half a first event', { kind: 'reset-mid-frame', afterChunks: 0 }, rests],
  ['429 of a queue as the first event', { kind: 'error-event', event: { status: 429, error: { code: 'queue_exceeded', param: 'queue' } } }, rests],
];
// Told to the client at once: [what, fault, status].
const told = [
  ['400, flat', status(400), 400],
  ['400, nested', status(400, { body: nested('Invalid request.', 'invalid_request_error', 'messages', 'wrong_api_format') }), 400],
  ['413', status(413), 413],
  ['422', status(422), 422],
];
// The model's: [what, fault].
const models = [
  ['404 model_not_found', status(404, { error: 'model_not_found' })],
  ['404 model_archived', status(404, { error: 'model_archived' })],
  ['404 model_not_found, nested', status(404, { body: nested('The model does not exist', 'not_found_error', 'model', 'model_not_found') })],
];
// After the gate, where nothing is hidden: [what, fault, whether the upstream's own error passes].
const late = [
  ['reset', { kind: 'reset-mid-stream' }],
  ['closed without an end', { kind: 'reset-mid-stream', how: 'fin' }],
  ['reset within an event', { kind: 'reset-mid-frame' }],
  ['silent', { kind: 'stall' }],
  ['over without [DONE]', { kind: 'no-done' }],
  ['over without a finish', { kind: 'no-finish' }],
  ['over with an error event', { kind: 'error-event', afterChunks: 4 }, true],
];

describe('a fault', () => {
  let pool;
  let made = 0;
  let ids = [];
  before(async () => {
    // Long enough for a busy machine, short enough for many rows.
    const timeouts = { headers_ms: 800, headers_whole_ms: 800, first_event_ms: 800, silence_ms: 1_000 };
    pool = await startPool({ keys: 0, settings: { timeouts } });
  });
  after(() => pool?.stop());

  /** Two keys that nobody knows yet; those of the case before go. */
  async function twoKeys() {
    pool.sim.clearFaults();
    pool.sim.resetRecords();
    if (ids.length > 0) await pool.admin('POST', '/api/keys/delete', { ids });
    const names = [keyName(made), keyName(made + 1)];
    made += 2;
    names.forEach((name) => pool.sim.addKey(name));
    await pool.admin('POST', '/api/keys/batch', { input: names.join('\n') });
    ids = (await items(names)).map(({ id }) => id);
    assert.equal(ids.length, 2);
    return names;
  }
  async function items(names) {
    const { items: all } = await pool.admin('GET', '/api/keys?per_page=200');
    return names.map((name) => all.find(({ masked }) => masked.endsWith(name.slice(-4))));
  }

  /** The key of that name has that standing, and as long as it should. */
  async function assertStanding(name, effect, failedAt) {
    let seen;
    try {
      seen = await until(async () => {
        const [item] = await items([name]);
        return item.status === effect.status && item;
      }, effect.short ? 0 : 3_000, effect.status);
    } catch {
      [seen] = await items([name]);
      // A rest this short may be over before anybody looks.
      if (effect.short && seen.status === 'active' && Date.now() - failedAt >= effect.least) return;
      assert.fail(`${seen.status} (${seen.reason}) where ${effect.status} is due`);
    }
    if (effect.least === undefined) return;
    const lasts = Date.parse(seen.until) - failedAt;
    assert.ok(lasts >= effect.least - 50 && lasts <= effect.most + SLACK_MS, `${effect.status} for ${lasts} ms`);
    if (effect.reason) assert.match(seen.reason, effect.reason);
  }

  /** The books say of these keys what the upstream saw, and that so many attempts failed. */
  async function assertBooks(names, errors) {
    const { sim } = pool;
    const booked = await until(async () => {
      const found = await items(names);
      return found.reduce((sum, item) => sum + item.requests, 0) >= sim.records.length && found;
    }, 5_000, `${sim.records.length} attempts on the books`);
    for (const [n, name] of names.entries()) {
      const mine = sim.records.filter(({ key }) => key === name);
      // Whose usage came: all of an answer that nothing struck, and one that lacks no more than its [DONE].
      const whole = mine.filter(({ status: code, faults }) => code === 200 && faults.every((kind) => kind === 'no-done'));
      assert.equal(booked[n].requests, mine.length, `attempts of ${name}`);
      assert.equal(booked[n].completion_tokens, whole.reduce((sum, r) => sum + r.completionTokens, 0), `tokens of ${name}`);
    }
    assert.equal(booked.reduce((sum, item) => sum + item.errors, 0), errors, 'errors on the books');
  }

  async function assertCleanAnswer(response, stream) {
    const text = await response.text();
    assert.equal(response.status, 200, text);
    assert.equal(response.headers.get('x-rondo-degraded'), null);
    if (!stream) {
      const body = JSON.parse(text);
      assert.equal(body.choices.length, 1);
      assert.equal(body.error, undefined);
      return;
    }
    assert.equal(eventsOf(text).filter((data) => data === '[DONE]').length, 1);
    const all = events(text);
    assert.equal(all.at(-1), '[DONE]');
    assert.ok(all.slice(0, -1).every(({ choices, error }) => choices && !error));
  }

  for (const stream of [false, true]) {
    const wanted = stream ? 'a stream' : 'the whole';

    for (const [what, fault, effect, mild] of [...hidden, ...(stream ? hiddenStream : hiddenWhole)]) {
      test(`(${what}) is hidden from who wants ${wanted}, and punishes whose fault it is`, async () => {
        const names = await twoKeys();
        if (mild) pool.sim.fault({ ...mild, times: 1 });
        const set = pool.sim.fault({ ...fault, times: 1 });
        const response = await pool.chat({ stream });
        await assertCleanAnswer(response, stream);
        assert.equal(set.hits, 1);
        assert.equal(response.headers.get('x-rondo-attempts'), '2');
        const { records } = pool.sim;
        assert.equal(records.length, 2);
        const [struck, served] = records;
        assert.ok(struck.faults.includes(fault.kind));
        if (effect !== nobody) assert.notEqual(struck.key, served.key, 'no key is tried twice for its own fault');
        // An aborted connection ends when Rondo gives it up, any other when the answer was written.
        await assertStanding(struck.key, effect, struck.at + (struck.endedAt - struck.receivedAt));
        const other = names.find((name) => name !== struck.key);
        await assertStanding(other, nobody);
        await assertBooks(names, 1);
      });
    }

    for (const [what, fault, code] of told) {
      test(`(${what}) is told at once to who wants ${wanted}, and punishes nobody`, async () => {
        const names = await twoKeys();
        pool.sim.fault(fault);
        const response = await pool.chat({ stream });
        assert.equal(response.status, code);
        assert.match(errorOf(await response.json()).type, /invalid_request_error/);
        assert.equal(response.headers.get('x-rondo-attempts'), '1');
        assert.equal(pool.sim.records.length, 1);
        await until(async () => (await items(names)).reduce((sum, item) => sum + item.requests, 0) === 1, 5_000, 'the attempt on the books');
        for (const name of names) await assertStanding(name, nobody);
      });
    }

    for (const [n, [what, fault]] of models.entries()) {
      test(`(${what}) moves who wants ${wanted} to the next model, and punishes no key`, async () => {
        const names = await twoKeys();
        const gone = `test-model-${n}-${stream ? 'stream' : 'whole'}`;
        pool.sim.addModel(gone);
        await pool.admin('POST', '/api/models/catalog/refresh');
        await pool.admin('PUT', '/api/models/default', { strategy: 'order', members: [{ model: gone }, { model: MODEL }] });
        pool.sim.fault({ ...fault, model: gone, times: 1 });
        const response = await pool.chat({ stream, model: undefined });
        await assertCleanAnswer(response, stream);
        assert.deepEqual(pool.sim.records.map(({ model }) => model), [gone, MODEL]);
        assert.equal(response.headers.get('x-rondo-model'), MODEL);
        await assertBooks(names, 1);
        for (const name of names) await assertStanding(name, nobody);
        const { pools } = await pool.admin('GET', '/api/models');
        const states = pools.find(({ name }) => name === 'default').members.map(({ state }) => state);
        assert.deepEqual(states, ['doubtful', 'active'], 'one group’s word is not believed alone');
      });
    }
  }

  for (const [what, fault, own] of late) {
    test(`after the gate leaves a stream ${what} with one well-formed error and no second attempt`, async () => {
      const names = await twoKeys();
      const set = pool.sim.fault({ ...fault, times: 1 });
      const response = await pool.chat({ stream: true, messages: [{ role: 'user', content: 'Talk. [[tokens=60 delay=15]]' }] });
      assert.equal(response.status, 200);
      const all = events(await response.text());
      assert.equal(set.hits, 1);
      assert.ok(!all.includes('[DONE]'));
      assert.ok(all.length > 2, 'what came before was passed on');
      const failures = all.filter((event) => event.error);
      assert.equal(failures.at(-1), all.at(-1), 'the error is the end');
      streamErrorOf(all.at(-1));
      if (own) assert.equal(failures.length, 1);
      assert.equal(response.headers.get('x-rondo-attempts'), '1');
      assert.equal(pool.sim.records.length, 1);
      await assertBooks(names, 1);
      const found = await items(names);
      // The key may rest for the upstream's sake; nothing that lasts is held against it, nor anything against the other.
      const [struck, other] = pool.sim.records[0].key === names[0] ? found : found.toReversed();
      assert.ok(['active', 'cooling'].includes(struck.status), struck.status);
      if (struck.status === 'cooling') assert.ok(Date.parse(struck.until) - Date.now() <= SECOND, struck.until);
      assert.equal(other.status, 'active');
    });
  }
});
