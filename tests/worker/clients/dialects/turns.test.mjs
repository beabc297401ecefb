// Beyond what every client has to see: what each dialect has of its own, by its official client for Node.
import * as anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MODEL, spoken, startPool, TOKEN } from '../pool.mjs';
import { geminiClient } from './gemini.mjs';

let pool;
const clients = {};
before(async () => {
  pool = await startPool();
  clients.anthropic = new anthropic.Anthropic({ baseURL: pool.url, apiKey: TOKEN, maxRetries: 0 });
  clients.openai = new OpenAI({ baseURL: `${pool.url}/v1`, apiKey: TOKEN, maxRetries: 0 });
  clients.gemini = geminiClient().make({ base: pool.url, token: TOKEN });
});
after(() => pool?.stop());

const limit = { timeout: 30_000 };
const BOTH = '[[tool=get_weather,get_time reasoning=20]] The weather and the time in Paris?';
const parameters = { type: 'object', properties: { location: { type: 'string' } }, required: ['location'] };
const FUNCTIONS = ['get_weather', 'get_time'].map((name) => ({ name, description: `Tells: ${name}.`, parameters }));
const RESULTS = { get_weather: '21 degrees', get_time: 'noon' };
const PICTURE = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
const SCHEMA = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };

/** The newest chat body upstream, and its record. */
function newest() {
  const record = pool.sim.records.findLast(({ path }) => path === '/v1/chat/completions');
  return { record, body: JSON.parse(record.body.toString()) };
}

/** That the second turn said all of the first to the upstream: reasoning, both calls, each with its result. */
async function saidBack() {
  const { body: { messages } } = newest();
  assert.deepEqual(messages.map(({ role }) => role), ['user', 'assistant', 'tool', 'tool']);
  const [, { reasoning, tool_calls: calls }, ...results] = messages;
  const told = await spoken(pool, calls[0].id);
  assert.ok(told.reasoning.length > 20);
  assert.equal(reasoning, told.reasoning);
  assert.deepEqual(calls.map(({ id, function: { name, arguments: text } }) => ({ id, name, arguments: JSON.parse(text) })), told.toolCalls);
  assert.deepEqual(results.map((result) => [result.tool_call_id, result.content]), calls.map((call) => [call.id, RESULTS[call.function.name]]));
}

/** That a count is near to what the upstream counts for the same prompt. */
function near(count) {
  const { record: { promptTokens } } = newest();
  assert.ok(Math.abs(count / promptTokens - 1) < 0.25, `${count}, the upstream counts ${promptTokens}`);
}

const LONG = 'The ferry leaves at ten past six, while the harbour lights are still on. '.repeat(30);

describe('Anthropic Messages', { timeout: 120_000 }, () => {
  const tools = FUNCTIONS.map(({ parameters: input_schema, ...tool }) => ({ ...tool, input_schema }));
  const ask = (content, more) => ({ model: MODEL, max_tokens: 8_192, messages: [{ role: 'user', content }], ...more });
  const turn = (stream, params) => (stream ? clients.anthropic.messages.stream(params).finalMessage() : clients.anthropic.messages.create(params));
  const thinking = { type: 'enabled', budget_tokens: 20_000 };

  for (const stream of [false, true]) {
    test(`thinking and two calls at once go there and back${stream ? ', streamed' : ''}`, limit, async () => {
      const first = ask(BOTH, { tools, thinking });
      const called = await turn(stream, first);
      assert.equal(newest().body.reasoning_effort, 'high');
      assert.deepEqual(called.content.map(({ type }) => type), ['thinking', 'tool_use', 'tool_use']);
      assert.ok(called.content[0].signature);
      assert.equal(called.stop_reason, 'tool_use');
      const results = called.content.filter(({ type }) => type === 'tool_use').map(({ id, name }) => ({ type: 'tool_result', tool_use_id: id, content: RESULTS[name] }));
      const messages = [...first.messages, { role: 'assistant', content: called.content }, { role: 'user', content: results.reverse() }];
      const answered = await turn(stream, { ...first, messages });
      assert.equal(answered.stop_reason, 'end_turn');
      await saidBack();
    });
  }

  test('who did not ask for thinking gets the answer in the first block', limit, async () => {
    for (const more of [{}, { thinking: { type: 'disabled' } }]) {
      const message = await turn(true, ask('[[tokens=40 reasoning=10]] Go on.', more));
      assert.deepEqual(message.content.map(({ type }) => type), ['text']);
      assert.equal(message.usage.output_tokens, 40);
    }
  });

  test('the helper’s tool runner runs tools to the end', limit, async () => {
    const asked = [];
    const run = tools.map((tool) => ({ ...tool, parse: (input) => input, run: ({ location }) => asked.push([tool.name, location]) && RESULTS[tool.name] }));
    const final = await clients.anthropic.beta.messages.toolRunner(ask(BOTH, { tools: run, thinking }));
    assert.deepEqual(asked.sort(), [['get_time', 'Paris'], ['get_weather', 'Paris']]);
    assert.equal(final.stop_reason, 'end_turn');
    await saidBack();
  });

  test('stop sequences go upstream, a fifth is refused by name', limit, async () => {
    await turn(false, ask('Hello', { stop_sequences: ['a', 'b', 'c', 'd'] }));
    assert.deepEqual(newest().body.stop, ['a', 'b', 'c', 'd']);
    await assert.rejects(turn(false, ask('Hello', { stop_sequences: ['a', 'b', 'c', 'd', 'e'] })), /stop_sequences/);
  });

  test('the bound on the answer ends it, and says so', limit, async () => {
    const message = await turn(true, ask('[[tokens=100 reasoning=0]] Go on.', { max_tokens: 10 }));
    assert.deepEqual([message.stop_reason, message.usage.output_tokens], ['max_tokens', 10]);
  });

  test('tokens are counted before they are sent', limit, async () => {
    const params = ask(LONG, { tools, system: 'Be brief.' });
    await turn(false, params);
    const { max_tokens: _, ...prompt } = params;
    near((await clients.anthropic.messages.countTokens(prompt)).input_tokens);
  });

  test('an answer can be held to a schema', limit, async () => {
    const message = await turn(false, ask('A city?', { output_config: { format: { type: 'json_schema', schema: SCHEMA } } }));
    assert.equal(typeof JSON.parse(message.content[0].text).city, 'string');
    assert.equal(newest().body.response_format.json_schema.strict, true);
  });

  test('a picture goes upstream, which says whether the model takes it', limit, async () => {
    const picture = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PICTURE } };
    await upstreamDecides(() => turn(false, ask([{ type: 'text', text: 'What is it?' }, picture])), anthropic.BadRequestError);
  });
});

/** That a picture came to the upstream whole, and that its refusal comes to the client as its error. */
async function upstreamDecides(ask, Refusal) {
  const refusal = pool.sim.fault({ kind: 'status', status: 400, times: 1, body: { message: 'This model does not support image inputs.', type: 'invalid_request_error', param: 'messages', code: 'wrong_api_format' } });
  await assert.rejects(ask, (error) => error instanceof Refusal && error.status === 400 && /does not support image inputs/.test(error.message));
  refusal.remove();
  const { record, body: { messages: [{ content }] } } = newest();
  assert.equal(record.status, 400);
  assert.deepEqual(content.map(({ type }) => type), ['text', 'image_url']);
  assert.equal(content[1].image_url.url, `data:image/png;base64,${PICTURE}`);
}

describe('OpenAI Responses', { timeout: 120_000 }, () => {
  const tools = FUNCTIONS.map((tool) => ({ type: 'function', strict: false, ...tool }));
  const ask = (content, more) => ({ model: MODEL, input: [{ role: 'user', content }], store: false, ...more });
  const turn = (stream, params) => (stream ? clients.openai.responses.stream(params).finalResponse() : clients.openai.responses.create(params));

  for (const stream of [false, true]) {
    test(`reasoning that the client can't read and two calls at once go there and back${stream ? ', streamed' : ''}`, limit, async () => {
      const first = ask(BOTH, { tools, include: ['reasoning.encrypted_content'], reasoning: { effort: 'high', summary: 'auto' } });
      const called = await turn(stream, first);
      assert.equal(newest().body.reasoning_effort, 'high');
      assert.deepEqual(called.output.map(({ type }) => type), ['reasoning', 'function_call', 'function_call']);
      const [{ id, encrypted_content: carried }, ...calls] = called.output;
      assert.ok(carried && !carried.includes('loaf'));
      const results = calls.map((call) => ({ type: 'function_call_output', call_id: call.call_id, output: RESULTS[call.name] }));
      // As agents keep it: without the summary.
      const input = [...first.input, { type: 'reasoning', id, summary: [], encrypted_content: carried }, ...calls.map(({ parsed_arguments: _, ...call }) => call), ...results.reverse()];
      const answered = await turn(stream, { ...first, input });
      assert.equal(answered.status, 'completed');
      assert.ok(answered.output_text.length > 20);
      await saidBack();
    });
  }

  test('a schema’s answer is parsed by the helper', limit, async () => {
    const text = { format: { type: 'json_schema', name: 'city', schema: SCHEMA, strict: true } };
    const response = await clients.openai.responses.parse(ask('A city?', { text }));
    assert.equal(typeof response.output_parsed.city, 'string');
  });

  test('the bound on the answer ends it, and says so', limit, async () => {
    const response = await turn(true, ask('[[tokens=100 reasoning=0]] Go on.', { max_output_tokens: 10 }));
    assert.deepEqual([response.status, response.incomplete_details.reason, response.usage.output_tokens], ['incomplete', 'max_output_tokens', 10]);
  });

  test('a stream’s events are numbered one after the other, and each item begins and ends', limit, async () => {
    const seen = [];
    for await (const event of await clients.openai.responses.create(ask(BOTH, { tools, stream: true, reasoning: { summary: 'auto' } }))) seen.push(event);
    assert.deepEqual(seen.map(({ sequence_number: number }) => number), seen.map((_, n) => n));
    assert.deepEqual([seen[0].type, seen.at(-1).type], ['response.created', 'response.completed']);
    const items = (what) => seen.filter(({ type }) => type === `response.output_item.${what}`).map((event) => event.item.id);
    assert.deepEqual(items('added'), items('done'));
    assert.equal(items('added').length, 3);
    const done = seen.filter(({ type }) => type === 'response.output_item.done').map(({ item }) => item);
    assert.deepEqual(done, seen.at(-1).response.output);
  });

  test('what needs something kept is refused and says what to do', limit, async () => {
    await assert.rejects(turn(false, ask('Hello', { previous_response_id: 'resp_1' })), (error) => error.status === 400 && error.param === 'previous_response_id');
    await assert.rejects(turn(false, ask('Hello', { store: true })), /store/);
  });

  test('a picture goes upstream, which says whether the model takes it', limit, async () => {
    const content = [{ type: 'input_text', text: 'What is it?' }, { type: 'input_image', detail: 'auto', image_url: `data:image/png;base64,${PICTURE}` }];
    await upstreamDecides(() => turn(false, ask(content)), OpenAI.BadRequestError);
  });
});

describe('Gemini', { timeout: 120_000 }, () => {
  const functions = [{ functionDeclarations: FUNCTIONS.map(({ parameters: parametersJsonSchema, ...tool }) => ({ ...tool, parametersJsonSchema })) }];
  const user = (...parts) => ({ role: 'user', parts });
  const models = () => clients.gemini.models;
  const ask = (text, config) => ({ model: MODEL, contents: [user({ text })], config });
  const turn = async (stream, params) => {
    if (!stream) return (await models().generateContent(params)).candidates[0].content.parts;
    const parts = [];
    for await (const { candidates } of await models().generateContentStream(params)) parts.push(...candidates?.[0]?.content?.parts ?? []);
    return parts;
  };

  for (const ids of [true, false]) {
    for (const stream of [false, true]) {
      test(`thoughts and two calls at once go there and back${ids ? '' : ', without ids'}${stream ? ', streamed' : ''}`, limit, async () => {
        const first = ask(BOTH, { tools: functions, thinkingConfig: { includeThoughts: true, thinkingBudget: 20_000 } });
        const called = await turn(stream, first);
        assert.equal(newest().body.reasoning_effort, 'high');
        assert.ok(called[0].thought);
        const calls = called.filter((part) => part.functionCall).map((part) => part.functionCall);
        assert.deepEqual(calls.map(({ name }) => name), ['get_weather', 'get_time']);
        const results = calls.map(({ id, name }) => ({ functionResponse: { ...(ids && { id }), name, response: { output: RESULTS[name] } } }));
        const answered = await turn(stream, { ...first, contents: [...first.contents, { role: 'model', parts: called }, user(...results)] });
        assert.ok(answered.some(({ text, thought }) => text && !thought));
        await saidBack();
      });
    }
  }

  for (const stream of [false, true]) {
    test(`a chat keeps its turns${stream ? ', streamed' : ''}`, limit, async () => {
      const chat = clients.gemini.chats.create({ model: MODEL });
      for (const message of ['[[tokens=20 reasoning=0]] One.', '[[tokens=20 reasoning=0]] Two.']) {
        if (!stream) await chat.sendMessage({ message });
        else for await (const _ of await chat.sendMessageStream({ message }));
      }
      const { body: { messages } } = newest();
      assert.deepEqual(messages.map(({ role }) => role), ['user', 'assistant', 'user']);
      assert.ok(messages[1].content.length > 20);
    });
  }

  test('stop sequences, the bound and the instruction go upstream', limit, async () => {
    const config = { stopSequences: ['END'], maxOutputTokens: 10, systemInstruction: 'Be brief.', temperature: 0.5, topP: 0.9, seed: 7 };
    const { candidates, usageMetadata } = await models().generateContent(ask('[[tokens=100 reasoning=0]] Go on.', config));
    assert.deepEqual([candidates[0].finishReason, usageMetadata.candidatesTokenCount], ['MAX_TOKENS', 10]);
    const { stop, max_completion_tokens: most, temperature, top_p: topP, seed, messages } = newest().body;
    assert.deepEqual({ stop, most, temperature, topP, seed }, { stop: ['END'], most: 10, temperature: 0.5, topP: 0.9, seed: 7 });
    assert.deepEqual(messages[0], { role: 'system', content: 'Be brief.' });
  });

  test('tokens are counted before they are sent', limit, async () => {
    await turn(false, ask(LONG));
    near((await models().countTokens({ model: MODEL, contents: ask(LONG).contents })).totalTokens);
  });

  test('an answer can be held to a schema', limit, async () => {
    const responseSchema = { type: 'OBJECT', properties: { city: { type: 'STRING' } }, required: ['city'] };
    const { text } = await models().generateContent(ask('A city?', { responseMimeType: 'application/json', responseSchema }));
    assert.equal(typeof JSON.parse(text).city, 'string');
    assert.equal(newest().body.response_format.json_schema.strict, true);
  });

  test('a picture goes upstream, which says whether the model takes it', limit, async () => {
    const contents = [user({ text: 'What is it?' }, { inlineData: { mimeType: 'image/png', data: PICTURE } })];
    await upstreamDecides(() => models().generateContent({ model: MODEL, contents }), Error);
  });
});
