// needs: chromium
// The page Overview: with made-up figures for what takes a day to happen, and against what the Worker really says.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startPool } from '../harness/rondo.mjs';
import { assertFits, launch, picture } from './browser.mjs';
import { until } from '../worker/proxy.mjs';
import { answerFor, newOverview, overview } from './figures.mjs';
import { openAt, violations } from './signed-in.mjs';

describe('the page Overview', () => {
  let pool;
  let browser;
  before(async () => {
    pool = await startPool({ keys: 3 });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await pool?.stop();
  });

  /** The page over made-up answers. */
  async function over(changes = {}, hash = '#/overview', options = {}) {
    let state;
    const opened = await openAt(browser, pool.rondo.url, hash, { ...options, prepare: async (page) => { state = await answerFor(page, changes); } });
    return { ...opened, state };
  }

  test('says what is happening now, how long it lasts, and links to the keys of each state', async () => {
    const { page, complaints, close } = await over();
    await page.getByText('Ready', { exact: true }).waitFor();
    const text = await page.textContent('main');
    for (const part of ['41.5', '61,240', '3h 12m', 'acme runs out first', 'csk-…0007', '212K of 1M left', 'Estimate', '83,100 of 100,000']) assert.ok(text.includes(part), part);
    assert.equal(await page.getByRole('link', { name: /Cooling/ }).getAttribute('href'), '#/keys?status=cooling');
    assert.equal(await page.getByText('csk-…0002').count(), 0);
    await page.getByRole('button', { name: 'Show 2 more' }).click();
    await page.getByText('csk-…0002').waitFor();
    await page.getByRole('button', { name: 'Show fewer' }).click();
    assert.equal(await page.getByText('csk-…0002').count(), 0);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('draws the period that the address names, and has its numbers as a table', async () => {
    const { page, complaints, close } = await over({}, '#/overview?period=day');
    await page.waitForFunction(() => document.querySelectorAll('.u-wrap canvas').length === 4);
    assert.equal(await page.getByRole('tab', { name: 'Last day' }).getAttribute('aria-selected'), 'true');
    await page.getByText('As a table').first().click();
    const table = page.getByRole('region', { name: 'Requests' });
    await table.waitFor();
    assert.ok((await table.locator('tbody tr').count()) >= 24);
    await page.getByRole('tab', { name: 'Last day' }).focus();
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction(() => location.hash === '#/overview?period=week');
    await page.getByRole('link', { name: 'Website' }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'Website' }).getAttribute('href'), '#/requests?token=tok-web');
    await page.getByText('CI <b>runner</b>').waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('says what is missing and what to do about it', async () => {
    const missing = [{ name: 'ENCRYPTION_KEY', remedy: 'set it with `openssl rand -base64 32`' }, { name: 'keys', remedy: 'add a key' }];
    const { page, close } = await over({ overview: overview({ ready: false, missing, now: null }) });
    const alert = page.getByRole('alert').filter({ hasText: 'ENCRYPTION_KEY' });
    await alert.waitFor();
    assert.match(await alert.textContent(), /openssl rand -base64 32.*Add a key/s);
    assert.equal(await alert.getByRole('link', { name: 'Go to keys' }).getAttribute('href'), '#/keys');
    await page.getByText('The Coordinator does not answer at the moment').waitFor();
    await close();
  });

  test('tells a new Rondo what to do next', async () => {
    const { page, complaints, close } = await over({ overview: newOverview(), totals: { requests: 0, errors: 0, prompt_tokens: 0, completion_tokens: 0, last_used_at: null }, series: (url) => ({ ...Object.fromEntries(new URL(url).searchParams), series: [] }) });
    await page.getByRole('heading', { name: 'What to do next' }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'Add keys' }).getAttribute('href'), '#/keys');
    assert.equal(await page.getByRole('link', { name: 'Try the playground' }).getAttribute('href'), '#/playground');
    assert.equal(await page.getByRole('alert').filter({ hasText: 'cannot serve' }).count(), 0, 'no alarm beside the steps');
    await picture(page, 'overview-new');
    assert.deepEqual(complaints, []);
    await close();
  });

  test('keeps the last figures when a call fails, says so, and tries again', async () => {
    const { page, state, close } = await over({ series: 500 });
    const failure = page.getByRole('alert').filter({ hasText: 'made to fail' }).first();
    await failure.waitFor();
    const { series } = await import('./figures.mjs');
    state.series = series;
    await failure.getByRole('button', { name: 'Try again' }).click();
    await page.waitForFunction(() => document.querySelectorAll('.u-wrap canvas').length === 4);
    state.overview = 503;
    await page.getByRole('alert').filter({ hasText: 'made to fail' }).first().waitFor();
    assert.ok((await page.textContent('main')).includes('61,240'), 'the last figures stand');
    await close();
  });

  test('shows what the Worker really counted', async (t) => {
    const session = await pool.admin('GET', '/api/overview', undefined, { expect: [200, 404] });
    if (!session?.keys) return t.skip('this Worker has no /api/overview yet');
    for (let n = 0; n < 5; n++) assert.equal((await pool.chat()).status, 200);
    const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/overview');
    await page.getByRole('link', { name: 'All keys (3)' }).waitFor();
    await page.getByText('Since the beginning').waitFor({ timeout: 60_000 });
    await page.waitForFunction(() => document.querySelectorAll('.u-wrap canvas').length === 4, undefined, { timeout: 60_000 });
    await page.getByRole('link', { name: 'gpt-oss-120b' }).waitFor({ timeout: 60_000 });
    await picture(page, 'overview-real');
    assert.deepEqual(complaints, []);
    await close();
  });

  test('says that the upstream fails for every key, until it answers again', async () => {
    const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/overview');
    pool.sim.fault({ kind: 'status', status: 500 });
    await until(async () => {
      await (await pool.chat({}, { headers: { 'x-rondo-deadline-ms': '500' } })).text();
      return (await pool.admin('GET', '/api/overview')).outages.length > 0;
    }, 20_000, 'an outage');
    const alert = page.getByRole('alert').filter({ hasText: 'cerebras fails for every key' });
    await alert.waitFor();
    await picture(page, 'overview-outage');
    pool.sim.clearFaults();
    await until(async () => {
      const response = await pool.chat();
      await response.text();
      return response.status === 200;
    }, 20_000, 'an answer');
    await alert.waitFor({ state: 'detached' });
    assert.deepEqual(complaints, []);
    await close();
  });

  for (const locale of ['en-US', 'zh-CN']) {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [360, 1280]) {
        test(`fits and is accessible (${locale}, ${colorScheme}, ${width} px)`, async () => {
          const { page, complaints, close } = await over({}, '#/overview', { locale, colorScheme, viewport: { width, height: 800 } });
          await page.waitForFunction(() => document.querySelectorAll('.u-wrap canvas').length === 4);
          await page.waitForSelector('.overview-busy');
          await assertFits(page);
          await picture(page, `overview-${locale}-${colorScheme}-${width}`);
          if (locale === 'zh-CN') {
            const words = (await page.innerText('main')).match(/\b(requests|tokens|errors|keys|minute|waiting|left|limit)\b/gi);
            assert.equal(words, null, 'no English words in the Chinese page');
          }
          assert.deepEqual(await violations(page), []);
          assert.deepEqual(complaints, []);
          await close();
        });
      }
    }
  }
});
