// What the data plane's tests share: Rondo over a simulator, an admin session, a client.
import { createSimulator } from '../upstream/simulator.mjs';
import { startWorker, testBindings } from '../harness/worker.mjs';

export const MODEL = 'gpt-oss-120b';
export const TOKEN = 'rk-token-of-the-environment';

/** Upstream keys that look like keys: `keys(3)`. */
export const keys = (count) => Array.from({ length: count }, (_, n) => `csk-test-key-number-${String(n).padStart(6, '0')}`);

/**
 * Starts a simulator with these keys and Rondo in front of it, its keys and token from the environment.
 * @param {object} [options]
 * @param {string[]} [options.pool] Rondo's keys (default: one key, known to the simulator)
 * @param {object} [options.simulator] options of the simulator; `keys` default to `pool`
 * @param {object} [options.settings] a PATCH of the settings
 * @param {object} [options.worker] options of the harness
 */
export async function start({ pool = keys(1), simulator = {}, settings, worker = {} } = {}) {
  const sim = await createSimulator({ keys: pool, recordBodies: true, ...simulator });
  const rondo = await startWorker({
    ...worker,
    bindings: {
      CEREBRAS_BASE_URL: sim.url,
      CEREBRAS_API_KEYS: pool.join(','),
      AUTH_PASSWORD: TOKEN,
      ...worker.bindings,
    },
  });
  const running = { sim, rondo, stop: async () => { await rondo.stop(); await sim.close(); } };
  running.ask = (body, init) => ask(rondo.url, body, init);
  running.admin = await signIn(rondo);
  if (settings) await running.admin('PATCH', '/api/settings', settings);
  return running;
}

/** An admin session: `(method, path, body) => answer`, which throws on a status that is no success. */
export async function signIn(rondo) {
  const password = 'a long test password';
  const json = { 'content-type': 'application/json' };
  let session;
  return async function call(method, path, body) {
    if (!session) {
      const init = { method: 'POST', headers: json, body: JSON.stringify({ password, setup_code: testBindings.SETUP_TOKEN }) };
      const answer = await rondo.fetch('/api/auth/setup', init);
      if (answer.status !== 201) throw new Error(`setup: ${answer.status} ${await answer.text()}`);
      session = (await answer.json()).token;
    }
    const response = await rondo.fetch(path, {
      method,
      headers: { ...json, authorization: `Bearer ${session}` },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  };
}

/** A chat call; `init.headers` add to the usual ones, `init.token` is another token. */
export function ask(base, body = {}, { token = TOKEN, headers = {}, path = '/v1/chat/completions', ...init } = {}) {
  const prompt = body.prompt ?? 'Say something. [[tokens=8]]';
  const { prompt: _, ...rest } = body;
  return fetch(`${base}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: prompt }], ...rest }),
    ...init,
  });
}

/** The events of a stream's text, their data parsed; `[DONE]` stays text. Throws on an event that is not well formed. */
export function events(text) {
  if (!text.endsWith('\n\n')) throw new Error(`the last event has no end: ${JSON.stringify(text.slice(-80))}`);
  return text
    .split('\n\n')
    .filter((event) => event !== '' && !event.startsWith(':'))
    .map((event) => {
      if (!event.startsWith('data: ')) throw new Error(`no event: ${JSON.stringify(event.slice(0, 80))}`);
      const data = event.slice('data: '.length);
      return data === '[DONE]' ? data : JSON.parse(data);
    });
}

/** The one error of an answer, after a look that all forms are there and say the same. */
export function errorOf(body) {
  const { message, type, param, code } = body.error;
  for (const [name, value] of Object.entries({ message, type, param, code })) {
    if (typeof value !== 'string' || body[name] !== value) throw new Error(`${name} is not in both forms: ${JSON.stringify(body)}`);
  }
  return { message, type, param, code };
}

/** The error of a stream's last event, which has one form: with the flat fields beside it some clients miss it. */
export function streamErrorOf(event) {
  const { message, type, param, code } = event.error;
  for (const value of [message, type, param, code]) {
    if (typeof value !== 'string') throw new Error(`four texts are wanted: ${JSON.stringify(event)}`);
  }
  if (!Number.isInteger(event.status_code) || 'message' in event) throw new Error(`not a stream's form: ${JSON.stringify(event)}`);
  return { message, type, param, code };
}

/** Asks again until `good` says yes or the time is over; for what is promised within a time. */
export async function until(good, ms, what) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await good();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
