// npm run deploy: Rondo to Cloudflare, with its resources and its secrets. A plain `wrangler deploy`
// works too; this one also makes the secrets and waits until the Worker is ready.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from './lib/build.mjs';
import { deploy } from './lib/deploy.mjs';
import { npmBin, root } from './lib/paths.mjs';
import { readIfThere, run, runMain } from './lib/run.mjs';
import { setup } from './lib/tools.mjs';

/** Runs wrangler and reads the report that it writes for machines. */
async function wrangler(args, { input, show = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'rondo-deploy-'));
  const report = join(folder, 'output.ndjson');
  try {
    const result = await run(npmBin('wrangler'), args, {
      cwd: root,
      input,
      quiet: !show,
      onOutput: () => {},
      // Everything is built already; wrangler's build command must not begin again.
      env: { RONDO_BUILD: 'skip', WRANGLER_OUTPUT_FILE_PATH: report },
    });
    const entries = (readIfThere(report) ?? '')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    return { ...result, targets: entries.find((entry) => entry.type === 'deploy')?.targets };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await runMain(async () => {
  await setup();
  await build({ mode: 'release' });
  await deploy({ wrangler, fetch, sleep, now: () => Date.now(), print: (text) => console.log(text) });
});
