// npm run fill: a local state with 20,000 keys, 1,000 tokens and a month of rollups, to see how Rondo does at that size.
//
//   npm run fill                       makes it under .rondo/filled (RONDO_STATE chooses another folder)
//   npm run fill -- --serve            and then serves it at PORT, the simulator as upstream; the next time it only serves
//   npm run fill -- --keys 2000 --tokens 100 --hour-keys 40
import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createSimulator } from '../tests/upstream/simulator.mjs';
import { build } from './lib/build.mjs';
import { FILLED_PASSWORD, fillKeys, fillTokens, fillUsage, filledKey, FULL } from './lib/fill.mjs';
import { localSecrets } from './lib/local.mjs';
import { inRoot } from './lib/paths.mjs';
import { runMain, say, UserError } from './lib/run.mjs';
import { serve } from './lib/serve.mjs';
import { stopWhenAsked } from './lib/supervise.mjs';
import { setup } from './lib/tools.mjs';

const PASSWORD = FILLED_PASSWORD;
const PORT = Number(process.env.PORT || 8787);

const { values: flags } = parseArgs({
  options: { serve: { type: 'boolean' }, keys: { type: 'string' }, tokens: { type: 'string' }, days: { type: 'string' }, 'hour-keys': { type: 'string' } },
});
const number = (name, fallback) => {
  const value = flags[name] === undefined ? fallback : Number(flags[name]);
  if (!Number.isSafeInteger(value) || value < 1) throw new UserError(`--${name} must be a whole number from 1`);
  return value;
};

/** Calls of the admin API with a session. */
async function session(rondo, setupCode) {
  const call = async (method, path, body, token) => {
    const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) };
    const response = await rondo.fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  const { token } = await call('POST', '/api/auth/setup', { password: PASSWORD, setup_code: setupCode });
  return (method, path, body) => call(method, path, body, token);
}

await runMain(async () => {
  const size = { ...FULL, keys: number('keys', FULL.keys), tokens: number('tokens', FULL.tokens), days: number('days', FULL.days), hourKeys: number('hour-keys', FULL.hourKeys) };
  const folder = resolve(process.env.RONDO_STATE || inRoot('.rondo', 'filled'));
  const there = existsSync(join(folder, 'secrets.json'));
  if (there && !flags.serve) throw new UserError(`${folder} holds a state already: remove it, choose another with RONDO_STATE, or serve it with --serve`);
  await setup();
  const { dir } = await build({ mode: process.env.RONDO_BUILD || 'release' });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const secrets = localSecrets(folder);
  const sim = await createSimulator({ keys: Array.from({ length: size.keys }, (_, n) => filledKey(n)) });
  let rondo;
  let stop = async () => {
    await rondo?.stop();
    await sim.close();
  };
  try {
    rondo = await serve({ buildDir: dir, persist: folder, port: flags.serve ? PORT : 0, bindings: { ...secrets, DEMO: '1', CEREBRAS_BASE_URL: sim.url }, onLog: (line) => console.error(line) });
    if (!there) {
      const begun = Date.now();
      const said = (what) => say(`${what} (${((Date.now() - begun) / 1_000).toFixed(0)} s)`);
      const admin = await session(rondo, secrets.SETUP_TOKEN);
      const db = await rondo.db();
      await fillKeys(admin, db, size);
      said(`${size.keys} keys`);
      const { token } = await admin('POST', '/api/tokens', { name: 'made by npm run fill' });
      await fillTokens(db, size);
      said(`${size.tokens} tokens; one that works: ${token}`);
      said(`${await fillUsage(db, size)} rollups`);
      // A new Coordinator takes its totals from D1.
      await rondo.restart();
    }
    if (!flags.serve) {
      await stop();
      console.log(`${folder} is filled. See it: npm run fill -- --serve`);
      return;
    }
    stopWhenAsked(stop);
    console.log(`Admin page: ${rondo.url}/ (password: ${PASSWORD})`);
    console.log(`Listening on ${rondo.url}`);
  } catch (error) {
    await stop();
    throw error;
  }
});
