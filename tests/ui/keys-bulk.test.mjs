// needs: chromium
// The page of keys with more keys than one call takes: what is sent in pieces, and what is said when a piece fails.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startPool } from '../harness/rondo.mjs';
import { launch, picture } from './browser.mjs';
import { openAt } from './signed-in.mjs';

/** What the Worker says while the database does not answer. */
const UNAVAILABLE = { status: 503, contentType: 'application/problem+json', json: { type: 'about:blank', title: 'Unavailable', status: 503, detail: 'The database does not answer.' } };
/** As it is pasted. */
const many = (count, between) => Array.from({ length: count }, (_, n) => `csk-many${String(n).padStart(24, '0')}`).join(between);
const works = (id) => `event: result\ndata: ${JSON.stringify({ id, masked: 'csk-…0000', outcome: 'ok', http_status: 200, latency_ms: 5, detail: '', status: 'active', reason: null, until: null })}\n\n`;

describe('many keys on their page', () => {
  let pool;
  let browser;
  before(async () => {
    pool = await startPool({ keys: 11 });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await pool?.stop();
  });

  const shown = async () => {
    const opened = await openAt(browser, pool.rondo.url, '#/keys');
    await opened.page.waitForSelector('.keys-list tbody tr');
    return opened;
  };

  test('sends an import in pieces of 500 and shows what failed', async () => {
    const { page, complaints, close } = await shown();
    const sizes = [];
    await page.route('**/api/keys/batch', async (route) => {
      const { input } = route.request().postDataJSON();
      const given = input.split('\n');
      sizes.push(given.length);
      const results = given.map((key, index) => ({ index, masked: `…${key.slice(-4)}`, outcome: index === 0 ? 'failed' : 'added', ...(index === 0 ? { detail: 'said by the Worker' } : {}) }));
      await route.fulfill({ json: { summary: { total: given.length, added: given.length - 1, duplicate: 0, failed: 1 }, results } });
    });
    await page.getByRole('button', { name: 'Add keys' }).click();
    await page.getByRole('tab', { name: 'Many keys' }).click();
    // On one line: a browser takes many seconds for so many lines that are typed.
    await page.getByRole('textbox', { name: 'Keys' }).fill(many(1_200, ' '));
    await page.getByRole('button', { name: 'Add 1200 keys' }).click();
    await page.getByText(/1197 keys added/).waitFor();
    await page.getByText(/3 could not be added/).waitFor();
    assert.equal(await page.getByText('said by the Worker').count(), 3);
    assert.deepEqual(sizes, [500, 500, 200]);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('an import goes on past a part that fails, says what is missing, and sends only that again', async () => {
    const { page, close } = await shown();
    const sizes = [];
    await page.route('**/api/keys/batch', async (route) => {
      const given = route.request().postDataJSON().input.split('\n');
      sizes.push(given.length);
      if (sizes.length === 2) return route.fulfill(UNAVAILABLE);
      return route.fulfill({ json: { summary: { total: given.length, added: given.length, duplicate: 0, failed: 0 }, results: [] } });
    });
    await page.getByRole('button', { name: 'Add keys' }).click();
    await page.getByRole('tab', { name: 'Many keys' }).click();
    // At once, as a paste is; typing so much takes a browser seconds.
    await page.getByRole('textbox', { name: 'Keys' }).evaluate((area, text) => {
      Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set.call(area, text);
      area.dispatchEvent(new InputEvent('input', { bubbles: true, inputType: 'insertFromPaste' }));
    }, many(1_700, '\n'));
    await page.getByRole('button', { name: 'Add 1700 keys' }).click();
    await page.getByText('1200 keys added.').waitFor();
    await page.getByText(/500 keys were not taken over: The database does not answer\./).waitFor();
    await picture(page, 'keys-import-failed');
    await page.getByRole('button', { name: 'Add 500 keys' }).click();
    await page.getByText('1700 keys added.').waitFor();
    assert.deepEqual(sizes, [500, 500, 500, 200, 500]);
    await close();
  });

  test('changes all that match, in pieces of 500, and ends with the truth when one fails', async () => {
    const { page, complaints, close } = await shown();
    const ids = Array.from({ length: 10_000 }, (_, n) => `k_${n}`);
    await page.route('**/api/keys/ids?**', (route) => route.fulfill({ json: { ids } }));
    await page.route('**/api/keys/ids', (route) => route.fulfill({ json: { ids } }));
    const [item] = (await pool.admin('GET', '/api/keys?per_page=1')).items;
    await page.route('**/api/keys?**', (route) => route.fulfill({ json: { total: 10_000, page: 1, per_page: 50, items: ids.slice(0, 50).map((id) => ({ ...item, id, source: 'admin' })) } }));
    await page.reload();
    const sent = [];
    let fails = 7;
    const answer = (name) => async (route) => {
      const { ids: part } = route.request().postDataJSON();
      sent.push(part);
      if (sent.length === fails) return route.fulfill(UNAVAILABLE);
      return route.fulfill({ json: { [name]: part.length } });
    };
    await page.route('**/api/keys/enable', answer('changed'));
    await page.route('**/api/keys/group', answer('changed'));
    await page.route('**/api/keys/delete', answer('deleted'));
    await page.getByLabel('Select all on this page').check();
    await page.getByRole('button', { name: 'Select all 10,000 that match' }).click();
    const bar = page.getByRole('region', { name: '10,000 selected' });
    for (const [begin, title, said] of [
      [() => bar.getByRole('button', { name: 'Pause' }).click(), 'Pause 10000 keys', '9500 keys paused.'],
      [async () => {
        await bar.getByRole('button', { name: 'Set group' }).click();
        await page.getByRole('dialog').getByLabel('Quota group').fill('all');
        await page.getByRole('dialog').getByRole('button', { name: 'Set group' }).click();
      }, 'Set the group of 10000 keys', '9500 keys changed their group.'],
      [async () => {
        await bar.getByRole('button', { name: 'Delete' }).click();
        await page.getByRole('dialog').getByText('and 9991 more').waitFor();
        await page.getByRole('dialog').getByRole('button', { name: 'Delete 10000 keys' }).click();
      }, 'Delete 10000 keys?', '9500 keys deleted.'],
    ]) {
      sent.length = 0;
      fails = 7;
      await begin();
      const dialog = page.getByRole('dialog', { name: title });
      await dialog.getByText(said).waitFor();
      await dialog.getByText('500 keys were not changed: The database does not answer.').waitFor();
      await dialog.getByText('9,500 / 10,000').waitFor();
      await picture(page, 'keys-bulk');
      assert.deepEqual(sent.map(({ length }) => length), Array(20).fill(500));
      assert.deepEqual(sent.flat(), ids, 'each key once');
      const lost = sent[6];
      await dialog.getByRole('button', { name: 'Try the other 500 again' }).click();
      await dialog.getByText('10,000 / 10,000').waitFor();
      assert.deepEqual(sent.slice(20), [lost]);
      await dialog.getByRole('button', { name: 'Close' }).last().click();
      await dialog.waitFor({ state: 'detached' });
    }
    assert.deepEqual(complaints.filter((text) => !/status of 503/.test(text)), []);
    await close();
  });

  test('goes on with a test that broke off, without testing a key twice', async () => {
    const { page, close } = await shown();
    let broken = 0;
    await page.route('**/api/keys/test', async (route) => {
      if (broken > 0) return route.continue();
      broken += 1;
      const { ids } = route.request().postDataJSON();
      return route.fulfill({ contentType: 'text/event-stream', body: works(ids[0]) });
    });
    await page.getByRole('button', { name: 'Test all' }).click();
    await page.getByRole('button', { name: 'Start' }).click();
    await page.getByText('1 of 11 keys were tested; the others were not:').waitFor();
    const again = page.waitForRequest('**/api/keys/test');
    await page.getByRole('button', { name: 'Go on' }).click();
    assert.equal((await again).postDataJSON().ids.length, 10);
    await page.getByText('11 / 11').waitFor();
    await close();
  });

  test('a test of all goes on past a part that fails', async () => {
    const { page, close } = await shown();
    const ids = Array.from({ length: 100 }, (_, n) => `k_${n}`);
    await page.route('**/api/keys/ids', (route) => route.fulfill({ json: { ids } }));
    const sent = [];
    await page.route('**/api/keys/test', (route) => {
      const { ids: part } = route.request().postDataJSON();
      sent.push(part);
      if (sent.length === 1) return route.fulfill(UNAVAILABLE);
      return route.fulfill({ contentType: 'text/event-stream', body: `${part.map(works).join('')}event: summary\ndata: {}\n\n` });
    });
    await page.getByRole('button', { name: 'Test all' }).click();
    await page.getByRole('button', { name: 'Start' }).click();
    await page.getByText('60 of 100 keys were tested; the others were not: The database does not answer.').waitFor();
    await page.getByText('Works: 60').waitFor();
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByText('Works: 100').waitFor();
    assert.deepEqual(sent.map(({ length }) => length), [40, 40, 20, 40]);
    await close();
  });
});
