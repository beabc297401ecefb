// The other dialects on the wire: the ways to say the key, the addresses, and what is told of a request and what is not.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { startPool } from '../harness/rondo.mjs';
import { askIn, dialects } from './clients/dialects/forms.mjs';
import { MODEL, TOKEN, ask, events, keys, start, until } from './proxy.mjs';

const names = Object.keys(dialects);
const JSON_TYPE = { 'content-type': 'application/json' };
const SHORT = '[[tokens=12 reasoning=0]] Go on.';

/** Asks, reads the answer, and gives what Rondo tells of the request. */
async function told(running, id, asking) {
  const response = await asking({ 'x-request-id': id });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return until(async () => (await running.admin('GET', '/api/requests')).items.find((story) => story.id === id), 5_000, `${id} is told`);
}

describe('the other dialects', async () => {
  const running = await start({ pool: keys(2) });
  after(() => running.stop());
  const { sim, rondo } = running;
  const lastBody = () => JSON.parse(sim.records.at(-1).body.toString());
  const post = (path, body, headers) => ask(rondo.url, {}, { path, headers, body: JSON.stringify(body) });
  const chatBody = { model: MODEL, messages: [{ role: 'user', content: SHORT }] };

  test('take the key from the header that each client uses, Gemini’s from the address too', async () => {
    for (const [name, headers] of [
      ['messages', { 'x-api-key': TOKEN, 'anthropic-version': '2023-06-01' }],
      ['responses', { 'api-key': TOKEN }],
      ['completions', { authorization: `Bearer ${TOKEN}` }],
      ['gemini', { 'x-goog-api-key': TOKEN }],
    ]) {
      const response = await askIn(name, rondo.url, TOKEN, MODEL, SHORT, { headers: { authorization: '', ...headers } });
      assert.equal(response.status, 200, `${name}: ${await response.text()}`);
    }
    const body = JSON.stringify(dialects.gemini.body(MODEL, SHORT));
    const by = (path, init) => fetch(rondo.url + path, { ...init, headers: JSON_TYPE });
    const model = `/v1beta/models/${MODEL}`;
    for (const [path, init] of [
      [`${model}:generateContent?key=${TOKEN}`, { method: 'POST', body }],
      [`${model}:streamGenerateContent?alt=sse&key=${TOKEN}`, { method: 'POST', body }],
      [`${model}:countTokens?key=${TOKEN}`, { method: 'POST', body }],
      [`/v1beta/models?key=${TOKEN}`],
      [`${model}?key=${TOKEN}`],
    ]) {
      const response = await by(path, init);
      assert.equal(response.status, 200, `${path}: ${await response.text()}`);
      const wrong = await by(path.replace(TOKEN, 'rk-wrong-token-000000'), init);
      assert.equal(wrong.status, 401, await wrong.text());
    }
    // No other dialect has its key in the address.
    for (const name of ['messages', 'responses', 'completions']) {
      const response = await by(`${dialects[name].path()}?key=${TOKEN}`, { method: 'POST', body: JSON.stringify(dialects[name].body(MODEL, SHORT)) });
      assert.equal(response.status, 401, `${name}: ${await response.text()}`);
    }
  });

  test('and chat are found at every address that clients make of theirs', async () => {
    for (const path of ['/', '/v1/chat/completions', '/v1/v1/chat/completions', '/api/compat/chat/completions', '/api/cerebras/v1/chat/completions', '/api/cerebras/chat/completions']) {
      const response = await post(path, chatBody);
      const text = await response.text();
      assert.equal(response.status, 200, `${path}: ${text}`);
      assert.equal(JSON.parse(text).object, 'chat.completion', path);
    }
    for (const path of ['/v1/v1/messages', '/messages', '/v1/v1/responses', '/responses', '/v1/v1/completions']) {
      const name = path.split('/').at(-1);
      const response = await post(path, dialects[name].body(MODEL, SHORT));
      assert.equal(response.status, 200, `${path}: ${await response.text()}`);
    }
    const head = await fetch(`${rondo.url}/`, { method: 'HEAD' });
    assert.deepEqual([head.status, await head.text()], [200, '']);
    for (const path of ['/api/compat/models', '/api/cerebras/v1/models', '/v1/v1/models']) {
      const list = await (await fetch(rondo.url + path, { headers: { authorization: `Bearer ${TOKEN}` } })).json();
      assert.deepEqual(list.data.map(({ id }) => id), [MODEL], path);
    }
    const gemini = await (await fetch(`${rondo.url}/v1beta/models`, { headers: { 'x-goog-api-key': TOKEN } })).json();
    assert.deepEqual(gemini.models.map(({ name }) => name), [`models/${MODEL}`]);
  });

  test('the name of the provider before the model’s is cut off where one-balance takes it', async () => {
    const response = await post('/api/compat/chat/completions', { ...chatBody, model: `cerebras/${MODEL}` });
    assert.equal(response.status, 200, await response.text());
    assert.equal(lastBody().model, MODEL);
  });

  test('models that agents ask for by names of their own are answered by the pool’s', async () => {
    for (const [name, model] of [['messages', 'claude-opus-5-5'], ['responses', 'gpt-5-codex'], ['gemini', 'gemini-3-pro'], ['completions', 'davinci-002']]) {
      const response = await askIn(name, rondo.url, TOKEN, model, SHORT);
      const answer = await response.json();
      assert.equal(response.status, 200, JSON.stringify(answer));
      assert.equal(lastBody().model, MODEL);
      assert.equal(response.headers.get('x-rondo-model'), MODEL);
      assert.equal(answer.model ?? answer.modelVersion, MODEL, 'the answer names the model that answered');
    }
  });

  test('are told in the request’s story, with what the upstream did not get', async () => {
    for (const [name, more, notes] of [
      ['messages', { top_k: 5, context_management: { edits: [] } }, ['context_management', 'top_k']],
      ['responses', { truncation: 'auto', text: { verbosity: 'low' } }, ['text.verbosity', 'truncation']],
      ['gemini', { safetySettings: [], generationConfig: { topK: 5 } }, ['generationConfig.topK', 'safetySettings']],
      ['completions', { unknown_to_all: 1 }, ['unknown_to_all']],
    ]) {
      const story = await told(running, `story-${name}`, (headers) => askIn(name, rondo.url, TOKEN, MODEL, SHORT, { more, headers }));
      assert.deepEqual([story.dialect, story.status, story.usage.completion_tokens], [name, 200, 12]);
      assert.deepEqual(story.notes.map(({ path }) => path).sort(), notes);
      assert.ok(story.notes.every(({ what }) => what === 'dropped'));
    }
  });

  test('fields that only OpenAI has are left out of a chat, and told; x-rondo-raw sends all as it came', async () => {
    const body = { ...chatBody, store: true, metadata: { a: 'b' } };
    const story = await told(running, 'cleaned', (headers) => ask(rondo.url, body, { headers }));
    assert.equal(story.dialect, 'chat');
    assert.deepEqual(story.notes, [{ path: 'store', what: 'dropped' }, { path: 'metadata', what: 'dropped' }]);
    assert.deepEqual(lastBody(), chatBody);
    const plain = await told(running, 'clean', (headers) => ask(rondo.url, chatBody, { headers }));
    assert.deepEqual([plain.dialect, plain.notes], ['chat', []]);
    const raw = await ask(rondo.url, body, { headers: { 'x-rondo-raw': '1' } });
    assert.equal(raw.status, 400, await raw.text());
    assert.deepEqual(lastBody(), body);
    const not = await ask(rondo.url, body, { headers: { 'x-rondo-raw': '0' } });
    assert.equal(not.status, 200, await not.text());
  });

  test('an agent’s recorded requests are answered', async () => {
    const fixture = (path) => JSON.parse(readFileSync(new URL(`../../core/src/wire/dialects/${path}.json`, import.meta.url), 'utf8'));
    for (const [name, file, stream] of [
      ['messages', 'messages/fixtures/agent', true], ['messages', 'messages/fixtures/agent-title', true], ['messages', 'messages/fixtures/sdk', false],
      ['responses', 'responses/fixtures/codex-first', true], ['responses', 'responses/fixtures/codex-later', true],
      ['gemini', 'gemini/fixtures/gemini-cli', true], ['gemini', 'gemini/fixtures/genai-python', false],
    ]) {
      const { model = 'gemini-3-pro', ...body } = fixture(file);
      const url = rondo.url + dialects[name].path(model, { stream });
      const story = await told(running, file.replaceAll('/', '-'), async (headers) => {
        const response = await fetch(url, {
          method: 'POST', headers: { ...JSON_TYPE, authorization: `Bearer ${TOKEN}`, ...headers }, body: JSON.stringify(name === 'gemini' ? body : { model, ...body }),
        });
        const text = await response.clone().text();
        assert.equal(response.status, 200, `${file}: ${text}`);
        if (response.headers.get('content-type').startsWith('text/event-stream')) {
          const last = { messages: /event: message_stop/, responses: /"type":"response.completed"/, gemini: /"finishReason":"STOP"/ }[name];
          assert.match(text, last, file);
        }
        return response;
      });
      assert.deepEqual([story.dialect, story.status, story.error, story.attempts.length], [name, 200, false, 1], file);
    }
  });

  test('a stream without `alt=sse` is one JSON array', async () => {
    const response = await post(`/v1beta/models/${MODEL}:streamGenerateContent`, dialects.gemini.body(MODEL, SHORT));
    assert.match(response.headers.get('content-type'), /^application\/json/);
    const pieces = JSON.parse(await response.text());
    assert.ok(pieces.length > 3);
    assert.equal(pieces.at(-1).candidates[0].finishReason, 'STOP');
    assert.equal(pieces.at(-1).usageMetadata.candidatesTokenCount, 12);
  });

  test('Completions’ stream ends as chat’s does', async () => {
    const response = await askIn('completions', rondo.url, TOKEN, MODEL, SHORT, { more: { stream: true, stream_options: { include_usage: true } } });
    const seen = events(await response.text());
    assert.equal(seen.at(-1), '[DONE]');
    assert.equal(seen.at(-2).usage.completion_tokens, 12);
    assert.ok(seen.slice(0, -1).every(({ object }) => object === 'text_completion'));
  });
});

test('no prompt, answer or key of any dialect is told, logged or kept', async () => {
  const PROMPT = 'a-prompt-of-a-dialect-that-nobody-keeps-5b1e';
  const pool = await startPool({ keys: 2, sim: { recordBodies: true } });
  try {
    const { token } = await pool.admin('POST', '/api/tokens', { name: 'shown once' });
    const answers = [];
    for (const name of names) {
      for (const stream of [false, true]) {
        const response = await askIn(name, pool.rondo.url, token, MODEL, `${PROMPT} [[tokens=40 reasoning=0]]`, { more: { stream } });
        assert.equal(response.status, 200, await response.text());
      }
      answers.push(await (await askIn(name, pool.rondo.url, token, MODEL, PROMPT, { more: dialects[name].wrong })).text());
    }
    for (const of of ['generateContent', 'streamGenerateContent', 'countTokens', 'nothing']) {
      for (const key of [token, `${token.slice(0, -4)}XXXX`]) {
        const url = `${pool.rondo.url}/v1beta/models/${MODEL}:${of}?key=${key}`;
        answers.push(await (await fetch(url, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ contents: 7 }) })).text());
      }
    }
    const whole = pool.sim.records.find(({ status, stream }) => status === 200 && !stream);
    const answer = JSON.parse(whole.response.toString()).choices[0].message.content.slice(0, 60);
    const paths = ['keys', 'tokens', 'stats', 'settings', 'models', 'audit', 'requests', 'decisions', 'overview', 'series'].map((path) => `/api/${path}`);
    for (const path of [...paths, '/metrics']) {
      const expect = [200, 400, 404];
      answers.push(await pool.admin('GET', path, undefined, { expect }).then(JSON.stringify, (error) => String(error)));
    }
    const { items } = await pool.admin('GET', '/api/requests');
    assert.deepEqual([...new Set(items.map(({ dialect }) => dialect))].sort(), [...names].sort(), 'they are told');
    const logs = pool.rondo.logs.join('\n');
    for (const [what, secret] of Object.entries({ PROMPT, answer, token, tail: token.slice(5, -4), key: pool.names[0] })) {
      assert.ok(!logs.includes(secret), `${what} is in the log`);
      assert.deepEqual(answers.filter((text) => text.includes(secret)), [], `${what} is told`);
    }
  } finally {
    await pool.stop();
  }
});
