// Rondo over the simulator, with an admin session: what most tests of the built Worker start from.
//
//   const { rondo, sim, admin, chat, stop } = await startPool({ keys: 3 });
//   const response = await chat({ stream: true });         // with the token of the environment
//   const { items } = await admin('GET', '/api/keys');
import { createSimulator } from '../upstream/simulator.mjs';
import { startWorker, testBindings } from './worker.mjs';

export const PASSWORD = 'correct horse battery staple';
export const TOKEN = 'rk-test-3J8sQpXn2LwVbT7yKd5R';
export const MODEL = 'gpt-oss-120b';

/** A key of the simulator, of its own organisation. */
export const keyName = (n) => `csk-testx9hfk2p5m8c3v6t4r${String(n).padStart(4, '0')}`;

/**
 * @param {object} options
 * @param {number} [options.keys] how many keys of the environment, all known to the simulator
 * @param {object} [options.sim] options of the simulator
 * @param {object} [options.worker] options of startWorker
 * @param {object} [options.settings] settings to begin with
 */
export async function startPool({ keys = 3, sim: simOptions = {}, worker = {}, settings } = {}) {
  const names = Array.from({ length: keys }, (_, n) => keyName(n));
  const sim = await createSimulator({ keys: names, ...simOptions });
  let rondo;
  try {
    rondo = await startWorker({
      ...worker,
      bindings: { CEREBRAS_BASE_URL: sim.url, CEREBRAS_API_KEYS: names.join(','), AUTH_PASSWORD: TOKEN, ...worker.bindings },
    });
  } catch (error) {
    await sim.close();
    throw error;
  }
  let session;
  const admin = async (method, path, body, { expect = [200, 201, 204] } = {}) => {
    session ??= await signIn(rondo);
    const response = await rondo.fetch(path, {
      method,
      headers: { authorization: `Bearer ${session}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!expect.includes(response.status)) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  const chat = (body = {}, { token = TOKEN, base = rondo.url, headers = {}, signal } = {}) =>
    fetch(`${base}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers },
      body: typeof body === 'string' ? body : JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'Hello' }], ...body }),
      signal,
    });
  if (settings) await admin('PATCH', '/api/settings', settings);
  return {
    rondo,
    sim,
    names,
    admin,
    chat,
    /** The items of the key list by the simulator's key names. */
    async keys() {
      const { items } = await admin('GET', '/api/keys?per_page=200');
      return new Map(names.map((name) => [name, items.find((item) => item.masked.endsWith(name.slice(-4)))]));
    },
    forgetSession() {
      session = undefined;
    },
    async stop() {
      await rondo.stop();
      await sim.close();
    },
  };
}

async function signIn(rondo) {
  const post = (path, body) =>
    rondo.fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  let response = await post('/api/auth/setup', { password: PASSWORD, setup_code: testBindings.SETUP_TOKEN });
  if (response.status === 409) response = await post('/api/auth/login', { password: PASSWORD });
  if (!response.ok) throw new Error(`no session: ${response.status} ${await response.text()}`);
  return (await response.json()).token;
}

/** Runs `count` calls of `task(n)`, `atOnce` at a time, and gives their results in order. */
export async function inParallel(count, atOnce, task) {
  const results = new Array(count);
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(atOnce, count) }, async () => {
      while (next < count) {
        const n = next++;
        results[n] = await task(n);
      }
    }),
  );
  return results;
}

/** The data of each event of a whole SSE text. */
export function eventsOf(text) {
  return text
    .split('\n\n')
    .filter((event) => event.startsWith('data: '))
    .map((event) => event.slice('data: '.length));
}
