// Fixture texts as arrays of o200k token strings, and the counting of prompts.
// Fixture text is counted exactly, anything else by a plain estimate.
import { readFileSync } from 'node:fs';

export const KINDS = ['english', 'chinese', 'code'];

// A piece is { text, tokens }: one token, or the few tokens that share a UTF-8 sequence.
const texts = {};
for (const kind of KINDS) {
  const file = JSON.parse(readFileSync(new URL(`./fixtures/${kind}.json`, import.meta.url), 'utf8'));
  texts[kind] = Object.entries(file).map(([name, entries]) => ({
    name,
    pieces: entries.map((entry) => (typeof entry === 'string' ? { text: entry, tokens: 1 } : { text: entry[0], tokens: entry[1] })),
  }));
}

const HEAD = 10; // characters that tell the texts apart
const byHead = new Map();
for (const kind of KINDS) {
  for (const { pieces } of texts[kind]) byHead.set(pieces.map((p) => p.text).join('').slice(0, HEAD), pieces);
}
const anyHead = new RegExp([...byHead.keys()].map((h) => h.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'), 'g');

function piecesOf(kind, index) {
  const list = texts[kind];
  if (!list) throw new RangeError(`unknown kind of text: ${kind}`);
  return list[index % list.length].pieces;
}

/** Exactly `n` tokens of a text, read again from its start when it ends. */
export function takePieces(kind, index, n) {
  const source = piecesOf(kind, index);
  const out = [];
  let left = n;
  for (let i = 0; left > 0; i += 1) {
    const piece = source[i % source.length];
    if (piece.tokens > left) continue; // a cut inside a character: the next single token instead
    out.push(piece);
    left -= piece.tokens;
  }
  return out;
}

/**
 * A prompt of at least `nTokens` tokens (at most two more, never a character cut in two).
 * @returns {{text: string, tokens: number}} the text and its exact count
 */
export function promptOf(kind, nTokens, index = 0) {
  const source = piecesOf(kind, index);
  let text = '';
  let tokens = 0;
  for (let i = 0; tokens < nTokens; i += 1) {
    const piece = source[i % source.length];
    text += piece.text;
    tokens += piece.tokens;
  }
  return { text, tokens };
}

/** Tokens of a text: fixture text exactly, the rest estimated. */
export function countTokens(text) {
  let total = 0;
  let position = 0;
  while (position < text.length) {
    anyHead.lastIndex = position;
    const found = anyHead.exec(text);
    if (!found) return total + estimateTokens(text.slice(position));
    if (found.index > position) total += estimateTokens(text.slice(position, found.index));
    position = found.index;
    const source = byHead.get(found[0]);
    for (let i = 0; ; i += 1) {
      const piece = source[i % source.length];
      if (!text.startsWith(piece.text, position)) break;
      position += piece.text.length;
      total += piece.tokens;
    }
  }
  return total;
}

const LETTER = 0;
const DIGIT = 1;
const SPACE = 2;
const MARK = 3;
const WIDE = 4;

function classOf(code) {
  if ((code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (code >= 0xc0 && code < 0x2000)) return LETTER;
  if (code >= 48 && code <= 57) return DIGIT;
  if (code === 32 || (code >= 9 && code <= 13)) return SPACE;
  return code >= 0x2e80 ? WIDE : MARK;
}

/** Runs of one class, priced as o200k prices them on average. */
export function estimateTokens(text) {
  let total = 0;
  for (let i = 0; i < text.length;) {
    const kind = classOf(text.charCodeAt(i));
    let end = i + 1;
    while (end < text.length && classOf(text.charCodeAt(end)) === kind) end += 1;
    const length = end - i;
    if (kind === LETTER) total += Math.ceil(length / 7);
    else if (kind === DIGIT) total += Math.ceil(length / 3);
    else if (kind === MARK) total += Math.ceil(length / 2);
    else if (kind === WIDE) total += length * 0.8;
    else if (length > 1 || text.charCodeAt(i) !== 32) total += 1; // a single space belongs to the next word
    i = end;
  }
  return Math.ceil(total);
}

const BASE_TOKENS = 3;
const MESSAGE_TOKENS = 4;
const IMAGE_TOKENS = 256;

function contentTokens(content) {
  if (typeof content === 'string') return countTokens(content);
  if (!Array.isArray(content)) return 0;
  return content.reduce((sum, part) => sum + (typeof part.text === 'string' ? countTokens(part.text) : IMAGE_TOKENS), 0);
}

/** Prompt tokens of a checked body: 3, and 4 for each message, beside what it says. */
export function countPrompt(body) {
  if (body.messages === undefined) {
    const prompts = promptsOf(body.prompt);
    return prompts.reduce((sum, p) => sum + (typeof p === 'string' ? countTokens(p) : p.length), 0);
  }
  let total = BASE_TOKENS;
  for (const message of body.messages) {
    total += MESSAGE_TOKENS + contentTokens(message.content);
    if (message.reasoning) total += countTokens(message.reasoning);
    if (message.tool_calls?.length > 0) total += countTokens(JSON.stringify(message.tool_calls));
  }
  if (body.tools?.length > 0) total += countTokens(JSON.stringify(body.tools));
  if (body.response_format?.json_schema) total += countTokens(JSON.stringify(body.response_format));
  return total;
}

/** The prompts of a completions body as a list of texts or token arrays. */
export function promptsOf(prompt) {
  if (typeof prompt === 'string') return [prompt];
  return prompt.length > 0 && typeof prompt[0] === 'number' ? [prompt] : prompt;
}
