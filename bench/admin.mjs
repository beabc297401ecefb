// How long the admin page's calls take at 20,000 keys and a million rollups: node bench/admin.mjs
// Needs the state that `npm run fill` makes. Each call's first answer after the start, then p50 and the longest of 10, and
// what workerd's processor time was for one: other work on the machine makes the answers late, but hardly that.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from '../scripts/lib/build.mjs';
import { FILLED_PASSWORD, filledKey, FULL } from '../scripts/lib/fill.mjs';
import { localSecrets } from '../scripts/lib/local.mjs';
import { inRoot } from '../scripts/lib/paths.mjs';
import { runMain, UserError } from '../scripts/lib/run.mjs';
import { serve } from '../scripts/lib/serve.mjs';
import { childNamed, cpuSeconds } from './machine.mjs';
import { createSimulator } from '../tests/upstream/simulator.mjs';

const TIMES = 10;
const REQUESTS = 1_000;
const DAY = 86_400_000;

const ago = (days) => new Date(Date.now() - days * DAY).toISOString();
const sorts = ['label', 'provider', 'group', 'status', 'weight', 'requests', 'errors', 'prompt_tokens', 'completion_tokens', 'last_used_at', 'created_at'];

/** Every call that a page makes, by name. */
function calls(key, last) {
  const list = (query) => [`/api/keys?${query}`, `keys: ${query || 'as they come'}`];
  return [
    list('sort=-created_at'),
    ...sorts.flatMap((sort) => [list(`sort=${sort}`), list(`sort=-${sort}`)]),
    list('sort=-created_at&per_page=200'), list(`sort=-created_at&page=${last}`), list(`sort=-requests&page=${last}`), list(`sort=label&page=${last}`),
    ...['active', 'cooling', 'suspended', 'invalid', 'disabled'].map((status) => list(`status=${status}&sort=-created_at`)),
    list('group=org-0500'), list('group_prefix=org-0'), list('provider=cerebras&sort=label'),
    list('q=team 42'), list('q=nothing-like-it'), list('q=%25_'), list('q=team 42&status=active&sort=-requests'), list(`q=${key}`),
    ['/api/keys/ids', 'keys: ids of all'], ['/api/keys/ids?q=team', 'keys: ids of a search'], ['/api/keys/groups?q=org-0', 'keys: groups'],
    ['/api/keys/suggestions', 'keys: suggestions'], [`/api/keys/${key}/limits`, 'keys: limits of one'],
    ['/api/tokens', 'tokens'], ['/api/tokens?page=20', 'tokens: last page'], ['/api/tokens?q=website 4', 'tokens: search'], ['/api/tokens?per_page=200', 'tokens: 200'],
    ['/api/models', 'models'], ['/api/models/catalog', 'models: catalog'],
    ['/api/overview', 'overview'], ['/api/stats?limit=1', 'stats: as Overview asks'], ['/api/stats', 'stats: 1,000 each'], ['/api/stats?limit=20000', 'stats: all'],
    ...[['hour', 1 / 24, 'minute'], ['day', 1, 'hour'], ['week', 7, 'hour'], ['month', 30, 'day']].flatMap(([name, days, step]) => [
      [`/api/stats/series?from=${ago(days)}&step=${step}`, `series: ${name}`],
      ...['key', 'model', 'token'].map((by) => [`/api/stats/series?from=${ago(days)}&step=${by !== 'key' && step === 'minute' ? 'hour' : step}&by=${by}`, `series: ${name} by ${by}`]),
      [`/api/stats/series?from=${ago(days)}&step=${step}&by=key&id=${key}`, `series: ${name} of one key`],
    ]),
    ['/api/requests', 'requests: 100'], ['/api/requests?limit=500', 'requests: 500'], ['/api/requests?status=error', 'requests: errors'],
    ['/api/decisions', 'decisions: 100'], ['/api/decisions?limit=1000', 'decisions: 1,000'], [`/api/decisions?key=${key}`, 'decisions of one key'],
    ['/api/audit', 'audit'], ['/api/audit?page=2', 'audit: next page'], ['/api/sessions', 'sessions'], ['/api/settings', 'settings'],
  ];
}

/** Serves the filled state, with the simulator as upstream. */
export async function serveFilled() {
  const folder = resolve(process.env.RONDO_STATE || inRoot('.rondo', 'filled'));
  if (!existsSync(join(folder, 'secrets.json'))) throw new UserError(`${folder} is not there: make it with npm run fill`);
  const { dir } = await build({ mode: process.env.RONDO_BUILD || 'release', quiet: true });
  const sim = await createSimulator({ keys: Array.from({ length: FULL.keys }, (_, n) => filledKey(n)) });
  const rondo = await serve({ buildDir: dir, persist: folder, bindings: { ...localSecrets(folder), DEMO: '1', CEREBRAS_BASE_URL: sim.url } });
  const stop = async () => {
    await rondo.stop();
    await sim.close();
  };
  const begun = performance.now();
  const login = await rondo.fetch('/api/auth/login', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ password: FILLED_PASSWORD }) });
  const cookie = login.headers.get('set-cookie')?.split(';')[0];
  const { token } = await login.json();
  const get = (path) => rondo.fetch(path, { headers: { authorization: `Bearer ${token}` } });
  await (await get('/api/overview')).text();
  const started = performance.now() - begun;
  return { rondo, sim, stop, get, cookie, started, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } };
}

/** Requests of clients, so that there is something to tell. */
export async function ask({ rondo, headers }, count) {
  const made = await (await rondo.fetch('/api/tokens', { method: 'POST', headers, body: JSON.stringify({ name: `bench ${Date.now()}` }) })).json();
  let left = count;
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (left-- > 0) {
      const response = await rondo.fetch('/v1/chat/completions', { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${made.token}` }, body: JSON.stringify({ model: 'gpt-oss-120b', messages: [{ role: 'user', content: 'Hello' }], max_completion_tokens: 4 }) });
      await response.arrayBuffer();
    }
  }));
}

async function main() {
  const served = await serveFilled();
  try {
    const timed = async (path) => {
      const begun = performance.now();
      const response = await served.get(path);
      const text = await response.text();
      if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text.slice(0, 200)}`);
      return { ms: performance.now() - begun, bytes: text.length };
    };
    console.error(`first answer after the start: ${served.started.toFixed(0)} ms`);
    await ask(served, REQUESTS);
    const key = JSON.parse(await (await served.get('/api/keys?per_page=1')).text()).items[0].id;
    const rows = [];
    const workerd = childNamed('workerd');
    for (const [path, name] of calls(key, Math.ceil(FULL.keys / 50))) {
      const first = await timed(path);
      const times = [];
      const used = cpuSeconds(workerd);
      for (let n = 0; n < TIMES; n += 1) times.push((await timed(path)).ms);
      const cpu = ((cpuSeconds(workerd) - used) * 1_000) / TIMES;
      times.sort((one, other) => one - other);
      rows.push({ name, cpu, first: first.ms, p50: times[TIMES / 2], max: Math.max(first.ms, ...times), kb: first.bytes / 1_000 });
    }
    const show = (ms) => (ms < 10 ? ms.toFixed(1) : ms.toFixed(0));
    console.log('| call | CPU ms | first ms | p50 ms | longest ms | KB |\n| --- | --- | --- | --- | --- | --- |');
    for (const { name, cpu, first, p50, max, kb } of rows) console.log(`| ${name} | ${show(cpu)} | ${show(first)} | ${show(p50)} | ${show(max)} | ${show(kb)} |`);
    const over = rows.filter(({ max }) => max > 300);
    console.error(over.length === 0 ? 'all within 300 ms' : `over 300 ms: ${over.map(({ name }) => name).join('; ')}`);
  } finally {
    await served.stop();
  }
}

if (process.argv[1] === import.meta.filename || process.argv[1]?.endsWith('bench/admin.mjs')) await runMain(main);
