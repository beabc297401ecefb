// The process behind `npm start` and `npm run dev`: serves until it is told to stop. Started by
// scripts/start.mjs and scripts/dev.mjs, which have set up and built everything.
import { watch } from 'node:fs';
import { adminInputs, build, workerInputs } from './build.mjs';
import { curlLine, startLocal } from './local.mjs';
import { inRoot } from './paths.mjs';
import { runMain, say } from './run.mjs';
import { stopWhenAsked } from './supervise.mjs';

const [mode, ...flags] = process.argv.slice(2);

await runMain(async () => {
  let stop = async () => {};
  let starting;
  // Before anything starts: a Ctrl-C during the start must still end what the start has begun.
  const stopAll = async () => {
    await starting?.catch(() => {});
    await stop();
  };
  stopWhenAsked(stopAll);
  const { dir } = await build({ mode });
  starting = startLocal({
    buildDir: dir,
    noDemo: flags.includes('--no-demo'),
    onLog: (line) => console.error(line),
  });
  const local = await starting;
  stop = local.stop;
  // Again, since Miniflare has put its own handlers in front by now.
  stopWhenAsked(stopAll);
  const { url } = local.served;
  if (local.setupCode) console.log(`Setup code: ${local.setupCode}`);
  if (local.demo) {
    console.log(
      'DEMO: no key was found, so a simulator of the Cerebras API answers. Your own key leaves the demo:',
    );
    console.log(
      '  CEREBRAS_API_KEYS=csk-… npm start   (or `npm start -- --no-demo`, and add keys on the admin page)',
    );
    console.log('Try it:');
    console.log(`  ${curlLine(url, local.token)}`);
  }
  console.log(`Admin page: ${url}/`);
  console.log(`Listening on ${url}`);
  if (flags.includes('--watch')) rebuildOnChange(mode, local.served);
});

/** Rebuilds and restarts when sources change; a build that fails leaves the last good one running. */
function rebuildOnChange(mode, served) {
  let timer;
  let running = false;
  let again = false;
  const rebuild = async () => {
    if (running) {
      again = true;
      return;
    }
    running = true;
    do {
      again = false;
      const begun = Date.now();
      try {
        const { dir, built } = await build({ mode });
        if (built.length > 0 || configChanged) {
          configChanged = false;
          await served.restart({ buildDir: dir });
          say(
            `restarted after ${((Date.now() - begun) / 1000).toFixed(1)} s (${built.join(', ') || 'wrangler.toml'})`,
          );
        }
      } catch (error) {
        say(`${error.message}\nstill serving the last good build`);
      }
    } while (again);
    running = false;
  };
  let configChanged = false;
  for (const path of [...workerInputs, ...adminInputs, 'wrangler.toml']) {
    watch(inRoot(path), { recursive: true }, () => {
      configChanged ||= path === 'wrangler.toml';
      // Editors write a file in several steps.
      clearTimeout(timer);
      timer = setTimeout(rebuild, 150);
    });
  }
  say('watching for changes');
}
