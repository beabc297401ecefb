// The AI SDK with the providers of the other dialects against the built Worker, unchanged.
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { after, before } from 'node:test';
import { aiSdkClient } from '../ai-sdk.mjs';
import { startPool } from '../pool.mjs';
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
