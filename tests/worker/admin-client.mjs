// An admin of the Worker under test.
import assert from 'node:assert/strict';
import { testBindings } from '../harness/worker.mjs';

export const PASSWORD = 'correct horse battery';
export const SETUP_CODE = testBindings.SETUP_TOKEN;

/** A key that no upstream knows, different for every n. */
export const keyNumber = (n) => `csk-${String(n).padStart(44, 'abcdefghijkmnpqrstuvwxyz')}`;

/**
 * A caller of the admin API. The answer's body is read and parsed: `{status, headers, body, text}`.
 * @param {{fetch: Function}} rondo
 * @param {Record<string, string>} [standing] headers of every call
 */
export function caller(rondo, standing = {}) {
  return async function call(method, path, body, headers = {}) {
    const init = { method, headers: { ...standing, ...headers }, redirect: 'manual' };
    if (body !== undefined) {
      init.body = typeof body === 'string' ? body : JSON.stringify(body);
      if (init.headers['content-type'] === undefined) init.headers['content-type'] = 'application/json';
      if (init.headers['content-type'] === '') delete init.headers['content-type'];
    }
    const response = await rondo.fetch(path, init);
    const text = await response.text();
    let parsed;
    try {
      parsed = JSON.parse(text);
    } catch {
      // Not every answer is JSON; the test that expects one fails on the missing body.
    }
    return { status: response.status, headers: response.headers, body: parsed, text };
  };
}

/** Sets the password and gives a caller with a session. */
export async function logIn(rondo, { password = PASSWORD } = {}) {
  const call = caller(rondo);
  const { status, body, text } = await call('POST', '/api/auth/setup', { password, setup_code: SETUP_CODE });
  assert.equal(status, 201, text);
  const api = caller(rondo, { authorization: `Bearer ${body.token}` });
  api.token = body.token;
  return api;
}

/** Asserts that an answer is a problem document of that status, naming the field if one is given. */
export function assertProblem(answer, status, field) {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers.get('content-type'), /^application\/problem\+json/);
  assert.equal(answer.body.status, status);
  for (const name of ['type', 'title', 'detail']) assert.equal(typeof answer.body[name], 'string', name);
  if (field !== undefined) assert.equal(answer.body.field, field, answer.text);
}
