// Anthropic Messages in the terms of stainless.mjs, for the official client for Node.

/** Well above what any scenario asks for; the dialect requires a bound. */
const MAX_TOKENS = 8_192;
const FINISH = { end_turn: 'stop', tool_use: 'tool_calls', max_tokens: 'length' };

const join = (blocks, type, field) => blocks.filter((block) => block.type === type).map((block) => block[field]).join('');

/** A message as an answer; `id` is what the upstream calls it. */
export function answerOf({ content, stop_reason: reason, usage }, id, pieces = 1) {
  const prompt = usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens;
  return {
    id, text: join(content, 'text', 'text'), reasoning: join(content, 'thinking', 'thinking'),
    toolCalls: content.filter(({ type }) => type === 'tool_use').map((block) => ({ id: block.id, name: block.name, arguments: block.input })),
    finish: FINISH[reason] ?? reason,
    usage: {
      prompt, completion: usage.output_tokens, total: prompt + usage.output_tokens,
      reasoning: usage.output_tokens_details?.thinking_tokens ?? 0,
    },
    pieces,
  };
}

/** @type {import('../stainless.mjs').Surface} */
export const messages = {
  params: ({ params: { tools, ...params }, unknown }) => ({
    max_tokens: MAX_TOKENS,
    thinking: { type: 'enabled', budget_tokens: 1_024 },
    ...params,
    ...(tools && { tools: tools.map(({ function: { name, description, parameters } }) => ({ name, description, input_schema: parameters })) }),
    ...unknown,
  }),
  resumed: (params, { answer, said }, result) => ({
    ...params,
    messages: [
      ...params.messages,
      { role: 'assistant', content: said.content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: answer.toolCalls[0].id, content: result }] },
    ],
  }),
  async turn(client, task, params, seen) {
    if (!task.stream) {
      const { data, response } = await client.messages.create(params).withResponse();
      return { answer: answerOf(data, response.headers.get('inference-id')), said: data };
    }
    const stream = client.messages.stream(params);
    let pieces = 0;
    for await (const { type, delta } of stream) {
      if (type !== 'content_block_delta' || delta.type !== 'text_delta') continue;
      seen.text += delta.text;
      pieces += 1;
      if (task.leave) {
        stream.abort();
        return undefined;
      }
    }
    const said = await stream.finalMessage();
    return { answer: answerOf(said, stream.response.headers.get('inference-id'), pieces), said };
  },
};
