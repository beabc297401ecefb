// needs: chromium
// What takes time to happen, on the built Worker over the simulator: sessions in several tabs, the stream of events
// that ends by itself, keys that rest, suggestions, a lost connection, and the demo.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { keyName, MODEL, PASSWORD, startPool, TOKEN } from '../harness/rondo.mjs';
import { testBindings } from '../harness/worker.mjs';
import { launch, open, picture } from './browser.mjs';
import { openAt, openSignedIn } from './signed-in.mjs';

const STREAM_MS = 2_500;
const WEEK_S = 7 * 24 * 3_600;
const PAGES = ['overview', 'keys', 'tokens', 'models', 'requests', 'playground', 'connect', 'settings'];
const plan = { requests: { minute: 3_000, day: 14_400 } };

async function until(look, ms, what) {
  for (const end = Date.now() + ms; Date.now() < end; ) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`not within ${ms} ms: ${what}`);
}

describe('what takes time', () => {
  let pool;
  let browser;
  const bindings = () => ({ CEREBRAS_BASE_URL: pool?.sim.url, CEREBRAS_API_KEYS: [0, 1, 2].map(keyName).join(','), AUTH_PASSWORD: TOKEN, EVENTS_STREAM_MS: String(STREAM_MS) });
  before(async () => {
    // Two keys of one organisation and one alone.
    const keys = [{ key: keyName(0), org: 'one', limits: plan }, { key: keyName(1), org: 'one', limits: plan }, keyName(2)];
    pool = await startPool({ keys: 3, sim: { keys, limits: plan }, worker: { bindings: { EVENTS_STREAM_MS: String(STREAM_MS) } }, settings: { flush_interval_ms: 1_000 } });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await pool?.stop();
  });
  const said = async (id) => {
    const response = await pool.chat({ max_completion_tokens: 20 }, { headers: { 'x-request-id': id } });
    assert.equal(response.status, 200, await response.text());
  };

  test('script cannot see the session, and all tabs know when it begins and ends', async () => {
    const { page, complaints, close } = await open(browser, `${pool.rondo.url}/#/connect`);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.locator('.shell h1').waitFor();
    assert.deepEqual(await page.evaluate(() => [document.cookie, { ...localStorage }, { ...sessionStorage }]), ['', {}, {}]);
    const [cookie, ...more] = await page.context().cookies();
    assert.equal(more.length, 0);
    assert.deepEqual([cookie.name, cookie.httpOnly, cookie.sameSite, cookie.path, cookie.domain], ['rondo', true, 'Strict', '/', '127.0.0.1']);
    assert.ok(Math.abs(cookie.expires - Date.now() / 1_000 - WEEK_S) < 60);

    // Pages that ask for nothing by themselves.
    const other = await page.context().newPage();
    await other.goto(`${pool.rondo.url}/#/connect`);
    await other.locator('.shell h1').waitFor();
    await page.getByRole('button', { name: 'Log out' }).click();
    await other.getByRole('heading', { name: 'Log in' }).waitFor();
    assert.deepEqual(await page.context().cookies(), []);
    await other.getByLabel('Password').fill(PASSWORD);
    await other.getByRole('button', { name: 'Log in' }).click();
    await page.locator('.shell h1').waitFor();
    // Ended from elsewhere: the next call that the page makes by itself tells.
    await page.evaluate(() => { location.hash = '#/overview'; });
    await page.getByText('Ready', { exact: true }).waitFor();
    await pool.admin('POST', '/api/sessions/end_others');
    await page.getByRole('heading', { name: 'Log in' }).waitFor();
    await other.getByRole('heading', { name: 'Log in' }).waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('the stream of events ends by itself and is taken up again, without an event lost or doubled', async () => {
    const streams = [];
    let lists = 0;
    const { page, complaints, close } = await openSignedIn(browser, pool.rondo.url, '#/requests', {
      prepare: (page) => {
        page.on('requestfinished', (request) => request.url().endsWith('/api/events') && streams.push(Date.now()));
        page.on('request', (request) => request.url().includes('/api/requests?') && (lists += 1));
      },
    });
    await page.getByText('Live', { exact: true }).waitFor();
    const ids = [];
    await until(async () => {
      const id = `live-${ids.length}`;
      ids.push(id);
      await said(id);
      return streams.length >= 3;
    }, 30_000, 'three streams have ended');
    streams.slice(1).forEach((at, n) => assert.ok(at - streams[n] >= STREAM_MS, `a stream of ${at - streams[n]} ms`));
    const shown = () => page.locator('.requests-open').evaluateAll((links) => links.map((link) => /live-\d+/.exec(link.href)?.[0]).filter(Boolean));
    await page.waitForFunction((last) => document.querySelector('.requests-open')?.href.endsWith(`=${last}`), ids.at(-1));
    const newest = await shown();
    assert.ok(newest.length >= 10, `${newest.length} rows`);
    assert.deepEqual(newest.reverse(), ids.slice(-newest.length));
    // A long table keeps only the rows near the window, and says how many there are with its head.
    const rows = await page.locator('main table').evaluate((table) => Number(table.getAttribute('aria-rowcount') ?? table.rows.length) - 1);
    assert.equal(rows, Math.min(ids.length, 500));
    assert.equal(lists, 1, 'nothing had to be loaded anew');
    assert.equal(await page.getByText(/Live updates are lost/).count(), 0);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('keys of one organisation are suggested with the evidence, and become one group', { timeout: 150_000 }, async () => {
    await until(async () => {
      for (let n = 0; n < 10; n += 1) await said(`kin-${n}`);
      return (await pool.admin('GET', '/api/keys/suggestions')).items.length > 0;
    }, 120_000, 'a suggestion');
    const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/keys');
    const rows = await pool.keys();
    await page.getByRole('button', { name: 'Suggestions 1' }).click();
    const dialog = page.getByRole('dialog', { name: 'Keys that look like one quota' });
    for (const n of [0, 1]) await dialog.getByText(rows.get(keyName(n)).masked).waitFor();
    assert.equal(await dialog.getByText(rows.get(keyName(2)).masked).count(), 0);
    await dialog.getByText(new RegExp(`observations with ${MODEL}.*14,400 requests a day fell by [\\d,]+ more`)).waitFor();
    await picture(page, 'live-suggestion');
    await dialog.getByLabel('Name of the group').fill('a pair');
    await dialog.getByRole('button', { name: 'Make one group' }).click();
    await page.getByText('Group a pair: 2 keys moved.').waitFor();
    await dialog.getByText('No suggestion').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('.keys-group', { hasText: 'a pair' }).nth(1).waitFor();
    assert.equal((await pool.admin('GET', '/api/keys?group=a%20pair')).total, 2);
    const [entry] = (await pool.admin('GET', '/api/audit')).items;
    assert.equal(entry.detail, `2 keys of ${[0, 1].map((n) => rows.get(keyName(n))).sort((a, b) => (a.id < b.id ? -1 : 1)).map(({ masked }) => masked).join(', ')} into a pair`);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a key that rests counts down and comes back by itself; its history is drawn', async () => {
    pool.sim.fault({ kind: 'status', status: 429, error: 'request_quota_exceeded', key: keyName(2), times: 1, retryAfter: 8 });
    const row = (await pool.keys()).get(keyName(2));
    await until(async () => {
      await said('rests');
      return (await pool.keys()).get(keyName(2)).status === 'cooling';
    }, 15_000, 'it rests');
    const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/keys');
    const shown = page.getByRole('row').filter({ hasText: row.masked });
    await shown.getByText('Cooling').waitFor();
    const countdown = shown.locator('.countdown');
    const left = async () => Number(/(\d+)\s?s left/.exec(await countdown.textContent())?.[1]);
    const first = await left();
    assert.ok(first >= 1 && first <= 15, `${await countdown.textContent()}`);
    await picture(page, 'live-cooling');
    await until(async () => (await left()) < first, 5_000, 'it counts down');
    await shown.getByText('Active').waitFor({ timeout: 30_000 });
    assert.equal(await countdown.count(), 0);

    await shown.locator('.keys-key a').click();
    const side = page.getByRole('dialog');
    await side.getByText('Last 48 hours').waitFor();
    await side.locator('canvas').waitFor();
    await side.getByText('As a table').click();
    const cells = await side.locator('.chart-table tbody tr').evaluateAll((lines) => lines.map((line) => [...line.querySelectorAll('td')].map((cell) => Number(cell.textContent.replace(/\D/g, '')))));
    const sums = cells.reduce((all, line) => all.map((sum, n) => sum + (line[n] ?? 0)), [0, 0]);
    const now = (await pool.keys()).get(keyName(2));
    assert.ok(sums[0] > 0 && sums[0] <= now.requests && sums[1] >= 1, `${sums} of ${now.requests}, ${now.errors}`);
    await picture(page, 'live-history');
    assert.deepEqual(complaints, []);
    await close();
  });

  test('every page that asks again says when nobody answers, how old its data is, and recovers', async () => {
    const { page, close } = await openAt(browser, pool.rondo.url, '#/connect', { prepare: (page) => page.clock.install() });
    for (const [hash, stands] of [
      ['#/overview', '.overview-now'], ['#/keys', '.keys-list tbody tr'], [`#/keys?id=${(await pool.keys()).get(keyName(0)).id}`, 'dialog .keys-facts'], ['#/tokens', '.tokens-name'],
      ['#/models', '.models-member'], ['#/requests', '.requests-list tbody tr'], ['#/playground', '.playground-composer'], ['#/settings?tab=security', 'tbody tr'], ['#/settings?tab=audit', '.settings-detail'],
    ]) {
      await page.evaluate((hash) => { location.hash = hash; }, hash);
      await page.locator(stands).first().waitFor();
      await page.route(/\/(api|healthz)/, (route) => route.abort());
      // Each page's own time between two calls is over.
      await page.clock.runFor(65_000);
      await page.locator('.lost-bar').getByText(/No answer from the Worker for/).waitFor();
      await page.locator('.top-state').getByText('No connection').waitFor();
      if (hash === '#/requests') await page.getByText(/Live updates are lost/).waitFor();
      else if (hash !== '#/playground') await page.locator('.age.stale', { hasText: /(minute|seconds?) ago/ }).first().waitFor();
      assert.ok((await page.locator(stands).count()) > 0, `${hash}: what was known stands`);
      if (hash === '#/tokens') await picture(page, 'live-lost');
      await page.unroute(/\/(api|healthz)/);
      await page.clock.runFor(16_000);
      await page.locator('.lost-bar').waitFor({ state: 'detached' });
      await page.waitForFunction(() => !document.querySelector('.age.stale'));
      if (hash === '#/requests') await page.getByText('Live', { exact: true }).waitFor();
      await page.keyboard.press('Escape');
    }
    await close();
  });

  test('the demo says so on every page and takes no real key', async () => {
    await pool.rondo.restart({ bindings: { ...testBindings, ...bindings(), DEMO: '1' } });
    const { page: out, close: leave } = await open(browser, pool.rondo.url);
    await out.getByRole('heading', { name: 'Log in' }).waitFor();
    assert.equal(await out.locator('#demo').textContent(), 'DEMO');
    await leave();
    const { page, complaints, close } = await openSignedIn(browser, pool.rondo.url, '#/overview');
    for (const name of PAGES) {
      await page.evaluate((name) => { location.hash = `#/${name}`; }, name);
      await page.waitForFunction((name) => document.querySelector('.navigation [aria-current=page]')?.getAttribute('href') === `#/${name}`, name);
      await page.locator('.shell h1').waitFor();
      assert.ok(await page.locator('#demo').isVisible(), name);
    }
    await page.evaluate(() => { location.hash = '#/keys'; });
    await page.getByRole('button', { name: 'Add keys' }).click();
    const dialog = page.getByRole('dialog', { name: 'Add keys' });
    await dialog.getByLabel('API key').fill('csk-arealkey0123456789abcdefghij');
    await dialog.getByRole('button', { name: 'Add key', exact: true }).click();
    await dialog.getByText(/this is the demo, which takes demo keys only; leave it with: CEREBRAS_API_KEYS=csk-… npm start/).waitFor();
    await picture(page, 'live-demo');
    await dialog.getByRole('tab', { name: 'Many keys' }).click();
    await dialog.getByRole('textbox', { name: 'Keys' }).fill('csk-arealkey0123456789abcdefghij\ncsk-demo0123456789abcdefghij');
    await dialog.getByRole('button', { name: 'Add 2 keys' }).click();
    await dialog.getByText(/1 key added/).waitFor();
    await dialog.locator('li', { hasText: /leave it with: CEREBRAS_API_KEYS=csk-… npm start/ }).waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });
});
