// The official clients of the other dialects for Node against the built Worker, unchanged.
import * as anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { after, before } from 'node:test';
import { startPool } from '../pool.mjs';
import { describeClient, statusClasses } from '../scenarios.mjs';
import { stainlessClient } from '../stainless.mjs';
import { completions } from './completions.mjs';
import { geminiClient } from './gemini.mjs';
import { messages } from './messages.mjs';
import { responses } from './responses.mjs';

let pool;
before(async () => {
  pool = await startPool();
});
after(() => pool?.stop());

describeClient({
  name: 'Anthropic for Node',
  bases: ['', '/v1'],
  translated: true,
  driver: stainlessClient(anthropic.Anthropic, messages, anthropic),
  classes: { ...statusClasses, midStream: 'APIError' },
}, () => pool);

describeClient({
  name: 'openai for Node, Responses',
  bases: ['/v1', ''],
  translated: true,
  driver: stainlessClient(OpenAI, responses),
  classes: { ...statusClasses, midStream: 'APIError' },
}, () => pool);

describeClient({
  name: 'openai for Node, Completions',
  bases: ['/v1', ''],
  translated: true,
  plain: true,
  driver: stainlessClient(OpenAI, completions),
  classes: { ...statusClasses, midStream: 'APIError' },
}, () => pool);

describeClient({
  name: 'Google Gen AI for Node',
  bases: ['', '/v1'],
  translated: true,
  codeless: true,
  giveUp: true,
  driver: geminiClient(),
  // One class for every status.
  classes: { 400: 'ApiError', 401: 'ApiError', 404: 'ApiError', 429: 'ApiError', 500: 'ApiError', midStream: 'ApiError' },
}, () => pool);
