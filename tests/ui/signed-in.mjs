// Tests of a page behind the log-in.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { PASSWORD } from '../harness/rondo.mjs';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { open } from './browser.mjs';

/** Opens the page of `hash` (such as `#/tokens`) and logs in. Options as of `open`. */
export async function openPage(browser, pool, hash, options = {}) {
  const opened = await open(browser, `${pool.rondo.url}/${hash}`, options);
  const { page } = opened;
  await page.locator('input[type=password]').fill(PASSWORD);
  await page.locator('button[type=submit]').click();
  await page.waitForSelector('.shell h1');
  return opened;
}

/** Fails with what axe finds against the page as it is shown. The context needs `bypassCSP`. */
export async function assertAccessible(page, name) {
  await page.evaluate(readFileSync(inRoot('node_modules', 'axe-core', 'axe.min.js'), 'utf8'));
  const found = await page.evaluate(async () => {
    // A picture in the middle of a fade has other contrasts than it settles on.
    await Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {})));
    const { violations } = await globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join(' | ')}`);
  });
  assert.deepEqual(found, [], `${name} is accessible`);
}

/** Both languages, themes and widths. */
export const VIEWS = ['en-US', 'zh-CN'].flatMap((locale) => ['light', 'dark'].flatMap((colorScheme) => [360, 1280].map((width) => ({ name: `${locale}-${colorScheme}-${width}`, locale, options: { locale, colorScheme, bypassCSP: true, viewport: { width, height: 860 } } }))));
