import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { KEY, MODEL, ask, get, post, start } from './client.mjs';
import { promptOf } from './tokens.mjs';

const refusal = (message, param = 'validation_error') => ({ message, type: 'invalid_request_error', param, code: 'wrong_api_format' });
async function refused(sim, body, message, param) {
  const { status, json } = await post(sim, body);
  assert.equal(status, 400, JSON.stringify(json));
  assert.deepEqual(json, refusal(message, param));
}

test('unknown fields are refused at every level with the exact text, joined by newlines', async (t) => {
  const sim = await start(t);
  await refused(sim, ask('x', { store: true }), "body.store: property 'body.store' is unsupported");
  const nested = ask('x', { stream_options: { include_usage: true, other: 1 } });
  nested.messages.push({ role: 'assistant', content: 'a', reasoning_content: 'b' }, { role: 'user', content: [{ type: 'text', text: 'c', cache_control: {} }] });
  const line = (path) => `${path}: property '${path}' is unsupported`;
  await refused(sim, { ...nested, metadata: null }, [
    'stream_options.other', 'body.metadata', 'messages.1.assistant.reasoning_content', 'messages.2.user.content.0.cache_control',
  ].sort((a, b) => order(nested, a) - order(nested, b)).map(line).join('\n'));
  await refused(sim, ask('x', { tools: [{ type: 'function', function: { name: 'f', extra: 1 } }] }), line('tools.0.function.extra'));
  await refused(sim, ask('x', { response_format: { type: 'json_schema', json_schema: { name: 's', x: 1 } } }), line('response_format.json_schema.x'));
});
// Lines come in the order of the body's own fields.
const order = (body, path) => [...Object.keys(body), 'metadata'].indexOf(path.replace('body.', '').split('.')[0]);

test('every documented field is accepted', async (t) => {
  const sim = await start(t);
  const { status, text } = await post(sim, ask('x', {
    max_completion_tokens: 5, min_completion_tokens: -1, temperature: 1, top_p: 1, frequency_penalty: 0, presence_penalty: 0, logit_bias: {},
    logprobs: false, top_logprobs: 0, n: 1, stop: ['a'], seed: 1, stream: false, stream_options: null, response_format: { type: 'text' },
    tools: [], parallel_tool_calls: true, reasoning_effort: 'low', reasoning_format: 'parsed', clear_thinking: true, prompt_cache_key: 'k',
    service_tier: 'auto', user: 'u', model_parameters: {},
  }));
  assert.equal(status, 200, text);
});

test('values out of range or of the wrong type are refused', async (t) => {
  const sim = await start(t);
  const bad = [
    { temperature: 2.1 }, { temperature: '1' }, { top_p: -0.1 }, { n: 0 }, { n: 1.5 }, { max_completion_tokens: -2 }, { stop: ['a', 'b', 'c', 'd', 'e'] },
    { stream: 1 }, { top_logprobs: 21 }, { service_tier: 'gold' }, { prompt_cache_key: 'k'.repeat(1025) }, { messages: [] }, { messages: undefined },
    { messages: [{ role: 'robot', content: 'x' }] }, { messages: [{ role: 'constructor', content: 'x' }] }, { messages: [{ role: 'user' }] },
    { messages: [{ role: 'user', content: 5 }] }, { messages: ['x'] }, { model: undefined }, { model: 1 }, { response_format: { type: 'xml' } },
  ];
  for (const rest of bad) {
    const { status, json } = await post(sim, ask('x', rest));
    assert.equal(status, 400, JSON.stringify(rest));
    assert.equal(json.code, 'wrong_api_format');
  }
  for (const body of ['', '{', '[]', 'null', '"x"']) assert.equal((await post(sim, body)).status, 400, body);
});

test('tool messages must answer open calls, each once, at once', async (t) => {
  const sim = await start(t);
  const user = { role: 'user', content: 'x' };
  const calls = (...ids) => ({ role: 'assistant', tool_calls: ids.map((id) => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } })) });
  const result = (id) => ({ role: 'tool', tool_call_id: id, content: 'ok' });
  const say = async (...messages) => (await post(sim, { model: MODEL, messages })).status;
  assert.equal(await say(user, calls('a', 'b'), result('b'), result('a')), 200);
  assert.equal(await say(user, calls('a', 'b'), result('a')), 400);
  assert.equal(await say(user, calls('a'), user, result('a')), 400);
  assert.equal(await say(user, result('a')), 400);
  assert.equal(await say(user, calls('a'), result('a'), result('a')), 400);
  assert.equal(await say(user, calls('a', 'a'), result('a')), 400);
  assert.equal(await say(user, calls('a'), result('a'), calls('a'), result('a')), 400);
});

test('tool_choice needs tools, and the named one among them', async (t) => {
  const sim = await start(t);
  const tools = [{ type: 'function', function: { name: 'f' } }];
  const say = async (rest) => (await post(sim, ask('x', rest))).status;
  assert.equal(await say({ tool_choice: 'auto' }), 400);
  assert.equal(await say({ tools, tool_choice: { type: 'function', function: { name: 'g' } } }), 400);
  assert.equal(await say({ tools, tool_choice: { type: 'function', function: { name: 'f' } } }), 200);
});

test('strict schemas are closed at each level and use none of the unsupported words', async (t) => {
  const sim = await start(t);
  const format = (schema) => ask('x', { response_format: { type: 'json_schema', json_schema: { name: 's', strict: true, schema } } });
  const closed = (properties) => ({ type: 'object', properties, additionalProperties: false });
  await refused(sim, format(closed({ a: { type: 'array', items: { type: 'string', pattern: 'x' }, minItems: 1 } })), "Unsupported JSON schema fields: {'minItems', 'pattern'}", 'response_format');
  await refused(sim, format(closed({ a: { type: 'object', properties: {} } })), "Strict schemas need 'additionalProperties': false for every object", 'response_format');
  await refused(sim, format({ ...closed({}), definitions: {} }), "Unsupported JSON schema fields: {'definitions'}", 'response_format');
  assert.equal((await post(sim, format(closed({ a: { type: 'string' } })))).status, 200);
});

test('what a model does not take is refused for that model alone', async (t) => {
  const sim = await start(t, { models: [{ id: 'plain', prediction: false, efforts: ['low'] }, MODEL] });
  const body = ask('x', { prediction: { type: 'content', content: 'y' } });
  await refused(sim, { ...body, model: 'plain' }, '"prediction" is not currently supported');
  assert.equal((await post(sim, body)).status, 200);
  assert.equal((await post(sim, ask('x', { model: 'plain', reasoning_effort: 'high' }))).status, 400);
});

test('a prompt longer than the context is refused with both lengths', async (t) => {
  const sim = await start(t, { models: [{ id: MODEL, context: 1000 }] });
  const { text, tokens } = promptOf('english', 1200);
  const { status, json } = await post(sim, ask(text));
  assert.equal(status, 400);
  assert.equal(json.message, `Please reduce the length of the messages or completion. Current length is ${tokens + 7} while limit is 1000`);
});

test('keys: unknown and revoked are wrong, none is not authenticated, restored works again', async (t) => {
  const sim = await start(t);
  const wrong = { message: 'Wrong API Key', type: 'invalid_request_error', param: 'api_key', code: 'wrong_api_key' };
  assert.deepEqual((await post(sim, ask('x'), { key: 'csk-other' })).json, wrong);
  sim.revoke(KEY);
  const { status, json } = await post(sim, ask('x'));
  assert.deepEqual([status, json], [401, wrong]);
  assert.equal((await get(sim, '/v1/models')).status, 401);
  sim.restore(KEY);
  assert.equal((await post(sim, ask('x'))).status, 200);
  const none = await post(sim, ask('x'), { key: '' });
  assert.deepEqual([none.status, none.json], [403, { detail: 'Not authenticated' }]);
});

test('a banned User-Agent is stopped at the edge in plain text', async (t) => {
  const sim = await start(t);
  const { status, text, headers } = await post(sim, ask('x'), { headers: { 'user-agent': 'Python-urllib/3.11' } });
  assert.deepEqual([status, text], [403, 'error code: 1010']);
  assert.match(headers.get('content-type'), /^text\/plain/);
});

test('models are retired and brought back while it runs', async (t) => {
  const sim = await start(t);
  const ids = async () => (await get(sim, '/v1/models')).json.data.map((m) => m.id);
  sim.retire(MODEL);
  assert.ok(!(await ids()).includes(MODEL));
  const { status, json } = await post(sim, ask('x'));
  assert.equal(status, 404);
  assert.deepEqual(json, { message: `Model ${MODEL} does not exist or you do not have access to it.`, type: 'not_found_error', param: 'model', code: 'model_not_found' });
  sim.retire(MODEL, 'model_archived', { listed: true });
  assert.equal((await post(sim, ask('x'))).json.code, 'model_archived');
  assert.ok((await ids()).includes(MODEL), 'listed for a while yet');
  sim.unretire(MODEL);
  assert.equal((await post(sim, ask('x'))).status, 200);
  assert.equal((await post(sim, ask('x', { model: 'zai-glm-4.7' }))).json.code, 'model_archived');
});

test('gzip and MessagePack bodies are read, other types refused, too large ones too', async (t) => {
  const sim = await start(t);
  const zipped = await post(sim, gzipSync(JSON.stringify(ask('[[tokens=5]]'))), { headers: { 'content-encoding': 'gzip' } });
  assert.equal(zipped.json.usage.completion_tokens, 5);
  const str = (s) => Buffer.concat([Buffer.from([0xd9, s.length]), Buffer.from(s)]);
  const packed = Buffer.concat([Buffer.from([0x82]), str('model'), str(MODEL), str('messages'), Buffer.from([0x91, 0x82]), str('role'), str('user'), str('content'), str('[[tokens=6]]')]);
  const { json } = await post(sim, packed, { headers: { 'content-type': 'application/msgpack' } });
  assert.equal(json.usage.completion_tokens, 6);
  assert.equal((await post(sim, packed.subarray(0, 20), { headers: { 'content-type': 'application/msgpack' } })).status, 400);
  assert.equal((await post(sim, '{}', { headers: { 'content-type': 'text/plain' } })).status, 415);
  assert.equal((await post(sim, ask('x'.repeat(17 * 1024 * 1024)))).status, 413);
  assert.equal((await post(sim, gzipSync(Buffer.alloc(20 * 1024 * 1024)), { headers: { 'content-encoding': 'gzip' } })).status, 413);
});
