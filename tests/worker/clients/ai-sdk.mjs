// The AI SDK with one of its providers, in the terms of stainless.mjs.
import { APICallError, generateText, jsonSchema, RetryError, stepCountIs, streamText, tool } from 'ai';

/**
 * @param {string} name of the provider, as its options are called
 * @param {Function} create the provider's
 * @param {object} [always] options of the provider for every call
 * @returns {{chat: (task: import('./stainless.mjs').Task) => Promise<import('./stainless.mjs').Outcome>}}
 */
export function aiSdkClient(name, create, always = {}) {
  async function chat(task) {
    const { base, token, headers, maxRetries, params, unknown, toolResult } = task;
    const provider = create({ baseURL: base, apiKey: token, headers });
    const { model, messages, temperature, tools } = params;
    const options = {
      model: provider(model), messages, temperature,
      ...(maxRetries !== undefined && { maxRetries }),
      providerOptions: { [name]: { ...always, ...unknown } },
      ...(tools && { tools: Object.fromEntries(tools.map(toolOf(toolResult))), stopWhen: stepCountIs(2) }),
    };
    const seen = { text: '' };
    try {
      if (!task.stream) {
        const { steps } = await generateText(options);
        return { turns: steps.map((step) => answerOf(step, 1)) };
      }
      return await streamed(options, task, seen);
    } catch (error) {
      return { error: shown(error), textBefore: seen.text };
    }
  }
  return { chat };
}

async function streamed(options, task, seen) {
  const abort = new AbortController();
  const pieces = [];
  // Errors are parts of the stream here, and printed unless somebody takes them.
  const result = streamText({ ...options, abortSignal: abort.signal, onError: () => {} });
  for await (const part of result.fullStream) {
    if (part.type === 'start-step') pieces.push(0);
    if (part.type === 'error') throw part.error;
    if (part.type === 'abort') return { turns: [], textBefore: seen.text };
    if (part.type !== 'text-delta') continue;
    seen.text += part.text;
    pieces[pieces.length - 1] += 1;
    if (task.leave) abort.abort();
  }
  return { turns: (await result.steps).map((step, i) => answerOf(step, pieces[i])) };
}

const toolOf = (result) => ({ function: { name, description, parameters } }) => [
  name,
  tool({ description, inputSchema: jsonSchema(parameters), ...(result !== undefined && { execute: async () => result }) }),
];

const answerOf = ({ response, text, reasoningText, toolCalls, finishReason, usage }, pieces) => ({
  id: response.headers?.['inference-id'] ?? response.id, text, reasoning: reasoningText ?? '',
  toolCalls: toolCalls.map(({ toolCallId, toolName, input }) => ({ id: toolCallId, name: toolName, arguments: input })),
  finish: finishReason.replace('-', '_'),
  usage: { prompt: usage.inputTokens, completion: usage.outputTokens, total: usage.totalTokens, reasoning: usage.outputTokenDetails?.reasoningTokens ?? 0 },
  pieces,
});

function shown(error) {
  // After its last retry it wraps what it met.
  const cause = RetryError.isInstance(error) ? error.lastError : error;
  if (!APICallError.isInstance(cause)) return { class: cause.name ?? 'no class', message: cause.message };
  const code = cause.data?.code ?? cause.data?.error?.code;
  return {
    class: 'APICallError', status: cause.statusCode, message: cause.message, code: typeof code === 'string' ? code : undefined, retryAfter: cause.responseHeaders?.['retry-after'],
  };
}
