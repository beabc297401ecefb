// npm run screenshots: pictures of every page of the admin page, of a pool that has something to show, into docs/images.
// Needs chromium. A folder as argument takes all of them in both languages, themes and widths instead, for looking at:
//
//   npm run screenshots
//   npm run screenshots -- /tmp/shots
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from '../tests/ui/browser.mjs';
import { openAt, VIEWS } from '../tests/ui/signed-in.mjs';
import { startPool } from '../tests/harness/rondo.mjs';
import { fillUsage } from './lib/fill.mjs';
import { inRoot } from './lib/paths.mjs';
import { runMain, say } from './lib/run.mjs';
import { setup } from './lib/tools.mjs';

const PAGES = ['overview', 'keys', 'tokens', 'models', 'requests', 'playground', 'connect', 'settings'];
const MODEL = 'gpt-oss-120b';
const OTHER = 'qwen-3.8-27b';
const ask = (n) => ({ model: n % 3 ? MODEL : OTHER, stream: n % 2 === 0, max_completion_tokens: 64, messages: [{ role: 'user', content: `Question ${n} [[tokens=${20 + (n % 5) * 9}]]` }] });

/** A small pool as somebody might have it after some weeks. */
async function inhabited() {
  const pool = await startPool({ keys: 12, sim: { limits: 'free' }, settings: { flush_interval_ms: 1_000, max_wait_ms: 4_000 } });
  const { admin, sim, names } = pool;
  const { items } = await admin('GET', '/api/keys?per_page=50&sort=created_at');
  const people = ['Anna', 'Ben', 'Chen', 'Dana'];
  const change = async (at, fields) => admin('PATCH', `/api/keys/${items[at].id}`, fields);
  for (const at of items.keys()) {
    await change(at, { label: `${people[at % people.length]} ${Math.floor(at / people.length) + 1}`, ...(at < 6 ? { group: at < 3 ? 'acme' : 'lab' } : {}), ...(at === 8 ? { weight: 2 } : {}) });
  }
  const byMasked = (name) => items.findIndex(({ masked }) => masked.endsWith(name.slice(-4)));
  sim.revoke(names[9]);
  await admin('POST', `/api/keys/${items[byMasked(names[9])].id}/test`);
  sim.fault({ kind: 'status', error: 'payment_required', key: names[10] });
  await admin('POST', `/api/keys/${items[byMasked(names[10])].id}/test`);
  await change(byMasked(names[11]), { enabled: false });
  const tokens = [];
  for (const [name, fields] of [['laptop', {}], ['website', { requests_per_minute: 120, tokens_per_day: 2_000_000 }], ['nightly batch', { models: [MODEL], max_concurrent: 4 }]]) {
    tokens.push(await admin('POST', '/api/tokens', { name, ...fields }));
  }
  await admin('PUT', '/api/models/default', { strategy: 'rotate', members: [{ model: MODEL, weight: 2 }, { model: OTHER }] });
  await admin('PUT', '/api/models/fast', { strategy: 'order', members: [{ model: MODEL }, { model: OTHER }] });
  await fillUsage(await pool.rondo.db(), { keys: 12, tokens: 3, days: 30, hourKeys: 12, hourTokens: 3, minuteKeys: 12 });
  await pool.rondo.restart();
  pool.forgetSession();
  sim.fault({ kind: 'status', error: 'request_quota_exceeded', retryAfter: 50, key: names[4], times: 1 });
  sim.fault({ kind: 'status', status: 503, times: 3, skip: 5 });
  for (let n = 0; n < 48; n += 8) {
    await Promise.all(Array.from({ length: 8 }, async (_, m) => (await pool.chat(ask(n + m), { token: tokens[(n + m) % 3].token })).text()));
  }
  return pool;
}

/** What a page needs before it is worth a picture. */
const READY = {
  overview: (page) => page.waitForFunction(() => document.querySelectorAll('.u-wrap canvas').length === 4),
  keys: (page) => page.waitForSelector('tbody tr'),
  tokens: (page) => page.waitForSelector('tbody tr'),
  models: (page) => page.waitForSelector('.card h2'),
  requests: (page) => page.waitForSelector('main [role="row"], main tbody tr, main li'),
  playground: async (page) => {
    await page.locator('option', { hasText: MODEL }).first().waitFor({ state: 'attached' });
    await page.locator('textarea').last().fill('Why is the sky blue? [[tokens=120]]');
    await page.keyboard.press('Control+Enter');
    await page.locator('main a[href*="requests"]').first().waitFor();
  },
  connect: (page) => page.waitForSelector('pre'),
  settings: (page) => page.waitForSelector('main input'),
};

async function picture(browser, url, name, options, path) {
  const { page, complaints, close } = await openAt(browser, url, `#/${name}`, options);
  await READY[name](page);
  await page.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {}))));
  await page.screenshot({ path, fullPage: name === 'overview' && options.viewport.width > 500 });
  await close();
  if (complaints.length > 0) throw new Error(`${name}: ${complaints.join('\n')}`);
}

await runMain(async () => {
  await setup();
  const folder = process.argv[2] ?? inRoot('docs/images');
  const all = process.argv[2] !== undefined;
  mkdirSync(folder, { recursive: true });
  const pool = await inhabited();
  const browser = await launch();
  try {
    const view = (locale, colorScheme, width) => ({ name: `${locale}-${colorScheme}-${width}`, options: { locale, colorScheme, viewport: { width, height: 860 } } });
    for (const name of PAGES) {
      // In the docs each page as most see it, and some as they look otherwise.
      const views = all ? VIEWS : [view('en-US', 'light', 1280), ...(name === 'overview' || name === 'keys' ? [view('en-US', 'dark', 1280), view('zh-CN', 'light', 360)] : [])];
      for (const { name: how, options } of views) {
        const file = !all && how === 'en-US-light-1280' ? `${name}.png` : `${name}-${how}.png`;
        await picture(browser, pool.rondo.url, name, options, join(folder, file));
      }
      say(`${name}: ${views.length}`);
    }
  } finally {
    await browser.close();
    await pool.stop();
  }
});
