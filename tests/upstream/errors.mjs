// Error bodies as the live service words them: flat, with no `error` wrapper.
// Where no live body is known the text is inferred, and says so.

const flat = (status, message, type, param, code) => ({ status, body: { message, type, param, code } });

/** 400 for a body of the wrong form; `lines` are joined as the service joins them. */
export const wrongFormat = (lines, param = 'validation_error') =>
  flat(400, [].concat(lines).join('\n'), 'invalid_request_error', param, 'wrong_api_format');

/** 400 for a prompt that does not fit; type, param and code are inferred. */
export const contextLength = (length, limit) => flat(400,
  `Please reduce the length of the messages or completion. Current length is ${length} while limit is ${limit}`,
  'invalid_request_error', 'messages', 'context_length_exceeded');

export const wrongKey = () => flat(401, 'Wrong API Key', 'invalid_request_error', 'api_key', 'wrong_api_key');
export const notAuthenticated = () => ({ status: 403, body: { detail: 'Not authenticated' } });
/** The edge's answer to a banned User-Agent: plain text, never seen by the API behind it. */
export const bannedAgent = () => ({ status: 403, text: 'error code: 1010' });
export const methodNotAllowed = () => ({ status: 405, body: { detail: 'Method Not Allowed' } }); // inferred
export const paymentRequired = () => flat(402, 'Payment required to access this resource. Visit your billing tab.',
  'payment_required_error', 'quota', 'payment_required');
export const modelNotFound = (model) => flat(404, `Model ${model} does not exist or you do not have access to it.`,
  'not_found_error', 'model', 'model_not_found');
/** The message of an archived model is inferred; the code is not. */
export const modelArchived = (model) => flat(404, `Model ${model} has been archived and is no longer available.`,
  'not_found_error', 'model', 'model_archived');
export const requestQuota = (window) => flat(429, `Requests per ${window} limit exceeded - too many requests sent.`,
  'too_many_requests_error', 'quota', 'request_quota_exceeded');
export const tokenQuota = (window) => flat(429, `Tokens per ${window} limit exceeded - too many tokens processed.`,
  'too_many_tokens_error', 'quota', 'token_quota_exceeded');
export const queueExceeded = () => ({
  ...flat(429, "We're experiencing high traffic right now! Please try again soon.", 'too_many_requests_error', 'queue', 'queue_exceeded'),
  headers: { 'x-should-retry': 'false' },
});
export const tooLarge = () => flat(413, 'Request body is too large.', 'invalid_request_error', 'body', 'request_too_large'); // inferred
export const unsupportedType = () => flat(415, 'Unsupported content type.', 'invalid_request_error', 'content_type', 'wrong_api_format'); // inferred
const serverError = (status) => flat(status, 'Encountered a server error, please try again.', 'server_error', '', 'server_error'); // inferred
const timedOut = () => flat(408, 'Request timed out.', 'invalid_request_error', 'request', 'request_timeout'); // inferred

/** The line of an error inside a stream (shape from the vendor's OpenAPI, text inferred). */
export const errorEvent = (status = 500, error = {}) => `data: ${JSON.stringify({
  error: { message: 'Encountered a server error, please try again.', type: 'server_error', param: '', code: 'server_error', id: '', ...error },
  status_code: status,
})}\n\n`;

/** The documented error for a bare status, used by a fault that names no body. */
export function errorFor(status, model = 'unknown') {
  switch (status) {
    case 400: return wrongFormat('Invalid request.');
    case 401: return wrongKey();
    case 402: return paymentRequired();
    case 403: return notAuthenticated();
    case 404: return modelNotFound(model);
    case 408: return timedOut();
    case 413: return tooLarge();
    case 422: return { ...wrongFormat('Invalid request.'), status: 422 };
    case 429: return requestQuota('minute');
    default: return serverError(status);
  }
}

/** The documented error with this code, used by faults: `{ kind: 'status', error: 'queue_exceeded' }`. */
export function errorNamed(code, model = 'unknown') {
  switch (code) {
    case 'wrong_api_format': return wrongFormat('Invalid request.');
    case 'context_length_exceeded': return contextLength(42328, 40000);
    case 'wrong_api_key': return wrongKey();
    case 'payment_required': return paymentRequired();
    case 'model_not_found': return modelNotFound(model);
    case 'model_archived': return modelArchived(model);
    case 'request_quota_exceeded': return requestQuota('minute');
    case 'token_quota_exceeded': return tokenQuota('minute');
    case 'queue_exceeded': return queueExceeded();
    case 'not_authenticated': return notAuthenticated();
    case 'banned_agent': return bannedAgent();
    default: throw new RangeError(`no documented error is called ${code}`);
  }
}
