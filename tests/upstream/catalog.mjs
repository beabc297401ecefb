// Which models exist, what each accepts, and in what shapes they are listed.

const DEFAULT_MODELS = [
  {
    id: 'gpt-oss-120b', name: 'GPT OSS 120B', hugging_face_id: 'openai/gpt-oss-120b', quantization: 'fp16/fp8',
    context: 131072, maxOutput: 40960, efforts: ['low', 'medium', 'high'], prompt: '0.00000035', completion: '0.00000075',
  },
  {
    id: 'qwen-3.8-27b', name: 'Qwen 3.8 27B', hugging_face_id: 'Qwen/Qwen3.8-27B', quantization: 'fp16',
    context: 131072, maxOutput: 40960, efforts: ['none', 'low', 'medium', 'high'], prompt: '0.00000099', completion: '0.00000149',
  },
];
// Retired before November 2026 with the code seen live; other retired names answer model_not_found.
const ARCHIVED = ['zai-glm-4.7'];

const PARAMETERS = ['temperature', 'top_p', 'max_completion_tokens', 'stop', 'seed', 'stream', 'tools', 'tool_choice',
  'parallel_tool_calls', 'response_format', 'logprobs', 'top_logprobs', 'reasoning_effort'];

function complete(model) {
  const given = typeof model === 'string' ? { id: model } : model;
  return {
    name: given.id, hugging_face_id: given.id, quantization: 'fp16', context: 131072, maxOutput: 40960,
    efforts: ['none', 'low', 'medium', 'high'], prediction: true, prompt: '0.00000035', completion: '0.00000075', ...given,
  };
}

/**
 * @param {(string|object)[]} [models] ids, or `{id, context, maxOutput, efforts, prediction}`
 */
export function createCatalog(models = DEFAULT_MODELS) {
  const all = new Map();
  const retired = new Map(ARCHIVED.map((id) => [id, { code: 'model_archived', listed: false }]));
  const add = (model) => all.set(complete(model).id, complete(model));
  models.forEach(add);
  const listed = () => [...all.values()].filter((m) => !retired.has(m.id) || retired.get(m.id).listed);

  const brief = (m) => ({ id: m.id, object: 'model', created: 0, owned_by: 'Cerebras' });
  const full = (m) => ({
    ...brief(m), name: m.name, description: '', hugging_face_id: m.hugging_face_id,
    pricing: { prompt: m.prompt, completion: m.completion },
    capabilities: { streaming: true, function_calling: true, structured_outputs: true, vision: false, reasoning: true },
    supported_parameters: PARAMETERS,
    architecture: { modality: 'text->text', tokenizer: '', instruct_type: null },
    limits: { max_context_length: m.context, max_completion_tokens: m.maxOutput, requests_per_minute: null, tokens_per_minute: null },
    datacenter_locations: ['US'], deprecated: retired.has(m.id), preview: false, quantization: m.quantization,
  });

  return {
    add,
    /** Takes a model out of service; `listed` leaves it in the lists for a while, as happens live. */
    retire(id, code = 'model_not_found', { listed: stays = false } = {}) {
      retired.set(id, { code, listed: stays });
    },
    unretire: (id) => retired.delete(id),
    /** @returns {{model: object} | {gone: 'model_not_found' | 'model_archived'}} */
    find(id) {
      if (retired.has(id)) return { gone: retired.get(id).code };
      return all.has(id) ? { model: all.get(id) } : { gone: 'model_not_found' };
    },
    list: (open) => ({ object: 'list', data: listed().map(open ? full : brief) }),
    entry(id, open) {
      const found = listed().find((m) => m.id === id);
      return found && (open ? full(found) : brief(found));
    },
  };
}
