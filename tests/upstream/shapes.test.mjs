import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MODEL, ask, events, get, post, start } from './client.mjs';
import { estimateTokens, promptOf } from './tokens.mjs';

const TOOLS = [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object', properties: { location: { type: 'string' }, days: { type: 'integer' } } } } }];
const deltas = (list) => list.filter((e) => e !== '[DONE]').map((e) => e.choices[0].delta);

test('a whole answer has the recorded shape, key order and exact usage', async (t) => {
  const sim = await start(t);
  const { status, json, headers } = await post(sim, ask('hello [[tokens=50 reasoning=10]]'));
  assert.equal(status, 200);
  assert.deepEqual(Object.keys(json), ['id', 'choices', 'created', 'model', 'system_fingerprint', 'object', 'usage', 'time_info']);
  assert.match(json.id, /^chatcmpl-[0-9a-f-]{36}$/);
  assert.equal(headers.get('inference-id'), json.id);
  assert.equal(headers.get('content-type'), 'application/json');
  assert.deepEqual(Object.keys(json.choices[0]), ['finish_reason', 'index', 'message']);
  assert.deepEqual(Object.keys(json.choices[0].message), ['content', 'reasoning', 'role']);
  assert.deepEqual(Object.keys(json.usage), ['total_tokens', 'completion_tokens', 'completion_tokens_details', 'prompt_tokens', 'prompt_tokens_details']);
  assert.equal(json.usage.completion_tokens, 50);
  assert.equal(json.usage.completion_tokens_details.reasoning_tokens, 10);
  assert.equal(json.usage.total_tokens, 50 + json.usage.prompt_tokens);
  assert.equal(json.choices[0].message.content, promptOf('english', 40).text);
  assert.deepEqual(Object.keys(json.time_info), ['queue_time', 'prompt_time', 'completion_time', 'total_time', 'created']);
});

test('a stream has the recorded frames: role, reasoning, content, finish with usage, [DONE]', async (t) => {
  const sim = await start(t);
  const { headers, text } = await post(sim, ask('[[tokens=40 reasoning=9 kind=chinese]]', { stream: true }));
  assert.equal(headers.get('content-type'), 'text/event-stream; charset=utf-8');
  const list = events(text);
  assert.equal(list.at(-1), '[DONE]');
  const [first] = list;
  assert.equal(text.split('\n\n')[0], `data: {"id":"${first.id}","choices":[{"delta":{"role":"assistant"},"index":0}],"created":${first.created},"model":"${MODEL}","system_fingerprint":"fp_4cfabdd6620dc0120785","object":"chat.completion.chunk"}`);
  const last = list.at(-2);
  assert.deepEqual(Object.keys(last), ['id', 'choices', 'created', 'model', 'system_fingerprint', 'object', 'usage', 'time_info']);
  assert.deepEqual(last.choices, [{ delta: {}, finish_reason: 'stop', index: 0 }]);
  assert.equal(last.usage.completion_tokens, 40);
  assert.ok(list.slice(0, -2).every((e) => e.usage === undefined && !('finish_reason' in e.choices[0]) && e.id === first.id));
  assert.equal(deltas(list).map((d) => d.content ?? '').join(''), promptOf('chinese', 31).text);
  const kinds = deltas(list).map((d) => Object.keys(d)[0] ?? 'finish');
  assert.deepEqual([...new Set(kinds)], ['role', 'reasoning', 'content', 'finish']);
});

test('the stream and the whole answer say the same', async (t) => {
  const sim = await start(t);
  const body = ask('[[tokens=200 kind=code reasoning=30]]');
  const whole = (await post(sim, body)).json.choices[0].message;
  const streamed = deltas(events((await post(sim, { ...body, stream: true })).text));
  assert.equal(streamed.map((d) => d.content ?? '').join(''), whole.content);
  assert.equal(streamed.map((d) => d.reasoning ?? '').join(''), whole.reasoning);
});

test('tools are called in the documented chunks, and a tool result is answered in text', async (t) => {
  const sim = await start(t);
  const body = ask('weather?', { tools: TOOLS, stream: true });
  const list = deltas(events((await post(sim, body)).text)).flatMap((d) => d.tool_calls ?? []);
  const { id } = list[0];
  assert.match(id, /^[0-9a-f]{9}$/);
  assert.equal(JSON.stringify(list[0]), `{"function":{"name":"get_weather","arguments":""},"type":"function","id":"${id}","index":0}`);
  assert.ok(list.length > 3, 'arguments come in several pieces');
  for (const piece of list.slice(1)) assert.deepEqual(Object.keys(piece), ['function', 'type', 'index']);
  const args = list.map((c) => c.function.arguments).join('');
  assert.deepEqual(JSON.parse(args), { location: 'Paris', days: 3 });

  const call = { id, type: 'function', function: { name: 'get_weather', arguments: args } };
  const { json } = await post(sim, { ...body, stream: false, messages: [...body.messages, { role: 'assistant', content: null, tool_calls: [call] }, { role: 'tool', tool_call_id: id, content: 'sunny' }] });
  assert.equal(json.choices[0].finish_reason, 'stop');
  assert.equal(json.choices[0].message.tool_calls, undefined);
  const refused = await post(sim, { ...body, stream: false, tool_choice: 'none' });
  assert.equal(refused.json.choices[0].finish_reason, 'stop');
});

test('a directive calls several tools, and parallel_tool_calls false leaves one', async (t) => {
  const sim = await start(t);
  const tools = ['a', 'b'].map((name) => ({ type: 'function', function: { name, parameters: { type: 'object', properties: {} } } }));
  const both = await post(sim, ask('[[tool=a,b]]', { tools }));
  assert.deepEqual(both.json.choices[0].message.tool_calls.map((c) => c.function.name), ['a', 'b']);
  assert.equal(both.json.choices[0].finish_reason, 'tool_calls');
  const one = await post(sim, ask('[[tool=a,b]]', { tools, parallel_tool_calls: false }));
  assert.equal(one.json.choices[0].message.tool_calls.length, 1);
});

test('an answer is cut at the limit the request sets, reasoning first', async (t) => {
  const sim = await start(t);
  for (const limit of [{ max_completion_tokens: 7 }, { max_tokens: 7 }]) {
    const { json } = await post(sim, ask('[[tokens=90 reasoning=0 kind=chinese]]', limit));
    assert.equal(json.choices[0].finish_reason, 'length');
    assert.equal(json.usage.completion_tokens, 7);
  }
  const { json } = await post(sim, ask('[[tokens=90 reasoning=20]]', { max_completion_tokens: 15 }));
  assert.equal(json.usage.completion_tokens_details.reasoning_tokens, 15);
  assert.equal(json.choices[0].message.content, '');
});

test('chunks carry one to four tokens, and every token of the answer', async (t) => {
  const sim = await start(t);
  await post(sim, ask('[[tokens=300 kind=code reasoning=0]]', { stream: true }));
  const [record] = sim.records;
  assert.equal(record.sentTokens, 300);
  const chunks = record.sentChunks - 2; // without role and finish
  assert.ok(chunks >= 75 && chunks < 300, `${chunks} chunks`);
  sim.resetRecords();
  await post(sim, ask('[[tokens=300 kind=code reasoning=0 chunk=1]]', { stream: true }));
  assert.equal(sim.records[0].sentChunks, 302);
});

test('reasoning is written where the request wants it and counted in any case', async (t) => {
  const sim = await start(t);
  const said = async (rest) => (await post(sim, ask('[[tokens=20 reasoning=5]]', rest))).json;
  const raw = await said({ reasoning_format: 'raw' });
  assert.match(raw.choices[0].message.content, /^<think>To bake a plain loaf<\/think>The ferry/);
  const hidden = await said({ reasoning_format: 'hidden' });
  assert.equal(hidden.choices[0].message.reasoning, undefined);
  assert.equal(hidden.usage.completion_tokens_details.reasoning_tokens, 5);
});

test('several choices are finished each, with usage once', async (t) => {
  const sim = await start(t);
  const list = events((await post(sim, ask('[[tokens=10]]', { stream: true, n: 3 }))).text).slice(0, -1);
  assert.deepEqual(list.filter((e) => e.choices[0].finish_reason).map((e) => e.choices[0].index), [0, 1, 2]);
  assert.equal(list.filter((e) => e.usage).length, 1);
  assert.equal(list.at(-1).usage.completion_tokens, 30);
});

test('a JSON schema is answered with JSON that fits it', async (t) => {
  const sim = await start(t);
  const schema = { type: 'object', properties: { city: { type: 'string' }, n: { type: 'integer' } }, required: ['city'], additionalProperties: false };
  const { json } = await post(sim, ask('x', { response_format: { type: 'json_schema', json_schema: { name: 's', strict: true, schema } } }));
  assert.deepEqual(JSON.parse(json.choices[0].message.content), { city: 'Paris', n: 3 });
});

test('completions answer text, whole and streaming, for every prompt', async (t) => {
  const sim = await start(t);
  const path = '/v1/completions';
  const { json } = await post(sim, { model: MODEL, prompt: ['one [[tokens=9]]', 'two [[tokens=11]]'] }, { path });
  assert.equal(json.object, 'text_completion');
  assert.deepEqual(json.choices.map((c) => c.index), [0, 1]);
  assert.equal(json.usage.completion_tokens, 20);
  const list = events((await post(sim, { model: MODEL, prompt: '[[tokens=9]]', stream: true }, { path })).text);
  assert.equal(list.slice(0, -1).map((e) => e.choices[0].text).join(''), json.choices[0].text);
  assert.equal(list.at(-2).usage.completion_tokens, 9);
});

test('fixture prompts are counted exactly, others near to true', async (t) => {
  const sim = await start(t);
  for (const kind of ['english', 'chinese', 'code']) {
    const { text, tokens } = promptOf(kind, 1000);
    assert.ok(tokens >= 1000 && tokens <= 1002);
    const { json } = await post(sim, ask(text, { max_completion_tokens: 1 }));
    assert.equal(json.usage.prompt_tokens, tokens + 7);
  }
  // The estimate, held against texts whose true count is known.
  for (const kind of ['english', 'chinese', 'code']) {
    const { text, tokens } = promptOf(kind, 340);
    const ratio = estimateTokens(text) / tokens;
    assert.ok(ratio > 0.75 && ratio < 1.35, `${kind}: ${ratio}`);
  }
});

test('a repeated prompt is cached in blocks of 128 tokens for five minutes, per organisation', async (t) => {
  const sim = await start(t, { keys: [{ key: 'a', org: 'o' }, { key: 'b', org: 'o' }, { key: 'c', org: 'p' }] });
  const body = ask(promptOf('english', 500).text, { max_completion_tokens: 1 });
  const cached = async (key) => (await post(sim, body, { key })).json.usage.prompt_tokens_details.cached_tokens;
  assert.equal(await cached('a'), 0);
  assert.equal(await cached('b'), 384);
  assert.equal(await cached('c'), 0);
  sim.clock.advance(301_000);
  assert.equal(await cached('a'), 0);
});

test('models are listed in both forms, and one by one', async (t) => {
  const sim = await start(t);
  const { json } = await get(sim, '/v1/models');
  assert.equal(json.object, 'list');
  assert.deepEqual(json.data[0], { id: MODEL, object: 'model', created: 0, owned_by: 'Cerebras' });
  assert.deepEqual((await get(sim, `/v1/models/${MODEL}`)).json, json.data[0]);
  const open = (await get(sim, '/public/v1/models', { key: '' })).json.data[0];
  assert.deepEqual(open.limits, { max_context_length: 131072, max_completion_tokens: 40960, requests_per_minute: null, tokens_per_minute: null });
  assert.deepEqual(open.pricing, { prompt: '0.00000035', completion: '0.00000075' });
  assert.deepEqual((await get(sim, `/public/v1/models/${MODEL}`, { key: '' })).json, open);
  assert.equal((await get(sim, '/v1/models/nope')).json.code, 'model_not_found');
  assert.equal((await get(sim, '/v1/models', { key: '' })).status, 403);
});

test('unrouted paths answer 404 with nothing, the control path too', async (t) => {
  const sim = await start(t);
  for (const path of ['/', '/v1/responses', '/v1/embeddings', '/v1/v1/chat/completions', '/__sim/records']) {
    const { status, text, headers } = await get(sim, path);
    assert.deepEqual([status, text, headers.get('content-length'), headers.get('content-type')], [404, '', '0', 'text/plain'], path);
  }
  assert.equal((await get(sim, '/v1/tcp_warming', { key: '' })).status, 200);
});
