// OpenAI Responses in the terms of stainless.mjs, for the official client for Node.

/** A response as an answer; `id` is what the upstream calls it. */
export function answerOf({ output, output_text: text, status, usage }, id, pieces = 1) {
  const of = (kind) => output.filter(({ type }) => type === kind);
  const calls = of('function_call');
  const ended = calls.length > 0 ? 'tool_calls' : 'stop';
  return {
    id, text, reasoning: of('reasoning').flatMap(({ summary }) => summary.map((part) => part.text)).join(''),
    toolCalls: calls.map((call) => ({ id: call.call_id, name: call.name, arguments: JSON.parse(call.arguments) })),
    finish: status === 'completed' ? ended : 'length',
    usage: { prompt: usage.input_tokens, completion: usage.output_tokens, total: usage.total_tokens, reasoning: usage.output_tokens_details.reasoning_tokens },
    pieces,
  };
}

/** @type {import('../stainless.mjs').Surface} */
export const responses = {
  params: ({ params: { messages, tools, ...params }, unknown }) => ({
    input: messages, store: false, reasoning: { summary: 'auto' }, include: ['reasoning.encrypted_content'],
    ...params,
    ...(tools && { tools: tools.map(({ function: described }) => ({ type: 'function', strict: false, ...described })) }),
    ...unknown,
  }),
  resumed: (params, { answer, said }, result) => ({
    ...params, input: [...params.input, ...said.output, { type: 'function_call_output', call_id: answer.toolCalls[0].id, output: result }],
  }),
  async turn(client, task, params, seen) {
    const { data, response } = await client.responses.create({ ...params, stream: task.stream }).withResponse();
    const id = response.headers.get('inference-id');
    if (!task.stream) return { answer: answerOf(data, id), said: data };
    let pieces = 0;
    let said;
    for await (const event of data) {
      if (/^response\.(completed|incomplete|failed)$/.test(event.type)) said = event.response;
      if (event.type !== 'response.output_text.delta') continue;
      seen.text += event.delta;
      pieces += 1;
      if (task.leave) {
        data.controller.abort();
        return undefined;
      }
    }
    // The client adds this to whole answers only.
    const text = said.output.flatMap(({ content }) => content ?? []).filter(({ type }) => type === 'output_text').map((part) => part.text).join('');
    return { answer: answerOf({ ...said, output_text: text }, id, pieces), said };
  },
};
