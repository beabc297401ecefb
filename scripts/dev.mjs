// npm run dev: npm start with quick, unoptimised builds, rebuilt and restarted on every change.
import { build } from './lib/build.mjs';
import { inRoot } from './lib/paths.mjs';
import { runMain } from './lib/run.mjs';
import { supervise } from './lib/supervise.mjs';
import { setup } from './lib/tools.mjs';

await runMain(async () => {
  const mode = process.env.RONDO_BUILD || 'dev';
  await setup();
  await build({ mode });
  return supervise(inRoot('scripts', 'lib', 'server.mjs'), [mode, '--watch', ...process.argv.slice(2)]);
});
