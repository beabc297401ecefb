// What the clients talk to: Rondo with two keys at the simulator, a relay in front of it that notes their
// requests, and what the simulator itself wrote, to hold the clients' answers against.
import assert from 'node:assert/strict';
import { startWorker, testBindings } from '../../harness/worker.mjs';
import { createSimulator } from '../../upstream/simulator.mjs';
import { startRelay } from './relay.mjs';

export const TOKEN = 'rk-client-tests-0123456789abcdef';
export const MODEL = 'gpt-oss-120b';
const KEYS = ['csk-client-tests-one', 'csk-client-tests-two'];

const CHAT = '/v1/chat/completions';

/** Starts all of it. The model policy is `passthrough`, so that a model that is not there is the client's affair. */
export async function startPool() {
  const parts = [];
  const stop = async () => {
    for (const end of parts.reverse()) await end();
    // A client that still sleeps must not hold up the run; if none does, the process ends before this.
    setTimeout(() => process.exit(1), 5_000).unref();
  };
  try {
    const sim = await createSimulator({ keys: KEYS, recordBodies: true });
    parts.push(() => sim.close());
    const rondo = await startWorker({ bindings: { CEREBRAS_BASE_URL: sim.url, CEREBRAS_API_KEYS: KEYS.join(','), AUTH_PASSWORD: TOKEN } });
    parts.push(() => rondo.stop());
    await settings(rondo, { model_policy: 'passthrough' });
    const relay = await startRelay(rondo.url);
    parts.push(() => relay.close());
    return { sim, rondo, relay, url: relay.url, keys: KEYS, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function settings(rondo, changes) {
  const call = async (method, path, body, token) => {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
    const response = await rondo.fetch(path, { method, headers, body: JSON.stringify(body) });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  };
  const { token } = await call('POST', '/api/auth/setup', { password: 'client-tests-admin', setup_code: testBindings.SETUP_TOKEN });
  await call('PATCH', '/api/settings', changes, token);
}

/** What went upstream for inference, newest last. */
export const sentUpstream = (pool, model) => pool.sim.records.filter((record) => record.path === CHAT && record.model === model);

/**
 * The answer with this id as the simulator wrote it, read from its bytes: what a client must have understood.
 * @returns {Promise<{text: string, reasoning: string, toolCalls: {id: string, name: string, arguments: object}[], finish: string,
 *   usage: {prompt: number, completion: number, total: number, reasoning: number}, pieces: number, record: object}>}
 */
export async function spoken(pool, id) {
  const record = await pool.sim.waitFor((one) => one.done && one.response?.includes(id));
  const bytes = record.response.toString('utf8');
  const told = record.stream ? fromStream(bytes) : fromWhole(JSON.parse(bytes));
  assert.equal(told.usage.prompt, record.promptTokens);
  assert.equal(told.usage.completion, record.completionTokens);
  return { ...told, record };
}

export const usageOf = (usage) => usage && {
  prompt: usage.prompt_tokens,
  completion: usage.completion_tokens,
  total: usage.total_tokens,
  reasoning: usage.completion_tokens_details?.reasoning_tokens,
};

const callOf = ({ id, function: { name, arguments: text } }) => ({ id, name, arguments: JSON.parse(text) });

function fromWhole({ choices: [{ message, finish_reason: finish }], usage }) {
  return {
    text: message.content ?? '', reasoning: message.reasoning ?? '', toolCalls: (message.tool_calls ?? []).map(callOf),
    finish, usage: usageOf(usage), pieces: 1,
  };
}

function fromStream(text) {
  const chunks = text.split('\n\n').filter((event) => event.startsWith('data: {')).map((event) => JSON.parse(event.slice(6)));
  return joinChunks(chunks);
}

/** Streamed chunks as one answer; `pieces` counts those with text. */
export function joinChunks(chunks) {
  const out = { text: '', reasoning: '', finish: undefined, usage: undefined, pieces: 0 };
  const calls = [];
  for (const { choices, usage } of chunks) {
    if (usage) out.usage = usageOf(usage);
    const choice = choices?.[0];
    if (!choice) continue;
    const { content, reasoning, tool_calls: parts } = choice.delta ?? {};
    if (content) {
      out.text += content;
      out.pieces += 1;
    }
    out.reasoning += reasoning ?? '';
    for (const part of parts ?? []) {
      const call = (calls[part.index] ??= { id: part.id, function: { name: part.function.name, arguments: '' } });
      call.function.arguments += part.function.arguments ?? '';
    }
    out.finish = choice.finish_reason ?? out.finish;
  }
  return { ...out, toolCalls: calls.map(callOf) };
}
