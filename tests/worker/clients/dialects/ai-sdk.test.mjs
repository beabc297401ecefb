// The AI SDK with the providers of the other dialects against the built Worker, unchanged.
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, jsonSchema, Output, stepCountIs, streamText, tool } from 'ai';
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { aiSdkClient } from '../ai-sdk.mjs';
import { MODEL, spoken, startPool, TOKEN } from '../pool.mjs';
import { describeClient } from '../scenarios.mjs';

let pool;
before(async () => {
  pool = await startPool();
});
after(() => pool?.stop());

// It warns of every model that it does not know.
globalThis.AI_SDK_LOG_WARNINGS = false;

/** One class for every status; what a stream says is handed on as it is. */
const classes = { 400: 'APICallError', 401: 'APICallError', 404: 'APICallError', 429: 'APICallError', 500: 'APICallError', midStream: 'no class' };

describeClient({
  name: 'AI SDK for Anthropic',
  bases: ['/v1'],
  translated: true,
  clamps: true,
  codeless: true,
  blindToShouldRetry: true,
  driver: aiSdkClient('anthropic', createAnthropic, { thinking: { type: 'enabled', budgetTokens: 1_024 } }),
  classes,
}, () => pool);

describeClient({
  name: 'AI SDK for OpenAI',
  bases: ['/v1'],
  translated: true,
  clamps: true,
  blindToShouldRetry: true,
  driver: aiSdkClient('openai', createOpenAI, { store: false, forceReasoning: true, reasoningSummary: 'auto' }),
  classes,
}, () => pool);

describeClient({
  name: 'AI SDK for Google',
  bases: ['/v1beta', '/v1'],
  translated: true,
  codeless: true,
  blindToShouldRetry: true,
  driver: aiSdkClient('google', createGoogleGenerativeAI, { thinkingConfig: { includeThoughts: true } }),
  classes: { ...classes, midStream: 'APICallError' },
}, () => pool);

const place = jsonSchema({ type: 'object', properties: { location: { type: 'string' } }, required: ['location'], additionalProperties: false });
const RESULTS = { get_weather: '21 degrees', get_time: 'noon' };
const tools = Object.fromEntries(Object.entries(RESULTS).map(([name, result]) => [name, tool({ description: name, inputSchema: place, execute: async () => result })]));
const shown = {
  anthropic: { thinking: { type: 'enabled', budgetTokens: 1_024 } },
  google: { thinkingConfig: { includeThoughts: true } },
  openai: { store: false, forceReasoning: true, reasoningSummary: 'auto' },
};

for (const [name, create, base] of [['anthropic', createAnthropic, '/v1'], ['google', createGoogleGenerativeAI, '/v1beta'], ['openai', createOpenAI, '/v1']]) {
  describe(`AI SDK for ${name}, beyond one answer`, { timeout: 60_000 }, () => {
    const options = () => ({ model: create({ baseURL: pool.url + base, apiKey: TOKEN })(MODEL), maxRetries: 0, onError: () => {} });
    const sent = () => JSON.parse(pool.sim.records.at(-1).body.toString()).messages;

    test('reasoning and two calls at once go there and back, streamed', async () => {
      const prompt = '[[tool=get_weather,get_time reasoning=20]] The weather and the time in Paris?';
      const result = streamText({ ...options(), tools, prompt, stopWhen: stepCountIs(3), providerOptions: { [name]: shown[name] } });
      await result.consumeStream();
      assert.equal((await result.steps).length, 2);
      const [, { reasoning, tool_calls: calls }, ...results] = sent();
      const told = await spoken(pool, calls[0].id);
      assert.ok(told.reasoning.length > 20);
      assert.equal(reasoning, told.reasoning);
      assert.deepEqual(results.map((one) => [one.role, one.tool_call_id]), calls.map((call) => ['tool', call.id]));
      // Google's provider puts the result and the function's name into an object.
      results.forEach((one, n) => assert.ok(one.content.includes(RESULTS[calls[n].function.name]), one.content));
    });

    test('an answer is held to a schema', async () => {
      const { output } = await generateText({ ...options(), output: Output.object({ schema: place }), prompt: 'A place?' });
      assert.deepEqual(output, { location: 'Paris' });
    });

    // The provider of OpenAI refers to what it has had before by its id, unless it is told that nothing is kept.
    const own = name === 'openai' ? { openai: { store: false } } : {};
    const first = { role: 'user', content: 'How is Paris?' };
    test('a conversation with a tool goes on', async () => {
      const { response, text } = await generateText({ ...options(), tools, messages: [first], stopWhen: stepCountIs(3), providerOptions: own });
      assert.ok(text.length > 20);
      await generateText({ ...options(), messages: [first, ...response.messages, { role: 'user', content: 'And now?' }], providerOptions: own });
      assert.deepEqual(sent().map(({ role }) => role), ['user', 'assistant', 'tool', 'assistant', 'user']);
      assert.equal(sent()[3].content, text);
    });

    if (name === 'openai') {
      test('who refers to what nobody keeps is told which option is missing', async () => {
        await assert.rejects(generateText({ ...options(), tools, messages: [first], stopWhen: stepCountIs(3) }), /store: false/);
      });
    }
  });
}
