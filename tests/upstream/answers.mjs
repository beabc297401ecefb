// What the model "says": scripted, so that every text and every count is known beforehand.
import { randomBytes, randomUUID } from 'node:crypto';
import { KINDS, countTokens, promptsOf, takePieces } from './tokens.mjs';

const FINGERPRINT = 'fp_4cfabdd6620dc0120785';
const DEFAULT_TOKENS = 64;
const DEFAULT_REASONING = 12;
const DEEPEST = 16;
// Tokens of one chunk after another: 1 to 4, always the same.
const CHUNK_SIZES = [1, 2, 4, 3, 2, 1, 3, 4];

const DIRECTIVE = /\[\[((?:\w+=[^\s\]]+\s*)+)\]\]/;

function textOf(content) {
  if (typeof content === 'string') return content;
  return Array.isArray(content) ? content.map((part) => part.text ?? '').join('') : '';
}

/** `[[tokens=120 kind=chinese reasoning=20 tool=get_weather delay=5]]` of a text, as an object of strings. */
export function directiveOf(text) {
  const found = DIRECTIVE.exec(text);
  return found ? Object.fromEntries(found[1].trim().split(/\s+/).map((pair) => pair.split('='))) : {};
}

const count = (text, fallback, most) => {
  const n = Number(text);
  return Number.isInteger(n) && n >= 0 ? Math.min(n, most) : fallback;
};
const sum = (pieces) => pieces.reduce((total, piece) => total + piece.tokens, 0);

/** A plain value that fits a JSON schema, the same one every time. */
export function instanceOf(schema, depth = 0) {
  if (typeof schema !== 'object' || schema === null || depth > DEEPEST) return 'value';
  if (schema.const !== undefined) return schema.const;
  if (Array.isArray(schema.enum) && schema.enum.length > 0) return schema.enum[0];
  const variant = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(variant) && variant.length > 0) return instanceOf(variant[0], depth + 1);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type ?? (schema.properties ? 'object' : 'string')) {
    case 'object':
      return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, part]) =>
        [name, (part?.type ?? 'string') === 'string' && !part?.enum && part?.const === undefined ? sample(name) : instanceOf(part, depth + 1)]));
    case 'array': return [instanceOf(schema.items ?? {}, depth + 1)];
    case 'integer': return 3;
    case 'number': return 1.5;
    case 'boolean': return true;
    case 'null': return null;
    default: return 'value';
  }
}

const SAMPLES = { location: 'Paris', city: 'Paris', country: 'France', path: '/tmp/notes.txt', query: 'round robin', command: 'ls -l', url: 'https://example.com/', unit: 'celsius' };
const sample = (name) => SAMPLES[name] ?? `some ${name}`;

// JSON the model writes is counted by pieces of this cut, one token each.
const jsonPieces = (value) => (JSON.stringify(value).match(/ ?[A-Za-z]{1,8}|\d{1,3}|["{}[\]:,]{1,3}|[^]/gu) ?? []).map((text) => ({ text, tokens: 1 }));

function toolsToCall(body, script, last) {
  const tools = body.tools ?? [];
  if (tools.length === 0 || body.tool_choice === 'none' || script.tool === 'none') return [];
  if (last.role === 'tool') return [];
  if (typeof body.tool_choice === 'object' && body.tool_choice) return tools.filter((t) => t.function.name === body.tool_choice.function.name);
  if (script.tool) {
    const names = script.tool.split(',').slice(0, body.parallel_tool_calls === false ? 1 : 16);
    return names.map((name) => tools.find((t) => t.function.name === name) ?? { function: { name } });
  }
  return last.role === 'user' || body.tool_choice === 'required' ? tools.slice(0, 1) : [];
}

/** The limit a request sets on its answer, or undefined; -1 means none. */
export function maxCompletionOf(body) {
  const given = body.max_completion_tokens ?? body.max_tokens;
  return given === undefined || given === null || given < 0 ? undefined : given;
}

// Cuts the parts of an answer, in the order they are sent, to `most` tokens. A piece of
// several tokens that does not fit is left out, so that a cut answer has exactly `most`.
function cutTo(most, parts) {
  let left = most;
  let cut = false;
  const kept = [];
  for (const pieces of parts) {
    const out = [];
    for (const piece of cut ? [] : pieces) {
      if (piece.tokens > left) cut = true;
      else out.push(piece);
      left -= piece.tokens > left ? 0 : piece.tokens;
    }
    kept.push(out);
  }
  return { kept, cut };
}

function planChoice(body, model, script, index) {
  const last = body.messages.at(-1);
  const most = Math.min(maxCompletionOf(body) ?? model.maxOutput, model.maxOutput);
  const kind = KINDS.includes(script.kind) ? script.kind : 'english';
  const text = count(script.text, 0, 1000) + index;
  const thinks = body.reasoning_effort !== 'none' && body.disable_reasoning !== true;
  const least = Math.max(body.min_completion_tokens ?? 0, body.min_tokens ?? 0);
  const total = Math.max(count(script.tokens, DEFAULT_TOKENS, model.maxOutput), least);
  const reasoning = thinks ? count(script.reasoning, Math.min(DEFAULT_REASONING, total >> 1), model.maxOutput) : 0;
  const called = toolsToCall(body, script, last);

  const thought = takePieces('english', text + 1, reasoning);
  let said = [];
  let calls = [];
  if (called.length > 0) {
    calls = called.map((t) => ({ id: callId(), name: t.function.name, pieces: jsonPieces(instanceOf(t.function.parameters ?? { type: 'object' })) }));
  } else if (body.response_format && body.response_format.type !== 'text') {
    said = jsonPieces(instanceOf(body.response_format.json_schema?.schema ?? { type: 'object', properties: { answer: { type: 'string' } } }));
  } else {
    said = takePieces(kind, text, Math.max(0, total - reasoning));
  }
  const parts = [thought, said, ...calls.flatMap((c) => [[{ text: c.name, tokens: countTokens(c.name) }], c.pieces])];
  const { kept, cut } = cutTo(most, parts);
  const [keptThought, keptSaid, ...keptCalls] = kept;
  calls = calls.flatMap((call, i) => (keptCalls[2 * i].length > 0 ? [{ ...call, nameTokens: sum(keptCalls[2 * i]), pieces: keptCalls[2 * i + 1] }] : []));
  const finish = cut ? 'length' : script.finish ?? (calls.length > 0 ? 'tool_calls' : 'stop');
  return { index, thought: keptThought, said: keptSaid, calls, finish, tokens: kept.reduce((n, part) => n + sum(part), 0) };
}

/** A tool call's id: 9 hexadecimal digits. */
const callId = () => randomBytes(5).toString('hex').slice(0, 9);

/** How chat answers this body: `{ choices, completionTokens, reasoningTokens, … }`. */
export function planChat(body, model) {
  const lastUser = body.messages.findLast((m) => m.role === 'user');
  const script = directiveOf(textOf(lastUser?.content));
  const choices = Array.from({ length: body.n ?? 1 }, (_, i) => planChoice(body, model, script, i));
  return finishPlan(choices, script, body.reasoning_format);
}

/** How `/v1/completions` answers: one choice for each prompt and each of `n`. */
export function planCompletions(body, model) {
  const choices = [];
  let script = {};
  for (const prompt of promptsOf(body.prompt)) {
    script = directiveOf(typeof prompt === 'string' ? prompt : '');
    const kind = KINDS.includes(script.kind) ? script.kind : 'english';
    const wanted = Math.max(count(script.tokens, DEFAULT_TOKENS, model.maxOutput), body.min_tokens ?? 0);
    const most = Math.min(maxCompletionOf(body) ?? model.maxOutput, model.maxOutput);
    for (let i = 0; i < (body.n ?? 1); i += 1) {
      const { kept: [said], cut } = cutTo(most, [takePieces(kind, count(script.text, 0, 1000) + i, wanted)]);
      const echo = body.echo && typeof prompt === 'string' ? [{ text: prompt, tokens: 0 }] : [];
      choices.push({ index: choices.length, thought: [], said: [...echo, ...said], calls: [], finish: cut ? 'length' : 'stop', tokens: sum(said) });
    }
  }
  return { ...finishPlan(choices, script), text: true };
}

function finishPlan(choices, script, reasoningFormat = 'parsed') {
  const reasoningTokens = choices.reduce((n, c) => n + sum(c.thought), 0);
  for (const choice of choices) {
    // Reasoning is counted in every format; only where it is written differs.
    if (reasoningFormat === 'raw' && choice.thought.length > 0) {
      choice.said = [{ text: '<think>', tokens: 0 }, ...choice.thought, { text: '</think>', tokens: 0 }, ...choice.said];
    }
    if (['raw', 'hidden', 'none'].includes(reasoningFormat)) choice.thought = [];
  }
  return {
    choices, reasoningTokens, completionTokens: choices.reduce((n, c) => n + c.tokens, 0),
    chunkTokens: count(script.chunk, 0, 4), delayMs: script.delay === undefined ? undefined : count(script.delay, 0, 60_000),
  };
}

const join = (pieces) => pieces.map((p) => p.text).join('');

function usageOf(plan, promptTokens, cachedTokens) {
  return {
    total_tokens: promptTokens + plan.completionTokens,
    completion_tokens: plan.completionTokens,
    completion_tokens_details: { accepted_prediction_tokens: 0, rejected_prediction_tokens: 0, reasoning_tokens: plan.reasoningTokens },
    prompt_tokens: promptTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

const timeInfo = (nowMs, plan, promptTokens) => ({
  queue_time: 0.00012, prompt_time: promptTokens / 50_000, completion_time: plan.completionTokens / 3000,
  total_time: 0.001 + promptTokens / 50_000 + plan.completionTokens / 3000, created: nowMs / 1000,
});

/** What both forms of one answer share: id, times, usage. */
export function envelopeOf(plan, { model, nowMs, promptTokens, cachedTokens }) {
  return {
    id: `${plan.text ? 'cmpl' : 'chatcmpl'}-${randomUUID()}`, created: Math.floor(nowMs / 1000), model,
    usage: usageOf(plan, promptTokens, cachedTokens), timeInfo: timeInfo(nowMs, plan, promptTokens),
  };
}

/** The body of a non-streaming answer. */
export function wholeAnswer(plan, envelope) {
  const choices = plan.choices.map((choice) => {
    if (plan.text) return { finish_reason: choice.finish, index: choice.index, text: join(choice.said) };
    const message = {};
    if (choice.said.length > 0 || choice.calls.length === 0) message.content = join(choice.said);
    if (choice.thought.length > 0) message.reasoning = join(choice.thought);
    message.role = 'assistant';
    if (choice.calls.length > 0) {
      message.tool_calls = choice.calls.map((c) => ({ function: { name: c.name, arguments: join(c.pieces) }, type: 'function', id: c.id }));
    }
    return { finish_reason: choice.finish, index: choice.index, message };
  });
  return {
    id: envelope.id, choices, created: envelope.created, model: envelope.model, system_fingerprint: FINGERPRINT,
    object: plan.text ? 'text_completion' : 'chat.completion', usage: envelope.usage, time_info: envelope.timeInfo,
  };
}

function* chunksOf(pieces, fixed) {
  let text = '';
  let tokens = 0;
  let turn = 0;
  for (const piece of pieces) {
    const size = fixed || CHUNK_SIZES[turn % CHUNK_SIZES.length];
    if (tokens > 0 && tokens + piece.tokens > size) {
      yield { text, tokens };
      text = '';
      tokens = 0;
      turn += 1;
    }
    text += piece.text;
    tokens += piece.tokens;
  }
  if (text !== '') yield { text, tokens };
}

function* deltasOf(plan, choice) {
  const fixed = plan.chunkTokens;
  if (plan.text) {
    for (const { text, tokens } of chunksOf(choice.said, fixed)) yield [{ text }, tokens];
    return;
  }
  yield [{ role: 'assistant' }, 0];
  for (const { text, tokens } of chunksOf(choice.thought, fixed)) yield [{ reasoning: text }, tokens];
  for (const { text, tokens } of chunksOf(choice.said, fixed)) yield [{ content: text }, tokens];
  for (const [index, call] of choice.calls.entries()) {
    yield [{ tool_calls: [{ function: { name: call.name, arguments: '' }, type: 'function', id: call.id, index }] }, call.nameTokens];
    for (const { text, tokens } of chunksOf(call.pieces, fixed)) {
      yield [{ tool_calls: [{ function: { arguments: text }, type: 'function', index }] }, tokens];
    }
  }
}

/** The frames of a streaming answer, in order: `{ text, tokens, final? }`, without `[DONE]`. */
export function framesOf(plan, envelope) {
  const head = `data: {"id":"${envelope.id}","choices":[`;
  const common = `],"created":${envelope.created},"model":${JSON.stringify(envelope.model)},"system_fingerprint":"${FINGERPRINT}","object":"${plan.text ? 'text_completion' : 'chat.completion.chunk'}"`;
  const tail = `${common}}\n\n`;
  const frames = [];
  const walks = plan.choices.map((choice) => ({ choice, deltas: deltasOf(plan, choice) }));
  const last = walks.length;
  let finished = 0;
  while (walks.length > 0) {
    for (const walk of [...walks]) {
      const { value, done } = walk.deltas.next();
      const { index, finish } = walk.choice;
      if (!done) {
        const [delta, tokens] = value;
        const inner = plan.text ? `{"index":${index},"text":${JSON.stringify(delta.text)}}` : `{"delta":${JSON.stringify(delta)},"index":${index}}`;
        frames.push({ text: head + inner + tail, tokens });
        continue;
      }
      walks.splice(walks.indexOf(walk), 1);
      finished += 1;
      const inner = plan.text ? `{"finish_reason":"${finish}","index":${index},"text":""}` : `{"delta":{},"finish_reason":"${finish}","index":${index}}`;
      // Usage comes once, on the finish chunk of the whole answer.
      const end = finished === last ? `${common},"usage":${JSON.stringify(envelope.usage)},"time_info":${JSON.stringify(envelope.timeInfo)}}\n\n` : tail;
      frames.push({ text: head + inner + end, tokens: 0, final: true });
    }
  }
  return frames;
}
