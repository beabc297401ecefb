// A browser for tests of the page: what it complains of is collected, and it must not leave the origin.
import assert from 'node:assert/strict';
import { chromium as playwright } from 'playwright-core';
import { chromium } from '../../scripts/lib/needs.mjs';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export const launch = () => playwright.launch({ executablePath: chromium(), args: FLAGS });

/**
 * Opens `url` and waits until a page is shown.
 * @param {object} [options] of the browser's context (English, light and 1280 px wide by default), and `prepare(page)`,
 *   called before anything is loaded
 * @returns {Promise<{page: import('playwright-core').Page, complaints: string[], close(): Promise<void>}>}
 */
export async function open(browser, url, { prepare, ...options } = {}) {
  const context = await browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const complaints = [];
  // A refused log-in is part of some tests; the browser notes the status of each failed call.
  page.on('console', (message) => message.type() === 'error' && !/status of 4\d\d/.test(message.text()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => request.url().startsWith(new URL(url).origin) || complaints.push(`left the origin: ${request.url()}`));
  await prepare?.(page);
  await page.goto(url);
  await page.waitForSelector('html[data-loaded]');
  return { page, complaints, close: () => context.close() };
}

export async function assertFits(page) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (overflow <= 0) return;
  const widest = await page.evaluate(() => [...document.querySelectorAll('#app *')].filter((one) => one.getBoundingClientRect().right > innerWidth).map((one) => `${one.tagName}.${one.className}`).slice(-6));
  assert.fail(`the page is ${overflow} px too wide: ${widest}`);
}

/** Keeps a picture in the folder RONDO_SCREENSHOTS, when that is set. */
export async function picture(page, name) {
  if (process.env.RONDO_SCREENSHOTS) await page.screenshot({ path: `${process.env.RONDO_SCREENSHOTS}/${name}.png`, fullPage: true });
}
