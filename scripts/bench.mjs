// npm run bench: the benchmark of bench/, on the release build.
import { build } from './lib/build.mjs';
import { runMain } from './lib/run.mjs';
import { setup } from './lib/tools.mjs';

await runMain(async () => {
  await setup();
  const { dir } = await build({ mode: 'release' });
  const { bench } = await import('../bench/main.mjs');
  return bench({ buildDir: dir, args: process.argv.slice(2) });
});
