// What every client has to see, the same for each of them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MODEL, sentUpstream, spoken, TOKEN } from './pool.mjs';

const WEATHER = {
  type: 'function',
  function: {
    name: 'get_weather', description: 'The weather at a place.',
    parameters: { type: 'object', properties: { location: { type: 'string' } }, required: ['location'] },
  },
};
const ASK_WEATHER = 'What is the weather like in Paris?';
const RETRY_LATER_S = 3600;
const RETRY_SOON_S = 2;
/** A client that leaves must be noticed well before the stream of the test would end by itself. */
const LEFT_WITHIN_MS = 5_000;
const ALL_WITHIN_MS = 180_000;
/** A client that obeys a Retry-After it should not would sleep for an hour. */
const limit = { timeout: 30_000 };

/** The error classes of SDKs that Stainless generates, by status. */
export const statusClasses = { 400: 'BadRequestError', 401: 'AuthenticationError', 404: 'NotFoundError', 429: 'RateLimitError', 500: 'InternalServerError' };

/**
 * @param {object} client
 * @param {string} client.name
 * @param {string[]} client.bases what may follow Rondo's address in the base URL; the first is used throughout
 * @param {object} client.classes the error class for each case
 * @param {boolean} [client.warms] asks for tcp_warming when it is made
 * @param {boolean} [client.blindToShouldRetry] retries whatever x-should-retry says
 * @param {boolean} [client.hidesReason] shows no word of an error inside a stream
 * @param {boolean} [client.codeless] shows no code of an error, as its dialect has none
 * @param {boolean} [client.plain] has neither reasoning nor tools
 * @param {boolean} [client.giveUp] never asks again by itself
 * @param {boolean} [client.translated] Rondo leaves out fields that the upstream does not know
 * @param {boolean} [client.clamps] sends no temperature that is out of range
 * @param {number} [client.unavailable] the status for a fault of the server, if it is another
 * @param {{chat: Function, models?: Function}} client.driver
 * @param {() => Awaited<ReturnType<import('./pool.mjs').startPool>>} pool
 */
export function describeClient(client, pool) {
  const { classes, driver } = client;
  // Rests and faults are of a key and a model: each client has models of its own for what goes wrong.
  const ownModel = (what) => {
    const id = `${what}-${client.name.replaceAll(/[^a-z]+/gi, '-')}`;
    pool().sim.addModel(id);
    return id;
  };
  const task = (text, { model = MODEL, params, ...rest } = {}) => ({
    base: pool().url + client.bases[0], token: TOKEN, ...rest, params: { model, messages: [{ role: 'user', content: text }], ...params },
  });
  const chat = async (text, options) => {
    const outcome = await driver.chat(task(text, options));
    assert.equal(outcome.error, undefined, JSON.stringify(outcome.error));
    return outcome.turns;
  };
  const failing = async (text, options) => {
    const { error, textBefore } = await driver.chat(task(text, { maxRetries: 0, ...options }));
    assert.ok(error, 'the client raised nothing');
    return { ...error, textBefore };
  };
  const codeOf = (code) => (client.codeless ? undefined : code);
  const bothWays = (name, run) => {
    test(name, limit, () => run(false));
    test(`${name}, streamed`, limit, () => run(true));
  };
  const agrees = async (answer) => {
    const told = await spoken(pool(), answer.id);
    const { record, pieces, ...expected } = told;
    const { id, pieces: heard, ...understood } = answer;
    assert.deepEqual(understood, client.plain ? { ...expected, reasoning: '' } : expected);
    return { ...told, heard };
  };

  describe(client.name, { timeout: ALL_WITHIN_MS }, () => {
    bothWays('gets text, reasoning and usage as the upstream gave them', async (stream) => {
      // Torn frames and characters of several bytes: a client must not notice either.
      const torn = pool().sim.fault({ kind: 'fragment', bytes: 7, stream, times: 1 });
      const [answer] = await chat('[[tokens=120 reasoning=30 kind=chinese]] Go on.', { stream });
      torn.remove();
      const { text, reasoning, finish, usage, pieces, heard } = await agrees(answer);
      assert.ok(text.length > 40 && reasoning.length > 40, 'the test itself says too little');
      assert.deepEqual([finish, usage.completion, usage.reasoning], ['stop', 120, 30]);
      if (stream) assert.ok(pieces > 10 && heard === pieces, `${heard} of ${pieces} pieces of text`);
    });

    bothWays('gets an answer without reasoning', async (stream) => {
      const [answer] = await chat('[[tokens=40 reasoning=0]] Go on.', { stream });
      const { usage, reasoning } = await agrees(answer);
      assert.deepEqual([usage.completion, reasoning], [40, '']);
    });

    if (!client.plain) bothWays('calls a tool, hands in its result and gets text', async (stream) => {
      const turns = await chat(ASK_WEATHER, { stream, params: { tools: [WEATHER] }, toolResult: '21 degrees' });
      assert.equal(turns.length, 2);
      const [called, answered] = turns;
      await agrees(called);
      assert.equal(called.finish, 'tool_calls');
      assert.deepEqual(called.toolCalls.map(({ name, arguments: input }) => ({ name, input })), [{ name: 'get_weather', input: { location: 'Paris' } }]);
      const { record } = await agrees(answered);
      assert.equal(answered.finish, 'stop');
      assert.ok(answered.text.length > 20);
      const sent = JSON.parse(record.body.toString('utf8')).messages;
      assert.deepEqual(sent.map(({ role }) => role), ['user', 'assistant', 'tool']);
      assert.equal(sent[2].tool_call_id, called.toolCalls[0].id);
      assert.match(JSON.stringify(sent[2].content), /21 degrees/);
    });

    if (!client.clamps) bothWays('400 is its class for a bad request, with the words of the upstream', async (stream) => {
      const value = await failing('Hello', { stream, params: { temperature: 9 } });
      assert.deepEqual([value.class, value.status], [classes[400], 400]);
      assert.match(value.message, /body\.temperature/);
    });

    if (!client.translated) {
      bothWays('a field that only OpenAI has is left out, and sent with x-rondo-raw', async (stream) => {
        const [answer] = await chat('[[tokens=20 reasoning=0]] Go on.', { stream, unknown: { store: true } });
        await agrees(answer);
        const field = await failing('Hello', { stream, unknown: { store: true }, headers: { 'x-rondo-raw': '1' } });
        assert.deepEqual([field.class, field.status, field.code], [classes[400], 400, 'wrong_api_format']);
        assert.match(field.message, /property 'body\.store' is unsupported/);
      });
    }

    bothWays('401 is its class for a wrong token, and nothing goes upstream', async (stream) => {
      const model = ownModel('unasked');
      const { class: name, status, code, message } = await failing('Hello', { stream, model, token: 'rk-not-a-token-of-this-pool' });
      assert.deepEqual([name, status, code], [classes[401], 401, codeOf('invalid_api_key')]);
      assert.match(message, /token/i);
      assert.equal(sentUpstream(pool(), model).length, 0);
    });

    bothWays('404 is its class for a model that is not there, with the words of the upstream', async (stream) => {
      const { class: name, status, code, message } = await failing('Hello', { stream, model: 'no-such-model' });
      assert.deepEqual([name, status, code], [classes[404], 404, codeOf('model_not_found')]);
      assert.match(message, /no-such-model does not exist or you do not have access to it/);
    });

    bothWays('429 is its class when every key rests beyond what the client waits, with the true time', async (stream) => {
      const model = ownModel(`spent${stream ? '-streamed' : ''}`);
      const fault = pool().sim.fault({ kind: 'status', error: 'request_quota_exceeded', model, retryAfter: RETRY_LATER_S });
      const before = pool().relay.seen.length;
      // The AI SDK does not look at x-should-retry; all others must stop by themselves, with their retries on.
      const { class: name, status, message, retryAfter } = await failing('Hello', { stream, model, maxRetries: client.blindToShouldRetry ? 0 : undefined });
      fault.remove();
      assert.deepEqual([name, status], [classes[429], 429]);
      assert.match(message, /quota/);
      assert.ok(retryAfter > RETRY_LATER_S - 60 && retryAfter <= RETRY_LATER_S, `Retry-After is ${retryAfter}`);
      assert.equal(posts(pool().relay.seen.slice(before)).length, 1, 'a wait of an hour is not retried');
      const keys = sentUpstream(pool(), model).map(({ key }) => key);
      assert.deepEqual(keys.sort(), [...pool().keys].sort(), 'each key was asked once');
    });

    if (!client.giveUp) test('comes back by itself when the time of a 429 is over', limit, async () => {
      const model = ownModel('soon');
      pool().sim.fault({ kind: 'status', error: 'request_quota_exceeded', model, retryAfter: RETRY_SOON_S, times: pool().keys.length });
      const before = pool().relay.seen.length;
      const [answer] = await chat('[[tokens=20 reasoning=0]] Go on.', { model, headers: { 'x-rondo-deadline-ms': '500' } });
      await agrees(answer);
      const [refused, served, ...more] = posts(pool().relay.seen.slice(before));
      assert.deepEqual([refused.status, served.status, more.length], [429, 200, 0]);
      const waited = served.at - refused.answeredAt;
      assert.ok(waited >= (RETRY_SOON_S - 1) * 1000 && waited < (RETRY_SOON_S + 3) * 1000, `waited ${waited} ms`);
    });

    bothWays('500 on every key is its class for a fault of the server', async (stream) => {
      const model = ownModel(`broken${stream ? '-streamed' : ''}`);
      const fault = pool().sim.fault({ kind: 'status', status: 500, model });
      const { class: name, status } = await failing('Hello', { stream, model });
      fault.remove();
      assert.equal(name, classes[500]);
      assert.ok([500, 502, client.unavailable ?? 503].includes(status), `status ${status}`);
      assert.deepEqual([...new Set(sentUpstream(pool(), model).map(({ key }) => key))].sort(), [...pool().keys].sort());
    });

    for (const [what, kind, reason] of [
      ['an error event', 'error-event', /Encountered a server error/],
      ['a lost connection', 'reset-mid-stream', /broke off/],
      ['an end without [DONE]', 'no-finish', /broke off/],
    ]) {
      test(`raises when a stream breaks after its first event: ${what}`, limit, async () => {
        const model = ownModel(`cut-${kind}`);
        const fault = pool().sim.fault({ kind, model, ...(kind !== 'no-finish' && { afterChunks: 12 }) });
        const { class: name, message, textBefore } = await failing('[[tokens=80 reasoning=0 delay=2]] Go on.', { stream: true, model });
        fault.remove();
        assert.equal(name, classes.midStream, message);
        if (!client.hidesReason) assert.match(message, reason);
        assert.equal(sentUpstream(pool(), model).length, 1, 'what was begun is not begun again');
        assert.ok(textBefore.length > 20, `got only ${JSON.stringify(textBefore)}`);
      });
    }

    test('leaves in mid-stream: the upstream is hung up on, and the next request is served', limit, async () => {
      const model = ownModel('left');
      const { textBefore, error } = await driver.chat(task('[[tokens=4000 reasoning=0 delay=10]] Go on.', { stream: true, model, leave: true, maxRetries: 0 }));
      assert.equal(error, undefined, JSON.stringify(error));
      assert.ok(textBefore.length > 0, 'left before the first piece');
      const { done, sentTokens } = await pool().sim.waitFor((record) => record.model === model && record.hungUp, { timeoutMs: LEFT_WITHIN_MS });
      assert.ok(!done && sentTokens < 4000);
      const [answer] = await chat('[[tokens=20 reasoning=0]] Go on.', { model });
      await agrees(answer);
    });

    if (driver.models) {
      test('lists the models', limit, async () => {
        assert.ok((await driver.models({ base: pool().url + client.bases[0], token: TOKEN })).includes(MODEL));
      });
    }

    for (const base of client.bases) {
      test(`works with the base URL http://host${base}`, limit, async () => {
        const before = pool().relay.seen.length;
        for (const stream of [false, true]) {
          const [answer] = await chat('[[tokens=20 reasoning=0]] Go on.', { stream, base: pool().url + base });
          await agrees(answer);
        }
        const seen = pool().relay.seen.slice(before);
        assert.deepEqual(posts(seen).map(({ status }) => status), [200, 200]);
        const warmed = seen.filter(({ path }) => path.endsWith('/tcp_warming'));
        assert.deepEqual(warmed.map(({ status }) => status), client.warms ? [200, 200] : []);
      });
    }
  });
}

const posts = (seen) => seen.filter(({ method }) => method === 'POST');
