// Where a Worker's CPU goes: V8's own profile of it under load, functions of the wasm by name.
//   node bench/profile.mjs [--worker rondo] [--load whole|chunks-20|chunks-500] [--seconds 5]
//                          [--built FOLDER] [--top 40] [--out FILE.cpuprofile]
// It samples the isolate's thread by the clock. What workerd does outside V8 (HTTP, pumping streams) shows as
// `(program)` or under the call that ran last, and a busy machine stretches everything: shares tell more than
// microseconds, and for streams Linux's own profiler tells more than V8's:
//   node bench/profile.mjs --load chunks-500 --seconds 20   prints workerd's process number, then
//   perf record -g -p NUMBER -- sleep 5; perf report --no-children --sort dso,symbol -g none
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import workerd from 'workerd';
import { addEntry } from '../scripts/lib/build.mjs';
import { inRoot, npmBin, root, tool } from '../scripts/lib/paths.mjs';
import { mustRun, run, runMain, say, UserError } from '../scripts/lib/run.mjs';
import { load, wrkVersion } from './load.mjs';
import { LOADS } from './measure.mjs';
import { setUp, startUpstream, startWorkerd, TOKEN } from './stage.mjs';

const SAMPLE_EVERY_US = 200;

/** The release build without wasm-opt, as what is deployed holds no names. @returns {Promise<string>} its folder */
async function buildWithNames() {
  const dir = inRoot('target', 'worker', 'profile');
  await mustRun('building the Worker', tool('worker-build'), ['--release', '--no-opt', '--out-dir', dir, '--locked'], {
    cwd: root,
    quiet: true,
    env: { WASM_BINDGEN_BIN: tool('wasm-bindgen'), ESBUILD_BIN: npmBin('esbuild') },
  });
  addEntry(dir);
  return dir;
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A command that starts workerd with its inspector on: Miniflare's own option puts a proxy before it. */
function workerdWithInspector(folder, port) {
  const path = join(folder, 'workerd-with-inspector');
  writeFileSync(path, `#!/bin/sh\nexec '${workerd.default}' "$@" --inspector-addr=127.0.0.1:${port}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** A session with V8's inspector: `call(method, params)`. */
async function inspect(port, worker) {
  const targets = await (await fetch(`http://127.0.0.1:${port}/json`)).json();
  const target = targets.find(({ id, title }) => [id, title].some((name) => name?.endsWith(`core:user:${worker}`)));
  if (!target) throw new UserError(`the inspector has ${targets.map(({ id }) => id).join(', ')}, but no ${worker}`);
  const socket = new WebSocket(target.webSocketDebuggerUrl ?? `ws://127.0.0.1:${port}/${target.id}`);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new UserError('the inspector did not take the connection'));
  });
  const waiting = new Map();
  let last = 0;
  socket.onmessage = ({ data }) => {
    const { id, result, error } = JSON.parse(data);
    const settle = waiting.get(id);
    waiting.delete(id);
    if (error) settle?.reject(new Error(error.message));
    else settle?.resolve(result);
  };
  return {
    call: (method, params = {}) =>
      new Promise((resolve, reject) => {
        last += 1;
        waiting.set(last, { resolve, reject });
        socket.send(JSON.stringify({ id: last, method, params }));
      }),
    close: () => socket.close(),
  };
}

/** Rust's names without hashes and what generics add. */
const readable = (name) => name.replace(/::h[0-9a-f]{16}$/, '').replace(/^wasm-function\[(\d+)\]$/, 'wasm #$1');

/**
 * Self time and total time by function.
 * @param {{nodes: any[], samples: number[], timeDeltas: number[]}} profile
 */
function summarise(profile) {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id])));
  const nameOf = ({ callFrame: { functionName, url, lineNumber } }) => {
    const name = readable(functionName || '(anonymous)');
    const file = url.split('/').pop();
    return url.startsWith('wasm') || !file || name.startsWith('(p') ? `${name}${url.startsWith('wasm') ? ' [wasm]' : ''}` : `${name} [${file}:${lineNumber + 1}]`;
  };
  const self = new Map();
  const total = new Map();
  let [busy, idle] = [0, 0];
  const add = (map, name, time) => map.set(name, (map.get(name) ?? 0) + time);
  profile.samples.forEach((id, at) => {
    const time = profile.timeDeltas[at];
    const leaf = nodes.get(id);
    if (leaf.callFrame.functionName === '(idle)') {
      idle += time;
      return;
    }
    busy += time;
    add(self, nameOf(leaf), time);
    const seen = new Set();
    for (let at = id; at !== undefined; at = parents.get(at)) seen.add(nameOf(nodes.get(at)));
    for (const name of seen) add(total, name, time);
  });
  return { self, total, busy, idle };
}

function print({ self, total, busy, idle }, requests, top) {
  const line = ([name, time]) => `${((100 * time) / busy).toFixed(1).padStart(6)} %  ${((time / requests) || 0).toFixed(1).padStart(8)} µs  ${name}`;
  const listed = (map) => [...map].sort((a, b) => b[1] - a[1]).slice(0, top).map(line).join('\n');
  const kinds = new Map();
  for (const [name, time] of self) {
    const kind = name.endsWith('[wasm]') ? 'wasm' : name.includes('[') ? 'JavaScript glue' : name;
    kinds.set(kind, (kinds.get(kind) ?? 0) + time);
  }
  console.log(`${requests} requests; ${(busy / requests).toFixed(0)} µs each in the isolate's thread, idle ${((100 * idle) / (busy + idle)).toFixed(0)} %\n`);
  console.log(`By kind (self)\n${listed(kinds)}\n\nSelf\n${listed(self)}\n\nWith all that they call\n${listed(total)}`);
}

await runMain(async () => {
  if (typeof WebSocket === 'undefined') {
    // Node has it since 20.10 behind a flag, since 22 without.
    if (process.execArgv.includes('--experimental-websocket')) throw new UserError('profiles need Node 20.10 or newer');
    const again = await run(process.execPath, ['--experimental-websocket', fileURLToPath(import.meta.url), ...process.argv.slice(2)]);
    return again.code;
  }
  const { values } = parseArgs({
    options: {
      worker: { type: 'string', default: 'rondo' },
      load: { type: 'string', default: 'whole' },
      seconds: { type: 'string', default: '5' },
      connections: { type: 'string', default: '16' },
      built: { type: 'string' },
      top: { type: 'string', default: '40' },
      out: { type: 'string' },
    },
  });
  const chosen = LOADS.find(({ name }) => name === values.load);
  if (!chosen) throw new UserError(`--load is one of ${LOADS.map(({ name }) => name).join(', ')}`);
  const dir = values.built ?? (await buildWithNames());
  const folder = mkdtempSync(join(tmpdir(), 'rondo-profile-'));
  const port = await freePort();
  const cleanUp = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    const upstream = await startUpstream();
    cleanUp.push(() => upstream.stop());
    process.env.MINIFLARE_WORKERD_PATH = workerdWithInspector(folder, port);
    const stage = await startWorkerd({ upstream: upstream.url, buildDir: dir });
    cleanUp.push(() => stage.stop());
    await setUp(stage);
    say(`workerd is process ${stage.pid}`);
    const { url } = values.worker === 'passthrough' ? stage.passthrough : stage.rondo;
    const loaded = { url, body: chosen.body, token: TOKEN, connections: Number(values.connections), wrk: wrkVersion() !== undefined };
    await load({ ...loaded, seconds: 2 });
    const session = await inspect(port, values.worker);
    await session.call('Profiler.enable');
    await session.call('Profiler.setSamplingInterval', { interval: SAMPLE_EVERY_US });
    await session.call('Profiler.start');
    const { requests, failed } = await load({ ...loaded, seconds: Number(values.seconds) });
    const { profile } = await session.call('Profiler.stop');
    session.close();
    if (failed) say(`${failed} requests failed`);
    if (values.out) writeFileSync(values.out, JSON.stringify(profile));
    print(summarise(profile), requests, Number(values.top));
  } finally {
    for (const step of cleanUp.reverse()) await step();
  }
  return 0;
});
