// The built Worker on the local runtime (workerd, by way of Miniflare), bound as wrangler.toml says.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Log, LogLevel, Miniflare } from 'miniflare';
import { readWrangler, workerOptions } from './config.mjs';
import { inRoot } from './paths.mjs';

const FLUSH_BEFORE_STOP_MS = 2_000;
/** Lines of log kept for tests; older ones go. */
const KEEP_LOG_LINES = 20_000;

/**
 * @typedef {object} ServeOptions
 * @property {string} [buildDir] folder of `entry.js`, `index.js` and `index_bg.wasm`; `build/` by default
 * @property {string} [persist] folder for D1, KV and Durable Objects; default: a temporary one,
 *   removed by `stop`
 * @property {string} [host] default 127.0.0.1
 * @property {number} [port] default: any free port
 * @property {Record<string, string | undefined>} [bindings] variables and secrets over those of
 *   wrangler.toml; undefined takes one away
 * @property {string} [entry] JavaScript that takes the place of the Worker's entry module. It can
 *   `import worker, { Coordinator } from './index.js'`, worker-build's classes, or the same from
 *   './entry.js', Rondo's entry; wrap them, and must export both
 * @property {number} [edges] so many more isolates of the same Worker, with their own address and
 *   memory, on the same D1, KV and Coordinator
 * @property {string} [edgeEntry] `entry` for those
 * @property {object[]} [workers] further Miniflare workers, as they are
 * @property {Record<string, any>} [worker] Miniflare options over the Worker's own (all isolates)
 * @property {(line: string) => void} [onLog] gets each line that workerd prints
 */

/**
 * @typedef {object} Served
 * @property {string} url without a slash at the end
 * @property {string[]} edges the addresses of the further isolates
 * @property {Miniflare} mf
 * @property {string[]} logs lines that the Worker logged
 * @property {(path: string, init?: RequestInit) => Promise<Response>} fetch over a real socket
 * @property {() => Promise<D1Database>} db
 * @property {() => Promise<KVNamespace>} kv
 * @property {(path: string, init?: RequestInit) => Promise<Response>} coordinator asks the object itself
 * @property {(pattern: RegExp | string, timeoutMs?: number) => Promise<string>} waitForLog the first
 *   line, past or future, that matches
 * @property {(changes?: Partial<ServeOptions>) => Promise<void>} restart a new workerd: the memory of
 *   every isolate and of the object is gone, what is stored stays, and so does `url`
 * @property {() => Promise<void>} stop flushes, ends workerd and removes a temporary state
 */

/**
 * Starts the Worker and waits until it takes requests.
 * @param {ServeOptions} [options]
 * @returns {Promise<Served>}
 */
export async function serve(options = {}) {
  let current = { ...options };
  const temporary = options.persist === undefined ? mkdtempSync(join(tmpdir(), 'rondo-state-')) : undefined;
  const logs = [];
  const watchers = new Set();
  const onLine = (line) => {
    if (logs.push(line) > KEEP_LOG_LINES) logs.shift();
    current.onLog?.(line);
    for (const watcher of watchers) watcher(line);
  };
  const miniflareOptions = () => toMiniflare(current, current.persist ?? temporary, onLine);
  const mf = new Miniflare(miniflareOptions());
  let stopped;
  const served = {
    mf,
    logs,
    url: '',
    edges: [],
    fetch: (path, init) => fetch(new URL(path, served.url), init),
    db: () => mf.getD1Database('DB'),
    kv: () => mf.getKVNamespace('SNAPSHOT'),
    async coordinator(path, init) {
      const namespace = await mf.getDurableObjectNamespace('COORDINATOR');
      return namespace.get(namespace.idFromName('main')).fetch(new URL(path, 'http://coordinator'), init);
    },
    waitForLog(pattern, timeoutMs = 10_000) {
      const matches = (line) => (typeof pattern === 'string' ? line.includes(pattern) : pattern.test(line));
      const past = logs.find(matches);
      if (past !== undefined) return Promise.resolve(past);
      return new Promise((resolve, reject) => {
        const finish = (settle, value) => {
          clearTimeout(timer);
          watchers.delete(watcher);
          settle(value);
        };
        const watcher = (line) => matches(line) && finish(resolve, line);
        const timer = setTimeout(
          () =>
            finish(
              reject,
              new Error(
                `no log line matched ${pattern} in ${timeoutMs} ms; the last ones:\n${logs.slice(-20).join('\n')}`,
              ),
            ),
          timeoutMs,
        );
        watchers.add(watcher);
      });
    },
    async restart(changes = {}) {
      // The same port again, unless another is asked for: clients keep their address.
      current = { ...current, port: Number(new URL(served.url).port), ...changes };
      await mf.setOptions(miniflareOptions());
      await addresses();
    },
    stop() {
      // Once: Miniflare asked for anything after its end starts anew and keeps the process alive.
      stopped ??= (async () => {
        await flushBeforeStop(mf);
        await mf.dispose();
        if (temporary) rmSync(temporary, { recursive: true, force: true });
      })();
      return stopped;
    },
  };
  const addresses = async () => {
    served.url = (await mf.ready).origin;
    served.edges = [];
    for (let index = 1; index <= (current.edges ?? 0); index += 1) {
      served.edges.push((await mf.unsafeGetDirectURL(edgeName(index))).origin);
    }
  };
  try {
    await addresses();
  } catch (error) {
    await mf.dispose().catch(() => {});
    if (temporary) rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
  return served;
}

/**
 * Lets the Coordinator write what it still holds in memory. Bounded and best effort: whatever was
 * acknowledged is in its storage already.
 * @param {Miniflare} mf
 */
export async function flushBeforeStop(mf) {
  let timer;
  const tooLong = new Promise((resolve) => {
    timer = setTimeout(resolve, FLUSH_BEFORE_STOP_MS);
  });
  const flush = async () => {
    const namespace = await mf.getDurableObjectNamespace('COORDINATOR');
    const response = await namespace
      .get(namespace.idFromName('main'))
      .fetch('http://coordinator/flush', { method: 'POST' });
    await response.arrayBuffer();
  };
  await Promise.race([flush().catch(() => {}), tooLong]);
  clearTimeout(timer);
}

const edgeName = (index) => `edge-${index}`;

function toMiniflare(options, persist, onLine) {
  const config = readWrangler();
  const main = workerOptions(config);
  main.bindings = defined({ ...main.bindings, ...options.bindings });
  const buildDir = options.buildDir ?? inRoot('build');
  const worker = { ...main, ...options.worker, ...modules(buildDir, options.entry) };
  const edges = Array.from({ length: options.edges ?? 0 }, (_, index) => ({
    ...worker,
    ...modules(buildDir, options.edgeEntry),
    name: edgeName(index + 1),
    durableObjects: Object.fromEntries(
      Object.entries(main.durableObjects).map(([name, object]) => [
        name,
        { ...object, scriptName: main.name },
      ]),
    ),
    unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
  }));
  return {
    host: options.host ?? '127.0.0.1',
    port: options.port ?? 0,
    // Otherwise Miniflare asks Cloudflare for a sample of this machine's location.
    cf: false,
    logRequests: false,
    log: new Log(LogLevel.ERROR),
    telemetry: { enabled: false },
    defaultPersistRoot: persist,
    handleRuntimeStdio(stdout, stderr) {
      for (const stream of [stdout, stderr]) createInterface({ input: stream }).on('line', onLine);
    },
    workers: [worker, ...edges, ...(options.workers ?? [])],
  };
}

/** The wrapper, if any, comes first: the first module is the entry. */
function modules(buildDir, wrapper) {
  const script = (name, contents = readFileSync(join(buildDir, name), 'utf8')) => ({ type: 'ESModule', path: join(buildDir, name), contents });
  const wasm = { type: 'CompiledWasm', path: join(buildDir, 'index_bg.wasm'), contents: readFileSync(join(buildDir, 'index_bg.wasm')) };
  const list = [script('entry.js'), script('index.js'), wasm];
  if (wrapper) list.unshift(script('wrapper.mjs', wrapper));
  return { modules: list, modulesRoot: buildDir };
}

const defined = (object) =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
