// needs: chromium
// A long table while it is scrolled: its columns keep their widths, its rows their places, nothing lies over anything else.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startPool } from '../harness/rondo.mjs';
import { assertFits, launch, picture } from './browser.mjs';
import { openAt, VIEWS } from './signed-in.mjs';

const LONG = ['x'.repeat(200), 'مفتاح الحساب الرئيسي للشركة '.repeat(6), '密钥'.repeat(90), '<b>&amp; "quotes"</b> '.repeat(8), 'a name of many words '.repeat(9)];
const COUNT = 120;

describe('a long table', () => {
  let pool;
  let browser;
  let item;
  before(async () => {
    pool = await startPool({ keys: 1 });
    [item] = (await pool.admin('GET', '/api/keys?per_page=1')).items;
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await pool?.stop();
  });

  /** @param of what is different in the row of a place */
  const shown = async (of, options = {}) => {
    const items = Array.from({ length: COUNT }, (_, n) => ({ ...item, id: `i${n}`, label: `key ${n}`, ...of(n) }));
    const opened = await openAt(browser, pool.rondo.url, '#/keys?per_page=200', {
      ...options,
      prepare: (page) => page.route('**/api/keys?**', (route) => route.fulfill({ json: { total: COUNT, page: 1, per_page: COUNT, items } })),
    });
    await opened.page.waitForSelector('.keys-list tbody tr');
    return opened;
  };

  /** Scrolls through the whole page; what was seen on the way. */
  const through = (page, step) => page.evaluate(async (step) => {
    const widths = new Set();
    const over = new Set();
    const places = new Map();
    let moved = 0;
    for (let at = 0; at < document.documentElement.scrollHeight - innerHeight; at += step) {
      scrollTo(0, at);
      for (let n = 0; n < 8; n += 1) await new Promise((done) => requestAnimationFrame(done));
      widths.add([...document.querySelectorAll('.keys-list th')].map((head) => Math.round(head.getBoundingClientRect().width)).join(' '));
      for (const row of document.querySelectorAll('.keys-list tbody tr[aria-rowindex]')) {
        const place = row.getBoundingClientRect().top + scrollY;
        moved = Math.max(moved, Math.abs(place - (places.get(row) ?? place)));
        places.set(row, place);
        const cells = [...row.children].filter((cell) => cell.offsetWidth > 0);
        if (cells.some((cell) => cell.scrollWidth > cell.clientWidth + 1)) over.add(row.ariaRowIndex);
      }
    }
    return { widths: [...widths], over: [...over], moved, rows: new Set([...places.keys()].map((row) => row.ariaRowIndex)).size };
  }, step);

  test('rows of any height stay where they are, columns as wide as they are', async () => {
    const { page, complaints, close } = await shown((n) => (n % 3 === 0 ? { label: '' } : n % 7 === 0 ? { label: 'words '.repeat(n % 9), group: 'g '.repeat(n % 11) } : {}));
    await page.waitForSelector('table.held');
    const seen = await through(page, 200);
    assert.equal(seen.rows, COUNT);
    assert.ok(seen.moved < 1, `a row moved by ${seen.moved} px`);
    assert.equal(seen.widths.length, 1, seen.widths.join('\n'));
    assert.deepEqual(complaints, []);
    await close();
  });

  test('what needs more room gets it; another width and language are measured anew', async () => {
    const { page, complaints, close } = await shown((n) => (n === 90 ? { requests: 123_456_789_012, status: 'suspended', reason: 'key_quota' } : {}));
    await page.waitForSelector('table.held');
    const seen = await through(page, 300);
    assert.deepEqual(seen.over, []);
    assert.equal(seen.widths.length, 2, seen.widths.join('\n'));
    const heads = () => page.locator('.keys-list th').evaluateAll((all) => all.map((head) => head.getBoundingClientRect().width));
    const before = await heads();
    await page.setViewportSize({ width: 1000, height: 860 });
    await page.waitForFunction((width) => document.querySelector('.keys-list th:nth-child(2)').getBoundingClientRect().width < width, before[1]);
    await page.setViewportSize({ width: 500, height: 860 });
    await page.waitForFunction(() => !document.querySelector('table.held'));
    await page.setViewportSize({ width: 1280, height: 860 });
    await page.waitForSelector('table.held');
    assert.deepEqual((await through(page, 300)).over, []);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a selection renders no cell anew', async () => {
    const { page, complaints, close } = await shown(() => ({}));
    await page.waitForSelector('table.held');
    await page.evaluate(() => {
      // Each row that is rendered writes several numbers.
      const { get } = Object.getOwnPropertyDescriptor(Intl.NumberFormat.prototype, 'format');
      globalThis.told = { rows: document.querySelectorAll('.keys-list tbody tr[aria-rowindex]').length, calls: 0 };
      Object.defineProperty(Intl.NumberFormat.prototype, 'format', { get() { globalThis.told.calls += 1; return get.call(this); } });
    });
    await page.getByLabel('Select all on this page').check();
    await page.getByText(`${COUNT} selected`).waitFor();
    await page.getByRole('button', { name: 'Clear selection' }).click();
    await page.waitForFunction(() => !document.querySelector('.keys-list tr.selected'));
    const { rows, calls } = await page.evaluate(() => globalThis.told);
    // How many are selected is written too, and what the pages and filters count.
    assert.ok(rows > 20 && calls > 0 && calls < 2 * rows, `${calls} numbers written, ${rows} rows`);
    assert.deepEqual(complaints, []);
    await close();
  });

  const narrow = { name: 'en-US-light-1000', options: { viewport: { width: 1000, height: 860 } } };
  for (const { name, options } of [...VIEWS.filter(({ name }) => /light-(360|1280)/.test(name)), narrow]) {
    test(`long names lie over nothing (${name})`, async () => {
      const { page, complaints, close } = await shown((n) => (n % 2 ? { label: LONG[n % LONG.length], group: [...LONG[(n + 2) % LONG.length]].slice(0, 100).join('') } : { status: 'cooling', reason: LONG[n % LONG.length] }), options);
      const seen = await through(page, 600);
      assert.deepEqual(seen.over, []);
      // At 1000 such names are too wide for the window: the page scrolls to its side, and nothing is cut.
      if (options !== narrow.options) await assertFits(page);
      await picture(page, `long-table-${name}`);
      assert.deepEqual(complaints, []);
      await close();
    });
  }
});
