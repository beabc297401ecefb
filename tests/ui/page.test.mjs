// needs: chromium
// The page at `/`, in both languages and themes, wide and narrow.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { chromium as playwright } from 'playwright-core';
import { chromium } from '../../scripts/lib/needs.mjs';
import { startWorker } from '../harness/worker.mjs';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

describe('the page', () => {
  let rondo;
  let browser;
  before(async () => {
    rondo = await startWorker({ bindings: { CEREBRAS_API_KEYS: 'csk-onekeyofthepagetest0001', DEMO: '1' } });
    browser = await playwright.launch({ executablePath: chromium(), args: FLAGS });
  });
  after(async () => {
    await browser?.close();
    await rondo?.stop();
  });

  for (const [locale, words] of [
    ['en-US', { ready: 'Ready to serve.', clients: 'Point your tools here' }],
    ['zh-CN', { ready: '可以提供服务。', clients: '让你的工具指向这里' }],
  ]) {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [360, 1280]) {
        test(`says what this is and where the API is (${locale}, ${colorScheme}, ${width} px)`, async () => {
          const context = await browser.newContext({ locale, colorScheme, viewport: { width, height: 800 } });
          const page = await context.newPage();
          const complaints = [];
          page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
          page.on('pageerror', (error) => complaints.push(String(error)));
          page.on('request', (request) => request.url().startsWith(rondo.url) || complaints.push(`left the origin: ${request.url()}`));
          await page.goto(rondo.url);
          await page.waitForSelector('html[data-loaded]');
          assert.equal(await page.textContent('#state-text'), words.ready);
          assert.equal(await page.textContent('#clients-title'), words.clients);
          assert.equal(await page.textContent('#openai-base'), `${rondo.url}/v1`);
          assert.ok(await page.isVisible('#demo'), 'DEMO is on the page');
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(overflow <= 0, `the page is ${overflow} px too wide`);
          assert.deepEqual(complaints, []);
          if (process.env.RONDO_SCREENSHOTS) await page.screenshot({ path: `${process.env.RONDO_SCREENSHOTS}/page-${locale}-${colorScheme}-${width}.png`, fullPage: true });
          await context.close();
        });
      }
    }
  }
});
