// OpenAI's older Completions in the terms of stainless.mjs, for the official client for Node.
import { usageOf } from '../pool.mjs';

/** @type {import('../stainless.mjs').Surface} */
export const completions = {
  params: ({ params: { messages, ...params }, stream, unknown }) => ({
    prompt: messages.at(-1).content, ...params, stream, ...(stream && { stream_options: { include_usage: true } }), ...unknown,
  }),
  async turn(client, task, params, seen) {
    const { data, response } = await client.completions.create(params).withResponse();
    const answer = { id: response.headers.get('inference-id'), text: '', reasoning: '', toolCalls: [], finish: undefined, usage: undefined, pieces: 0 };
    for await (const { choices, usage } of task.stream ? data : [data]) {
      if (usage) answer.usage = usageOf(usage);
      const [choice] = choices;
      if (!choice) continue;
      answer.text += choice.text;
      answer.finish = choice.finish_reason ?? answer.finish;
      if (choice.text === '') continue;
      answer.pieces += 1;
      seen.text += choice.text;
      if (task.leave) {
        data.controller.abort();
        return undefined;
      }
    }
    return { answer };
  },
};
