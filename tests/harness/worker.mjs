// The built Worker on workerd, for tests.
//
//   import { startWorker } from '../harness/worker.mjs';
//
//   const rondo = await startWorker({ bindings: { CEREBRAS_BASE_URL: upstream.url } });
//   const response = await rondo.fetch('/v1/models', { headers });     // a real socket
//   await rondo.stop();
//
// startWorker(options) builds what is stale (RONDO_BUILD=fast leaves wasm-opt out, =dev builds in
// seconds, =skip takes what is there), then starts Miniflare with the bindings of wrangler.toml.
// Options, all optional (types in scripts/lib/serve.mjs):
//   bindings   {NAME: value} variables and secrets over the test defaults below; undefined removes
//   persist    folder of D1, KV and Durable Objects; default: a temporary one, removed by stop()
//   port, host default: a free port of 127.0.0.1
//   edges      n more isolates of the same Worker (own memory, own address in rondo.edges[i]) on the
//              same D1, KV and Coordinator: "another isolate", "another colo"
//   entry      JavaScript in place of the entry module, to wrap the Worker or the object:
//                import worker, { Coordinator as Real } from './index.js';
//                export default worker;
//                export class Coordinator { … }
//              Names of other exports of index.js must be passed on: export * from './index.js'.
//              There is also './entry.js', what is deployed, whose default is a plain handler.
//   edgeEntry  the same for the edges
//   workers    further Miniflare workers as they are; worker: Miniflare options over Rondo's own
//   onLog      (line) => void
// The result:
//   url, edges           addresses without a slash at the end
//   fetch(path, init)    fetch against url
//   logs, waitForLog(pattern, ms)    what the Worker printed; wait for a line instead of sleeping
//   db(), kv()           the D1 database and the KV namespace, from outside
//   coordinator(path, init)          a request to the Durable Object itself
//   restart(changes)     new workerd, same address and stored state, all memory gone
//   stop()               flush, end, clean up
//   mf                   the Miniflare instance
// Everything that a test starts must be stopped by it: `after(() => rondo.stop())`.
import { build } from '../../scripts/lib/build.mjs';
import { serve } from '../../scripts/lib/serve.mjs';

export { serve };

/** Secrets of the test Worker. They are no secrets: everything here is on loopback. */
export const testBindings = Object.freeze({
  ENCRYPTION_KEY: 'uJXkQAznBNHPLiHuVgTDhWaf5SZwx9jjJkHD95wPHqk=',
  SETUP_TOKEN: 'uioHq9ujJE6JXdKnTZ7t6LquTzmHYW58',
});

/** The built Worker's folder, built once per process. */
let built;

/**
 * @param {import('../../scripts/lib/serve.mjs').ServeOptions} [options]
 * @returns {Promise<import('../../scripts/lib/serve.mjs').Served>}
 */
export async function startWorker(options = {}) {
  built ??= build({ quiet: true });
  const { dir } = await built;
  return serve({ buildDir: dir, ...options, bindings: { ...testBindings, ...options.bindings } });
}
