// npm run setup: everything a fresh machine with rustup and Node needs, and nothing twice.
import { runMain, say } from './lib/run.mjs';
import { setup } from './lib/tools.mjs';

await runMain(async () => {
  const done = await setup();
  say(done.length ? `set up: ${done.join(', ')}` : 'everything is set up');
});
