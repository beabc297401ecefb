// The dialects as they are on the wire: how each asks, and the form of its errors.
import assert from 'node:assert/strict';
import { errorOf } from '../../proxy.mjs';

const ANTHROPIC = {
  400: 'invalid_request_error', 401: 'authentication_error', 404: 'not_found_error', 405: 'invalid_request_error', 413: 'request_too_large',
  415: 'invalid_request_error', 429: 'rate_limit_error', 503: 'api_error', 529: 'overloaded_error',
};
const GOOGLE = {
  400: 'INVALID_ARGUMENT', 401: 'UNAUTHENTICATED', 404: 'NOT_FOUND', 405: 'UNIMPLEMENTED', 413: 'INVALID_ARGUMENT', 415: 'INVALID_ARGUMENT',
  429: 'RESOURCE_EXHAUSTED', 503: 'UNAVAILABLE',
};

const openai = (body) => errorOf(body).message;

function anthropic(body, status) {
  assert.equal(body.type, 'error', JSON.stringify(body));
  assert.equal(body.error.type, ANTHROPIC[status]);
  return body.error.message;
}

function google(body, status) {
  assert.deepEqual([body.error?.code, body.error?.status], [status, GOOGLE[status]], JSON.stringify(body));
  return body.error.message;
}

/** By name: `path` for a model, `body` for a text (`more` adds fields), `wrong` that no form of it can be, and the message of an error. */
export const dialects = {
  completions: {
    path: () => '/v1/completions',
    body: (model, prompt, more) => ({ model, prompt, ...more }),
    wrong: { prompt: { no: 'prompt' } },
    messageOf: openai,
  },
  responses: {
    path: () => '/v1/responses',
    body: (model, input, more) => ({ model, input, ...more }),
    wrong: { input: 7 },
    messageOf: openai,
  },
  messages: {
    path: () => '/v1/messages',
    body: (model, content, more) => ({ model, max_tokens: 8_192, messages: [{ role: 'user', content }], ...more }),
    wrong: { messages: 7 },
    messageOf: anthropic,
  },
  gemini: {
    path: (model, { stream } = {}) => `/v1beta/models/${model}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
    body: (model, text, { stream: _, ...more } = {}) => ({ contents: [{ role: 'user', parts: [{ text }] }], ...more }),
    wrong: { contents: 7 },
    messageOf: google,
  },
};

/** Asks for a completion in that dialect. */
export function askIn(name, base, token, model, text, { more, headers, ...init } = {}) {
  const { path, body } = dialects[name];
  return fetch(base + path(model, more), {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
    body: JSON.stringify(body(model, text, more)),
    ...init,
  });
}
