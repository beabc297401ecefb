// Google's client for Gemini, in the terms of stainless.mjs.
import { ApiError, GoogleGenAI } from '@google/genai';
import { run } from '../stainless.mjs';

const FINISH = { STOP: 'stop', MAX_TOKENS: 'length' };

/** The parts of an answer's pieces, in one. */
function answerOf(pieces) {
  const parts = pieces.flatMap(({ candidates }) => candidates?.[0]?.content?.parts ?? []);
  const last = pieces.findLast(({ candidates }) => candidates?.[0]?.finishReason);
  const { usageMetadata: usage } = pieces.findLast(({ usageMetadata }) => usageMetadata) ?? {};
  const calls = parts.filter((part) => part.functionCall).map(({ functionCall }) => functionCall);
  const text = (thought) => parts.filter((part) => part.text && Boolean(part.thought) === thought).map((part) => part.text);
  const finish = last?.candidates[0].finishReason;
  const reasoning = usage?.thoughtsTokenCount ?? 0;
  const answer = {
    id: pieces[0].responseId, text: text(false).join(''), reasoning: text(true).join(''),
    toolCalls: calls.map(({ id, name, args }) => ({ id, name, arguments: args })),
    finish: calls.length > 0 && finish === 'STOP' ? 'tool_calls' : FINISH[finish] ?? finish,
    usage: usage && { prompt: usage.promptTokenCount, completion: usage.candidatesTokenCount + reasoning, total: usage.totalTokenCount, reasoning },
    pieces: text(false).length,
  };
  return { answer, said: { role: 'model', parts } };
}

/** @type {import('../stainless.mjs').Surface} */
const surface = {
  params: ({ params: { model, messages, temperature, tools } }) => ({
    model,
    contents: messages.map(({ content }) => ({ role: 'user', parts: [{ text: content }] })),
    config: {
      temperature, thinkingConfig: { includeThoughts: true },
      ...(tools && { tools: [{ functionDeclarations: tools.map(({ function: { name, description, parameters } }) => ({ name, description, parametersJsonSchema: parameters })) }] }),
    },
  }),
  resumed: (params, { answer, said }, result) => {
    const { id, name } = answer.toolCalls[0];
    return { ...params, contents: [...params.contents, said, { role: 'user', parts: [{ functionResponse: { id, name, response: { output: result } } }] }] };
  },
  async turn(client, task, params, seen) {
    if (!task.stream) return answerOf([await client.models.generateContent(params)]);
    const leaving = new AbortController();
    const pieces = [];
    const config = { ...params.config, abortSignal: leaving.signal };
    for await (const piece of await client.models.generateContentStream({ ...params, config })) {
      pieces.push(piece);
      // Its `text` warns of parts that are none.
      seen.text += answerOf([piece]).answer.text;
      if (task.leave && seen.text !== '') {
        leaving.abort();
        return undefined;
      }
    }
    return answerOf(pieces);
  },
};

const shown = (error) => ({
  class: error.constructor === ApiError ? 'ApiError' : error.constructor.name, status: error.status, message: error.message,
  // It shows no header: the dialect says it in the body.
  retryAfter: /"retryDelay":"([\d.]+)s"/.exec(error.message)?.[1],
});

/** @returns {{chat: Function, models: Function, make: Function}} */
export function geminiClient() {
  const make = ({ base, token, headers }) => new GoogleGenAI({ apiKey: token, httpOptions: { baseUrl: base, headers } });
  return {
    make,
    chat: (task) => run(surface, make(task), task, shown),
    async models(task) {
      const names = [];
      for await (const { name } of await make(task).models.list()) names.push(name.replace('models/', ''));
      return names;
    },
  };
}
