// What is measured, set up: the upstream in a process of its own; in one workerd the built Worker with its
// D1, KV and Durable Object, and the pass-through.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import workerd from 'workerd'; // { default: the path of its binary }
import { readWrangler } from '../scripts/lib/config.mjs';
import { inRoot } from '../scripts/lib/paths.mjs';
import { UserError } from '../scripts/lib/run.mjs';
import { serve } from '../scripts/lib/serve.mjs';
import { childNamed } from './machine.mjs';

/** The token that the load comes with. */
export const TOKEN = 'rk-benchmark-0000000000000000000000000000';
/** Keys in the pool; more than one, so that there is a rotation. */
const KEYS = 20;
const PATH = '/v1/chat/completions';
/** The fast upstream takes the number of chunks from the model's name. */
const MODELS = ['bench-20', 'bench-500'];
const SIMULATOR = inRoot('tests', 'upstream', 'main.mjs');
const direct = { unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }], stripCfConnectingIp: false };

/**
 * @typedef {object} Target
 * @property {string} name
 * @property {string} url where a chat completion is posted
 * @property {number} [pid] the process whose CPU is counted
 */

/** Starts the upstream. @returns {Promise<{url: string, completions: string, pid: number, stop(): Promise<void>}>} */
export async function startUpstream() {
  const child = spawn(process.execPath, [SIMULATOR, '--fast', '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  endWithUs(child);
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const url = /http:\S+/.exec(line)?.[0];
  if (!url) throw new UserError(`the upstream did not start: ${line}`);
  return {
    url,
    completions: url + PATH,
    pid: child.pid,
    stop: () => end(child),
  };
}

/**
 * Starts workerd. Clients reach its Workers on sockets of their own: Miniflare's router, its asset Worker and
 * its outbound Worker are not on the way, which is checked against the configuration that workerd got.
 * @param {{upstream: string, buildDir: string, entry?: string}} options `entry`: JavaScript in place of the
 *   Worker's entry module
 */
export async function startWorkerd({ upstream, buildDir, entry }) {
  const { compatibility_date: compatibilityDate, name } = readWrangler();
  const passthrough = {
    name: 'passthrough',
    compatibilityDate,
    modules: [{ type: 'ESModule', path: 'passthrough.js', contents: readFileSync(inRoot('bench', 'passthrough.js'), 'utf8') }],
    bindings: { UPSTREAM: upstream },
    ...direct,
  };
  const secret = () => randomBytes(32).toString('base64');
  const setupToken = secret();
  const folder = mkdtempSync(join(tmpdir(), 'rondo-bench-'));
  const dump = join(folder, 'config.json');
  process.env.MINIFLARE_WORKERD_CONFIG_DEBUG = dump;
  let served;
  try {
    served = await serve({
      buildDir,
      entry,
      bindings: {
        CEREBRAS_BASE_URL: upstream,
        CEREBRAS_API_KEYS: Array.from({ length: KEYS }, () => `csk-${randomBytes(24).toString('hex')}`).join(','),
        AUTH_PASSWORD: TOKEN,
        ENCRYPTION_KEY: secret(),
        SETUP_TOKEN: setupToken,
      },
      // In production assets are served before the Worker, by the platform.
      worker: { ...direct, assets: undefined },
      workers: [passthrough],
    });
    checkDirect(JSON.parse(readFileSync(dump, 'utf8')), ['passthrough', name]);
    const pid = childNamed('workerd');
    const url = async (worker) => (await served.mf.unsafeGetDirectURL(worker)).origin + PATH;
    return {
      served,
      setupToken,
      pid,
      passthrough: { name: 'passthrough', url: await url('passthrough'), pid },
      rondo: { name: 'rondo', url: await url(name), pid },
      stop: () => served.stop(),
    };
  } catch (error) {
    await served?.stop().catch(() => {});
    throw error;
  } finally {
    delete process.env.MINIFLARE_WORKERD_CONFIG_DEBUG;
    rmSync(folder, { recursive: true, force: true });
  }
}

// A detour would be measured as if it were the Worker's own doing.
function checkDirect(config, names) {
  for (const name of names) {
    const service = `core:user:${name}`;
    const socket = config.sockets.find((one) => one.name.startsWith('direct') && one.service.name === service);
    const worker = config.services.find((one) => one.name === service)?.worker;
    if (!socket || !worker || worker.globalOutbound !== undefined || worker.tails?.length) {
      throw new UserError(`the Worker ${name} is not reached directly with this version of Miniflare; bench/stage.mjs must be adapted`);
    }
  }
}

/** Gives Rondo the models that the load asks for, and other settings than the defaults if need be. */
export async function setUp({ served, setupToken, rondo }, settings) {
  const origin = new URL(rondo.url).origin;
  const call = async (method, path, body, token) => {
    const response = await fetch(origin + path, {
      method,
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new UserError(`${method} ${path} gave ${response.status}: ${await response.text()}\n${served.logs.slice(-10).join('\n')}`);
    return response.json();
  };
  const { token } = await call('POST', '/api/auth/setup', { password: randomBytes(12).toString('hex'), setup_code: setupToken });
  const members = MODELS.map((model) => ({ model, provider: 'cerebras', weight: 1, enabled: true }));
  await call('PUT', '/api/models/default', { strategy: 'rotate', members }, token);
  if (settings) await call('PATCH', '/api/settings', settings, token);
}

/**
 * Every way must give the same answer, to the byte, or the figures compare different things.
 * @param {Target[]} targets
 */
export async function checkAnswers(targets) {
  for (const fields of [{ model: 'bench-20' }, { model: 'bench-20', stream: true }, { model: 'bench-500', stream: true }]) {
    let first;
    for (const { name, url } of targets) {
      const body = JSON.stringify({ ...fields, messages: [{ role: 'user', content: 'Hello' }] });
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` };
      const response = await fetch(url, { method: 'POST', headers, body });
      const text = await response.text();
      if (response.status !== 200) throw new UserError(`${name} answered ${response.status}: ${text.slice(0, 500)}`);
      first ??= text;
      if (text !== first) throw new UserError(`${name} gave another answer than ${targets[0].name}: ${text.slice(0, 500)}`);
    }
  }
}

/**
 * The pass-through on a workerd that this file configures by hand, to hold Miniflare's way against.
 * @returns {Promise<Target & {stop(): Promise<void>}>}
 */
export async function startByHand(upstream) {
  const { compatibility_date: date } = readWrangler();
  const text = (value) => JSON.stringify(value);
  const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "passthrough", worker = (
      modules = [(name = "passthrough.js", esModule = embed "/passthrough.js")],
      bindings = [(name = "UPSTREAM", text = ${text(upstream)})],
      compatibilityDate = ${text(date)})),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "passthrough")],
);
`;
  const folder = mkdtempSync(join(tmpdir(), 'rondo-bench-'));
  const file = join(folder, 'config.capnp');
  writeFileSync(file, config);
  const child = spawn(workerd.default, ['serve', '--control-fd=3', '--import-path', inRoot('bench'), file], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  endWithUs(child);
  child.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const [line] = await Promise.race([once(createInterface({ input: child.stdio[3] }), 'line'), once(child, 'exit')]);
  if (typeof line !== 'string') throw new UserError('workerd did not start');
  return {
    name: 'by-hand',
    url: `http://127.0.0.1:${JSON.parse(line).port}${PATH}`,
    pid: child.pid,
    stop: () => end(child),
  };
}

// Also when this process ends on an error.
const endWithUs = (child) => {
  const kill = () => child.kill();
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
};

async function end(child) {
  child.kill();
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}
