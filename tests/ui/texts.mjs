// What the tests of texts share: a page that is watched, and what must hold of it.
import assert from 'node:assert/strict';
import { assertFits } from './browser.mjs';

/** Where long texts have least room. */
export const NARROW = { viewport: { width: 360, height: 800 } };

/** Notes what must not happen, from before the page's own script on. */
export const watch = async (page) => {
  page.dialogs = [];
  page.on('dialog', (dialog) => {
    page.dialogs.push(dialog.message());
    void dialog.dismiss();
  });
  await page.addInitScript(() => {
    globalThis.refused = [];
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => globalThis.refused.push(`${violatedDirective} ${blockedURI}`));
  });
};

/** Nothing ran, nothing became an element, nothing is wider than the screen. */
export async function assertSound(page, where) {
  const found = await page.evaluate(() => ({
    broken: globalThis.broken,
    refused: globalThis.refused,
    elements: [...document.querySelectorAll('#app :is(img, script, iframe, object, style, svg[onload])')].map((one) => one.outerHTML.slice(0, 90)),
  }));
  assert.deepEqual(found, { broken: undefined, refused: [], elements: [] }, where);
  assert.deepEqual(page.dialogs, [], where);
  await assertFits(page);
}

/** Each text stands there letter by letter, in a box of its own direction. */
export async function assertShown(page, texts, where, scope = 'main') {
  const wrong = await page.evaluate(({ texts, scope }) => {
    const all = [...document.querySelectorAll(`${scope} *`)];
    const isolated = (element) => {
      const { display, unicodeBidi } = getComputedStyle(element);
      return display !== 'inline' || /isolate|plaintext/.test(unicodeBidi);
    };
    return texts.flatMap((text) => {
      const holding = all.filter((element) => element.textContent === text);
      if (holding.length === 0) return [`not shown: ${text.slice(0, 80)}`];
      return holding.some(isolated) ? [] : [`turns its neighbours: ${text.slice(0, 80)}`];
    });
  }, { texts, scope });
  assert.deepEqual(wrong, [], where);
}
