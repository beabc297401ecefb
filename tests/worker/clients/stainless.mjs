// The clients that Stainless generates for Node (`openai`, `@cerebras/cerebras_cloud_sdk`) have one surface.
import { joinChunks, usageOf } from './pool.mjs';

/**
 * @typedef {object} Task what a client is to do; the same for every client
 * @property {string} base the base URL to configure
 * @property {string} token the API key to configure
 * @property {boolean} [stream]
 * @property {object} params of the chat completion, in OpenAI's words
 * @property {object} [unknown] fields that the upstream does not know
 * @property {number} [maxRetries] the client's own if absent
 * @property {object} [headers] to send with each request
 * @property {string} [toolResult] answer the tool call with this, in a second turn
 * @property {boolean} [leave] abort after the first piece of text
 *
 * @typedef {object} Answer
 * @property {string} id
 * @property {string} text
 * @property {string} reasoning
 * @property {{id: string, name: string, arguments: object}[]} toolCalls
 * @property {string} finish
 * @property {{prompt: number, completion: number, total: number, reasoning: number}} usage
 * @property {number} pieces how many pieces of text a stream brought
 *
 * @typedef {object} Outcome
 * @property {Answer[]} [turns] one, or two with a tool's result
 * @property {{class: string, status?: number, message: string, code?: string, retryAfter?: string}} [error]
 * @property {string} [textBefore] what a stream had brought before it failed or was left
 */

/**
 * @param {any} Client the class that the package exports
 * @returns {{chat: (task: Task) => Promise<Outcome>, models: (task: object) => Promise<string[]>}}
 */
export function stainlessClient(Client) {
  const make = ({ base, token, maxRetries, headers }) => new Client({
    baseURL: base, apiKey: token, ...(maxRetries !== undefined && { maxRetries }), ...(headers && { defaultHeaders: headers }),
  });

  async function chat(task) {
    const client = make(task);
    const seen = { text: '' };
    try {
      const params = { ...task.params, ...task.unknown };
      const first = await turn(client, task, params, seen);
      if (first === undefined) return { turns: [], textBefore: seen.text };
      if (task.toolResult === undefined) return { turns: [first.answer] };
      const { id } = first.answer.toolCalls[0];
      const messages = [...params.messages, first.message, { role: 'tool', tool_call_id: id, content: task.toolResult }];
      const second = await turn(client, task, { ...params, messages }, seen);
      return { turns: [first.answer, second.answer] };
    } catch (error) {
      return { error: shown(error), textBefore: seen.text };
    }
  }

  async function turn(client, task, params, seen) {
    if (!task.stream) {
      const completion = await client.chat.completions.create(params);
      const { message, finish_reason: finish } = completion.choices[0];
      const toolCalls = (message.tool_calls ?? []).map((call) => ({ id: call.id, name: call.function.name, arguments: JSON.parse(call.function.arguments) }));
      const answer = {
        id: completion.id, text: message.content ?? '', reasoning: message.reasoning ?? '', toolCalls, finish, usage: usageOf(completion.usage), pieces: 1,
      };
      return { answer, message };
    }
    const stream = await client.chat.completions.create({ ...params, stream: true });
    const chunks = [];
    for await (const chunk of stream) {
      chunks.push(chunk);
      seen.text += chunk.choices[0]?.delta?.content ?? '';
      if (task.leave && seen.text !== '') {
        stream.controller.abort();
        return undefined;
      }
    }
    const answer = { id: chunks[0].id, ...joinChunks(chunks) };
    // As whoever streams writes it: the call put together from its pieces.
    const calls = answer.toolCalls.map(({ id, name, arguments: input }) => ({ id, type: 'function', function: { name, arguments: JSON.stringify(input) } }));
    return { answer, message: { role: 'assistant', content: answer.text, tool_calls: calls } };
  }

  // The class by identity, so that an error that only bears the name is not taken for it.
  const nameOf = (error) => Object.keys(Client).find((name) => Client[name] === error.constructor) ?? `unexported ${error.constructor.name}`;
  const shown = (error) => ({
    class: nameOf(error), status: error.status, message: error.message, code: error.code ?? error.error?.code, retryAfter: headerOf(error, 'retry-after'),
  });

  const models = async (task) => (await make(task).models.list()).data.map(({ id }) => id);
  return { chat, models, make };
}

/** Of either kind of headers: a plain object or `Headers`. */
const headerOf = ({ headers }, name) => (typeof headers?.get === 'function' ? headers.get(name) ?? undefined : headers?.[name]);
