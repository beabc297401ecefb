// The local run: where its state is, its own secrets, and whether it is the demo.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { inRoot } from './paths.mjs';
import { UserError } from './run.mjs';
import { serve } from './serve.mjs';

const HOST = '127.0.0.1';
const DEFAULT_PORT = 8787;
const KEY_VARIABLES = ['CEREBRAS_API_KEYS', 'CEREBRAS_API_KEYS_2', 'CEREBRAS_API_KEYS_3'];
/** What a local run passes on from the environment, as a deployment has it from its secrets. */
const PASSED_ON = [...KEY_VARIABLES, 'CEREBRAS_BASE_URL', 'AUTH_PASSWORD', 'LOCATION_HINT'];
const HEALTHZ_MS = 15_000;
const READYZ_MS = 5_000;

/**
 * Starts Rondo as `npm start` does: the demo when there is no key, else the real thing.
 * @param {{buildDir: string, noDemo?: boolean, env?: Record<string, string | undefined>, onLog?: (line: string) => void}} options
 * @returns {Promise<{served: import('./serve.mjs').Served, demo: boolean, token?: string, setupCode?: string, stop: () => Promise<void>}>}
 *   `token` only in the demo; `setupCode` only while no password is set
 */
export async function startLocal({ buildDir, noDemo = false, env = process.env, onLog }) {
  const port = readPort(env.PORT);
  const state = resolve(env.RONDO_STATE || inRoot('.rondo'));
  await checkPort(port);
  const demo = !noDemo && !hasKeys(env) && !env.CEREBRAS_BASE_URL?.trim() && !(await hasStoredKeys(state));
  const folder = demo ? join(state, 'demo') : state;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const unlock = await lockState(folder);
  const cleanups = [unlock];
  const cleanUp = async () => {
    for (const step of cleanups.reverse()) await step();
  };
  try {
    const secrets = localSecrets(folder);
    let bindings = { ...pick(env, PASSED_ON), ...secrets };
    if (demo) {
      const simulated = await startDemoUpstream();
      cleanups.push(simulated.close);
      bindings = { ...secrets, ...simulated.bindings };
    }
    const served = await serve({ buildDir, persist: folder, host: HOST, port, bindings, onLog });
    cleanups.push(served.stop);
    await answers(served, '/healthz', HEALTHZ_MS);
    // The first ask of the object migrates the schema; better now than in somebody's first request.
    await served
      .fetch('/readyz', { signal: AbortSignal.timeout(READYZ_MS) })
      .then((response) => response.arrayBuffer())
      .catch(() => {});
    const setupCode = (await hasPassword(served)) ? undefined : secrets.SETUP_TOKEN;
    return { served, demo, token: demo ? bindings.AUTH_PASSWORD : undefined, setupCode, stop: cleanUp };
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

function readPort(text) {
  if (!text?.trim()) return DEFAULT_PORT;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new UserError(`PORT is ${text}; it must be a number from 0 (any free port) to 65535`);
  return port;
}

/** workerd's own message for a taken port is a stack trace. */
async function checkPort(port) {
  const probe = createServer();
  await new Promise((done, failed) => {
    probe.once('error', (error) => {
      const why = { EADDRINUSE: 'is in use', EACCES: 'may not be used by this user' }[error.code];
      failed(why ? new UserError(`port ${port} ${why}; choose another: PORT=8788 npm start`) : error);
    });
    probe.listen(port, HOST, done);
  });
  await new Promise((done) => probe.close(done));
}

const hasKeys = (env) => KEY_VARIABLES.some((name) => /[^\s,]/.test(env[name] ?? ''));

const pick = (env, names) =>
  Object.fromEntries(names.filter((name) => env[name]?.trim()).map((name) => [name, env[name]]));

/**
 * Whether the state holds an upstream key that didn't come from the environment. Asks the database
 * itself, since only it knows and the admin API wants a session.
 */
async function hasStoredKeys(state) {
  const files = existsSync(join(state, 'd1')) ? readdirSync(join(state, 'd1'), { recursive: true }) : [];
  if (!files.some((name) => String(name).endsWith('.sqlite'))) return false;
  const { Miniflare } = await import('miniflare');
  const mf = new Miniflare({
    modules: true,
    script: 'export default { fetch() { return new Response(null); } };',
    d1Databases: { DB: 'DB' },
    defaultPersistRoot: state,
    cf: false,
    handleRuntimeStdio() {},
  });
  try {
    const db = await mf.getD1Database('DB');
    return (await db.prepare("SELECT 1 FROM keys WHERE source <> 'env' LIMIT 1").first()) !== null;
  } catch (error) {
    // A database that was never migrated has no keys; anything else should be seen.
    if (/no such table/.test(error.message)) return false;
    throw error;
  } finally {
    await mf.dispose();
  }
}

/**
 * The secrets of this state folder, made at its first start.
 * @param {string} folder
 * @returns {{ENCRYPTION_KEY: string, SETUP_TOKEN: string}}
 */
export function localSecrets(folder) {
  const path = join(folder, 'secrets.json');
  if (existsSync(path)) {
    try {
      const { ENCRYPTION_KEY, SETUP_TOKEN } = JSON.parse(readFileSync(path, 'utf8'));
      if (ENCRYPTION_KEY && SETUP_TOKEN) return { ENCRYPTION_KEY, SETUP_TOKEN };
    } catch {
      // Falls through: new secrets in its place would make the stored keys unreadable without a word.
    }
    throw new UserError(
      `${path} is damaged. Restore it, or remove ${folder} to start anew (its keys are lost)`,
    );
  }
  const secrets = {
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    SETUP_TOKEN: randomBytes(24).toString('base64url'),
  };
  writeFileSync(path, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  return secrets;
}

/**
 * One process per state folder: two would write the same SQLite files. A socket, not a file with a
 * process id, because the system itself drops it when its process is gone.
 * @returns {Promise<() => Promise<void>>} gives it back
 */
async function lockState(folder) {
  const name = `rondo-${createHash('sha256').update(folder).digest('hex').slice(0, 24)}`;
  const path = process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), `${name}.sock`);
  const server = createServer((socket) => socket.destroy());
  server.unref();
  const listen = () =>
    new Promise((done, failed) => {
      server.once('error', failed);
      server.listen(path, done);
    });
  try {
    await listen();
  } catch (error) {
    if (error.code !== 'EADDRINUSE' || (await somebodyListens(path))) {
      throw error.code === 'EADDRINUSE'
        ? new UserError(`another Rondo runs on ${folder}; stop it, or choose another folder with RONDO_STATE`)
        : error;
    }
    rmSync(path, { force: true });
    await listen();
  }
  return () => new Promise((done) => server.close(() => done()));
}

const somebodyListens = (path) =>
  new Promise((done) => {
    const socket = connect(path);
    socket
      .once('connect', () => done(true))
      .once('error', () => done(false))
      .once('close', () => socket.destroy());
  });

/** The Cerebras simulator with three organisations, one key each, and a token for this start. */
async function startDemoUpstream() {
  const { createSimulator } = await import('../../tests/upstream/simulator.mjs');
  const simulator = await createSimulator();
  const keys = [1, 2, 3].map(
    (number) => `csk-${createHash('sha256').update(`rondo demo ${number}`).digest('hex').slice(0, 48)}`,
  );
  for (const [index, key] of keys.entries()) await simulator.addKey(key, { org: `demo-${index + 1}` });
  return {
    bindings: {
      DEMO: '1',
      CEREBRAS_API_KEYS: keys.join(','),
      CEREBRAS_BASE_URL: simulator.url,
      AUTH_PASSWORD: `rk-${randomBytes(32).toString('base64url')}`,
    },
    close: async () => simulator.close(),
  };
}

async function answers(served, path, timeoutMs) {
  let last;
  try {
    const response = await served.fetch(path, { signal: AbortSignal.timeout(timeoutMs) });
    last = `${response.status} ${await response.text()}`;
    if (response.ok) return;
  } catch (error) {
    last = error.message;
  }
  throw new Error(`${path} answered: ${last}\n${served.logs.slice(-20).join('\n')}`);
}

async function hasPassword(served) {
  try {
    const response = await served.fetch('/api/auth/status', { signal: AbortSignal.timeout(READYZ_MS) });
    return (await response.json()).has_password === true;
  } catch {
    return false;
  }
}

/**
 * A request to try, as one line for a shell.
 * @param {string} url
 * @param {string} token
 */
export const curlLine = (url, token) =>
  `curl -N ${url}/v1/chat/completions -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' ` +
  `-d '{"model":"gpt-oss-120b","stream":true,"messages":[{"role":"user","content":"Why is the sky blue?"}]}'`;
