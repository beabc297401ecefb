// The strict reading of request bodies: what the service refuses before it looks at the
// model. The unknown-field text and the joining by newlines are live; the other texts
// follow the same form and are inferred.
import { wrongFormat } from './errors.mjs';

const show = (path) => (path.length === 1 ? `body.${path[0]}` : path.join('.'));
const wrong = (expected) => (value, path, errors) => errors.push(`${show(path)}: ${expected}`);

const str = ({ max = Infinity } = {}) => (value, path, errors) => {
  if (typeof value !== 'string') wrong('Input should be a valid string')(value, path, errors);
  else if (value.length > max) wrong(`String should have at most ${max} characters`)(value, path, errors);
};
const bool = (value, path, errors) => {
  if (typeof value !== 'boolean') wrong('Input should be a valid boolean')(value, path, errors);
};
const num = (min, max, whole = false) => (value, path, errors) => {
  if (typeof value !== 'number' || (whole && !Number.isInteger(value))) {
    wrong(`Input should be a valid ${whole ? 'integer' : 'number'}`)(value, path, errors);
  } else if (value < min) wrong(`Input should be greater than or equal to ${min}`)(value, path, errors);
  else if (value > max) wrong(`Input should be less than or equal to ${max}`)(value, path, errors);
};
const int = (min = -Infinity, max = Infinity) => num(min, max, true);
const one = (...names) => (value, path, errors) => {
  if (!names.includes(value)) wrong(`Input should be ${names.map((n) => `'${n}'`).join(', ')}`)(value, path, errors);
};
const anyObject = (value, path, errors) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) wrong('Input should be a valid object')(value, path, errors);
};
const list = (item, { min = 0, max = Infinity } = {}) => (value, path, errors) => {
  if (!Array.isArray(value)) return wrong('Input should be a valid list')(value, path, errors);
  if (value.length < min || value.length > max) wrong(`List should have ${min} to ${max} items`)(value, path, errors);
  value.forEach((entry, i) => item(entry, [...path, i], errors));
};
// A field whose name ends in `*` is required; null counts as absent for the others.
const object = (fields) => {
  const known = new Map(Object.entries(fields).map(([name, check]) => [name.replace('*', ''), { check, required: name.endsWith('*') }]));
  return (value, path, errors) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return anyObject(value, path, errors);
    for (const [name, entry] of Object.entries(value)) {
      const at = [...path, name];
      if (!known.has(name)) errors.push(`${show(at)}: property '${show(at)}' is unsupported`);
      else if (entry !== null || known.get(name).required) known.get(name).check(entry, at, errors);
    }
    for (const [name, { required }] of known) {
      if (required && value[name] === undefined) errors.push(`${show([...path, name])}: Field required`);
    }
  };
};
const either = (...pairs) => (value, path, errors) => {
  const found = pairs.find(([fits]) => fits(value));
  if (found) found[1](value, path, errors);
  else wrong('Input should be a valid string or list')(value, path, errors);
};
const isStr = (v) => typeof v === 'string';
const isList = (v) => Array.isArray(v);
const isObject = (v) => typeof v === 'object' && v !== null && !Array.isArray(v);

const tagged = (key, kinds) => (value, path, errors) => {
  const check = isObject(value) && kinds[value[key]];
  if (check) check(value, path, errors);
  else wrong(`Input should have a '${key}' of ${Object.keys(kinds).map((k) => `'${k}'`).join(', ')}`)(value, path, errors);
};

const textPart = object({ 'type*': one('text'), 'text*': str() });
const contentParts = tagged('type', {
  text: textPart,
  image_url: object({ 'type*': str(), 'image_url*': object({ 'url*': str(), detail: one('auto', 'low', 'high') }) }),
  image: object({ 'type*': str(), 'image*': anyObject }),
});
const content = either([isStr, str()], [isList, list(contentParts, { min: 1 })]);
const textContent = either([isStr, str()], [isList, list(textPart, { min: 1 })]);
const toolCall = object({
  'id*': str(), 'type*': one('function'), 'function*': object({ 'name*': str(), 'arguments*': str() }), index: int(0),
});
const ROLES = {
  system: object({ 'role*': str(), 'content*': content, name: str() }),
  developer: object({ 'role*': str(), 'content*': content, name: str() }),
  user: object({ 'role*': str(), 'content*': content, name: str() }),
  assistant: object({ 'role*': str(), content, name: str(), reasoning: str(), tool_calls: list(toolCall) }),
  tool: object({ 'role*': str(), 'tool_call_id*': str(), 'content*': textContent, name: str() }),
};
const message = (value, path, errors) => {
  const check = isObject(value) && Object.hasOwn(ROLES, value.role) ? ROLES[value.role] : undefined;
  if (check) check(value, [...path, value.role], errors);
  else wrong(`Input should have a 'role' of ${Object.keys(ROLES).map((r) => `'${r}'`).join(', ')}`)(value, path, errors);
};

const tool = object({
  'type*': one('function'),
  'function*': object({ 'name*': str(), description: str(), parameters: anyObject, strict: bool }),
});
const toolChoice = either(
  [isStr, one('none', 'auto', 'required')],
  [isObject, object({ 'type*': one('function'), 'function*': object({ 'name*': str() }) })],
);
const responseFormat = tagged('type', {
  text: object({ 'type*': str() }),
  json_object: object({ 'type*': str() }),
  json_schema: object({ 'type*': str(), 'json_schema*': object({ 'name*': str(), schema: anyObject, strict: bool, description: str() }) }),
});
const streamOptions = object({ include_usage: bool });
const stop = either([isStr, str()], [isList, list(str(), { max: 4 })]);
const MOST_CHOICES = 128;

const shared = {
  'model*': str(), max_tokens: int(-1), min_tokens: int(-1), temperature: num(0, 2), top_p: num(0, 1),
  frequency_penalty: num(-2, 2), presence_penalty: num(-2, 2), logit_bias: anyObject, n: int(1, MOST_CHOICES), stop,
  seed: int(), stream: bool, stream_options: streamOptions, user: str(), prompt_cache_key: str({ max: 1024 }),
};
const chat = object({
  ...shared,
  'messages*': list(message, { min: 1 }),
  max_completion_tokens: int(-1), min_completion_tokens: int(-1), logprobs: bool, top_logprobs: int(0, 20),
  response_format: responseFormat, tools: list(tool), tool_choice: toolChoice, parallel_tool_calls: bool,
  prediction: object({ 'type*': one('content'), 'content*': textContent }),
  reasoning_effort: one('none', 'low', 'medium', 'high'),
  reasoning_format: one('none', 'parsed', 'text_parsed', 'raw', 'hidden'), reasoning_logprobs: bool,
  disable_reasoning: bool, clear_thinking: bool,
  service_tier: one('auto', 'default', 'flex', 'priority'), model_parameters: anyObject,
});
const tokenOrText = (value, path, errors) => {
  if (typeof value === 'number') return int(0)(value, path, errors);
  return either([isStr, str()], [isList, list(int(0))])(value, path, errors);
};
const completions = object({
  ...shared,
  'prompt*': either([isStr, str()], [isList, list(tokenOrText, { min: 1, max: 2048 })]),
  best_of: int(1, MOST_CHOICES), echo: bool, suffix: str(), logprobs: int(0, 20), return_raw_tokens: bool, grammar_root: str(),
});

/** @returns {undefined | {status: number, body: object}} the refusal of a chat body, if it deserves one */
export function validateChat(body) {
  const errors = [];
  chat(body, [], errors);
  if (errors.length > 0) return wrongFormat(errors);
  return checkTools(body) ?? checkStrictSchemas(body);
}

/** As validateChat, for `/v1/completions`. */
export function validateCompletions(body) {
  const errors = [];
  completions(body, [], errors);
  if (errors.length === 0 && Array.isArray(body.prompt) && new Set(body.prompt.map((p) => typeof p)).size > 1) {
    errors.push('body.prompt: Input should be a list of one kind');
  }
  if (errors.length === 0 && typeof body.suffix === 'string') errors.push('body.suffix: "suffix" is not currently supported');
  return errors.length > 0 ? wrongFormat(errors) : undefined;
}

// Version 2: every call is answered at once, and nothing answers a call that was not made.
function checkTools({ messages, tools, tool_choice: choice }) {
  const asksForTools = choice !== undefined && choice !== null && choice !== 'none' && choice !== 'auto';
  if (choice && !(tools?.length > 0)) return wrongFormat("body.tool_choice: 'tool_choice' is only allowed when 'tools' are specified");
  if (asksForTools && isObject(choice) && !tools.some((t) => t.function.name === choice.function.name)) {
    return wrongFormat(`body.tool_choice: tool '${choice.function.name}' is not in 'tools'`);
  }
  const used = new Set();
  let open = new Set();
  for (const [i, entry] of messages.entries()) {
    if (entry.role === 'tool') {
      if (!open.delete(entry.tool_call_id)) {
        return wrongFormat(`messages.${i}.tool.tool_call_id: '${entry.tool_call_id}' answers no open tool call`);
      }
      continue;
    }
    if (open.size > 0) break;
    for (const call of entry.tool_calls ?? []) {
      if (used.has(call.id)) return wrongFormat(`messages.${i}.assistant.tool_calls: duplicate tool call id '${call.id}'`);
      used.add(call.id);
      open.add(call.id);
    }
  }
  if (open.size === 0) return undefined;
  return wrongFormat(`messages: tool calls without an answer: ${[...open].map((id) => `'${id}'`).join(', ')}`);
}

const UNSUPPORTED = ['minItems', 'maxItems', 'pattern', 'format', 'definitions'];
const DEEPEST = 64;

function strictProblems(schema, found, open, depth = 0) {
  if (!isObject(schema) || depth > DEEPEST) return;
  for (const name of UNSUPPORTED) if (name in schema) found.add(name);
  if ((schema.type === 'object' || schema.properties) && schema.additionalProperties !== false) open.push(depth);
  for (const group of [schema.properties, schema.$defs]) {
    if (isObject(group)) Object.values(group).forEach((s) => strictProblems(s, found, open, depth + 1));
  }
  for (const group of [schema.anyOf, schema.prefixItems]) {
    if (isList(group)) group.forEach((s) => strictProblems(s, found, open, depth + 1));
  }
  strictProblems(schema.items, found, open, depth + 1);
}

function checkStrictSchemas({ response_format: format, tools }) {
  const strict = [];
  if (format?.json_schema?.strict) strict.push(['response_format', format.json_schema.schema]);
  for (const { function: fn } of tools ?? []) if (fn.strict) strict.push(['tools', fn.parameters]);
  for (const [param, schema] of strict) {
    const found = new Set();
    const open = [];
    strictProblems(schema, found, open);
    if (found.size > 0) return wrongFormat(`Unsupported JSON schema fields: {${[...found].map((f) => `'${f}'`).join(', ')}}`, param);
    if (open.length > 0) return wrongFormat("Strict schemas need 'additionalProperties': false for every object", param);
  }
  return undefined;
}

/** What this one model does not take: the text for `prediction` is live, the other inferred. */
export function validateForModel(body, model) {
  if (body.prediction && !model.prediction) return wrongFormat('"prediction" is not currently supported');
  if (body.reasoning_effort && !model.efforts.includes(body.reasoning_effort)) {
    return wrongFormat(`body.reasoning_effort: Input should be ${model.efforts.map((e) => `'${e}'`).join(', ')}`);
  }
  return undefined;
}
