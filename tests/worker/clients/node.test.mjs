// The official clients for Node against the built Worker, unchanged: only their base URL and API key are set.
import { createCerebras } from '@ai-sdk/cerebras';
import Cerebras from '@cerebras/cerebras_cloud_sdk';
import OpenAI from 'openai';
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { aiSdkClient } from './ai-sdk.mjs';
import { MODEL, spoken, startPool, TOKEN } from './pool.mjs';
import { describeClient, statusClasses } from './scenarios.mjs';
import { stainlessClient } from './stainless.mjs';

let pool;
before(async () => {
  pool = await startPool();
});
after(() => pool?.stop());

describeClient({
  name: 'openai for Node',
  bases: ['/v1'],
  driver: stainlessClient(OpenAI),
  classes: { ...statusClasses, midStream: 'APIError' },
}, () => pool);

test('the helpers of openai for Node put a streamed answer together and run tools', { timeout: 30_000 }, async () => {
  const client = new OpenAI({ baseURL: `${pool.url}/v1`, apiKey: TOKEN });
  const messages = [{ role: 'user', content: '[[tokens=60 reasoning=0]] Go on.' }];
  const whole = await client.chat.completions.stream({ model: MODEL, messages }).finalChatCompletion();
  const told = await spoken(pool, whole.id);
  assert.equal(whole.choices[0].message.content, told.text);
  assert.equal(whole.usage.completion_tokens, 60);

  const asked = [];
  const tool = {
    type: 'function',
    function: {
      name: 'get_weather', description: 'The weather at a place.', parse: JSON.parse,
      parameters: { type: 'object', properties: { location: { type: 'string' } }, required: ['location'] },
      function: ({ location }) => {
        asked.push(location);
        return '21 degrees';
      },
    },
  };
  const runner = client.chat.completions.runTools({ model: MODEL, stream: true, tools: [tool], messages: [{ role: 'user', content: 'How is Paris?' }] });
  const said = await runner.finalContent();
  assert.deepEqual(asked, ['Paris']);
  assert.ok(said.length > 20);
});

describeClient({
  name: 'Cerebras SDK for Node',
  bases: ['', '/v1'],
  warms: true,
  // It takes any error inside a stream for a lost connection.
  hidesReason: true,
  driver: stainlessClient(Cerebras),
  classes: { ...statusClasses, midStream: 'APIConnectionError' },
}, () => pool);

describeClient({
  name: 'AI SDK for Cerebras',
  bases: ['/v1'],
  blindToShouldRetry: true,
  driver: aiSdkClient('cerebras', createCerebras),
  // One class for every status.
  classes: { 400: 'APICallError', 401: 'APICallError', 404: 'APICallError', 429: 'APICallError', 500: 'APICallError', midStream: 'AI_TypeValidationError' },
}, () => pool);
