// A small client for the simulator's own tests.
import { request } from 'node:http';
import { createSimulator } from './simulator.mjs';

export const KEY = 'csk-test-1';
export const MODEL = 'gpt-oss-120b';

/** A simulator that is closed when the test is over. */
export async function start(t, options = {}) {
  const sim = await createSimulator({ keys: [KEY], ...options });
  t.after(() => sim.close());
  return sim;
}

export const ask = (text, rest = {}) => ({ model: MODEL, messages: [{ role: 'user', content: text }], ...rest });

/** POST with fetch: `{ status, headers, text, json }`. */
export async function post(sim, body, { key = KEY, path = '/v1/chat/completions', headers = {} } = {}) {
  const plain = typeof body === 'string' || Buffer.isBuffer(body);
  const response = await fetch(sim.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key ? { authorization: `Bearer ${key}` } : {}), ...headers },
    body: plain ? body : JSON.stringify(body),
  });
  return read(response);
}

export async function get(sim, path, { key = KEY } = {}) {
  return read(await fetch(sim.url + path, { headers: key ? { authorization: `Bearer ${key}` } : {} }));
}

async function read(response) {
  const text = await response.text();
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: response.status, headers: response.headers, text, json };
}

/** The data of every event of a stream; `[DONE]` stays text. */
export const events = (text) => text.split('\n\n').filter((e) => e.startsWith('data: '))
  .map((e) => (e === 'data: [DONE]' ? '[DONE]' : JSON.parse(e.slice(6))));

/**
 * POST on a socket of its own, seen as it comes: `response` (or its failure), `until(text)`
 * once the body holds it, `ended` with `{ text, error }`, and `hangUp()`.
 */
export function open(sim, body, { key = KEY } = {}) {
  const bytes = JSON.stringify(body);
  const req = request(`${sim.url}/v1/chat/completions`, {
    method: 'POST', agent: false,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, 'content-length': Buffer.byteLength(bytes) },
  });
  let text = '';
  let check = () => {};
  const response = new Promise((resolve, reject) => {
    req.once('response', resolve);
    req.once('error', reject);
  });
  const ended = response.then((res) => new Promise((resolve) => {
    res.setEncoding('utf8');
    res.on('data', (part) => {
      text += part;
      check();
    });
    res.once('end', () => resolve({ text }));
    res.once('error', (error) => resolve({ text, error }));
  }));
  response.catch(() => {});
  ended.catch(() => {});
  req.end(bytes);
  return {
    response, ended,
    until: (wanted) => new Promise((resolve) => {
      check = () => text.includes(wanted) && resolve();
      check();
    }),
    hangUp: () => req.destroy(),
  };
}
