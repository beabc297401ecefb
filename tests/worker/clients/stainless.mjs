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
 * What differs between the dialects that these clients speak.
 * @typedef {object} Surface
 * @property {(task: Task) => object} params of the first call
 * @property {(client: object, task: Task, params: object, seen: {text: string}) => Promise<{answer: Answer, said: any} | undefined>} turn
 *   one call; nothing when the task is to leave
 * @property {(params: object, first: {answer: Answer, said: any}, result: string) => object} resumed params of the call with the tool's result
 */

/** @type {Surface} */
const chatCompletions = {
  params: (task) => ({ ...task.params, ...task.unknown }),
  resumed: (params, { answer, said }, result) => ({
    ...params, messages: [...params.messages, said, { role: 'tool', tool_call_id: answer.toolCalls[0].id, content: result }],
  }),
  async turn(client, task, params, seen) {
    if (!task.stream) {
      const completion = await client.chat.completions.create(params);
      const { message, finish_reason: finish } = completion.choices[0];
      const toolCalls = (message.tool_calls ?? []).map((call) => ({ id: call.id, name: call.function.name, arguments: JSON.parse(call.function.arguments) }));
      const answer = {
        id: completion.id, text: message.content ?? '', reasoning: message.reasoning ?? '', toolCalls, finish, usage: usageOf(completion.usage), pieces: 1,
      };
      return { answer, said: message };
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
    return { answer, said: { role: 'assistant', content: answer.text, tool_calls: calls } };
  },
};

/**
 * Does a task: one call, or two with the tool's result.
 * @param {Surface} surface
 * @param {object} client
 * @param {Task} task
 * @param {(error: any) => object} shown
 * @returns {Promise<Outcome>}
 */
export async function run(surface, client, task, shown) {
  const seen = { text: '' };
  try {
    const params = surface.params(task);
    const first = await surface.turn(client, task, params, seen);
    if (first === undefined) return { turns: [], textBefore: seen.text };
    if (task.toolResult === undefined) return { turns: [first.answer] };
    const second = await surface.turn(client, task, surface.resumed(params, first, task.toolResult), seen);
    return { turns: [first.answer, second.answer] };
  } catch (error) {
    return { error: shown(error), textBefore: seen.text };
  }
}

/**
 * @param {any} Client the class that the package exports
 * @param {Surface} [surface]
 * @param {object} [exported] where the classes of its errors are, by their names
 * @returns {{chat: (task: Task) => Promise<Outcome>, models: (task: object) => Promise<string[]>}}
 */
export function stainlessClient(Client, surface = chatCompletions, exported = Client) {
  const make = ({ base, token, maxRetries, headers }) => new Client({
    baseURL: base, apiKey: token, ...(maxRetries !== undefined && { maxRetries }), ...(headers && { defaultHeaders: headers }),
  });

  // The class by identity, so that an error that only bears the name is not taken for it.
  const nameOf = (error) => Object.keys(exported).find((name) => exported[name] === error.constructor) ?? `unexported ${error.constructor.name}`;
  const shown = (error) => ({
    class: nameOf(error), status: error.status, message: error.message, code: error.code ?? error.errorCode ?? error.error?.code,
    retryAfter: headerOf(error, 'retry-after'),
  });

  const models = async (task) => (await make(task).models.list()).data.map(({ id }) => id);
  return { chat: (task) => run(surface, make(task), task, shown), models, make };
}

/** Of either kind of headers: a plain object or `Headers`. */
const headerOf = ({ headers }, name) => (typeof headers?.get === 'function' ? headers.get(name) ?? undefined : headers?.[name]);
