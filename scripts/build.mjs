// npm run build, and wrangler's build command: the Worker into build/, the admin page into dist/admin.
import { build } from './lib/build.mjs';
import { runMain, say } from './lib/run.mjs';
import { setup } from './lib/tools.mjs';

await runMain(async () => {
  // `skip` must touch nothing at all: a test of the deployment runs with it.
  if (process.env.RONDO_BUILD !== 'skip') await setup();
  const { built, dir } = await build();
  say(built.length ? `built: ${built.join(', ')} (${dir})` : `nothing to build (${dir})`);
});
