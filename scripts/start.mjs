// npm start: sets up, builds what is stale, and serves Rondo on this machine until Ctrl-C.
import { build } from './lib/build.mjs';
import { inRoot } from './lib/paths.mjs';
import { runMain } from './lib/run.mjs';
import { supervise } from './lib/supervise.mjs';
import { setup } from './lib/tools.mjs';

await runMain(async () => {
  const mode = process.env.RONDO_BUILD || 'release';
  await setup();
  await build({ mode });
  // The child finds everything built. It is another process so that it outlives a Ctrl-C by a flush.
  return supervise(inRoot('scripts', 'lib', 'server.mjs'), [mode, ...process.argv.slice(2)]);
});
