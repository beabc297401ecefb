// needs: chromium
// Every text that a person, a client or an upstream can put on a page, with what has broken pages before: it is shown
// as it was typed, in its own direction; nothing runs, leaves the origin or widens the page, and what is too long is
// said and not cut.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CONTROLS, HOSTILE, LONG } from '../harness/texts.mjs';
import { keyName, MODEL, PASSWORD, startPool } from '../harness/rondo.mjs';
import { launch, open, picture } from './browser.mjs';
import { openAt } from './signed-in.mjs';
import { assertShown, assertSound, NARROW, watch } from './texts.mjs';

const NAMES = Object.values(HOSTILE);
const { markup: MARKUP, 'turned around': TURNED, 'right to left': RTL } = HOSTILE;
/** What a model's id can hold. */
const MARKUP_MODEL = '<img/src=x/onerror=globalThis.broken=1>"\'%${x}{{y}}';
const LONG_MODEL = 'm'.repeat(256);
const encode = encodeURIComponent;

describe('texts on every page', () => {
  let pool;
  let browser;
  let tokens;
  let page;
  let close;
  let complaints;
  before(async () => {
    const models = [MODEL, { id: MARKUP_MODEL, name: MARKUP }, { id: LONG_MODEL, name: `${TURNED} ${RTL}` }];
    pool = await startPool({ keys: NAMES.length, sim: { models, limits: 'free', recordBodies: true }, worker: { bindings: { CEREBRAS_API_KEYS: undefined } } });
    // Every second one in a group of that name, the others in groups of their own.
    for (const [n, text] of NAMES.entries()) await pool.admin('POST', '/api/keys', { key: keyName(n), label: text, ...(n % 2 ? {} : { group: text }) });
    const rows = await pool.keys();
    tokens = [];
    for (const name of NAMES) tokens.push(await pool.admin('POST', '/api/tokens', { name }));
    await pool.admin('POST', '/api/tokens', { name: 'limited', models: NAMES });
    await pool.admin('PUT', '/api/models/__proto__', { members: [MODEL] });
    await pool.admin('PUT', '/api/models/constructor', { members: [MARKUP_MODEL, LONG_MODEL] });
    await pool.admin('POST', '/api/models/catalog/refresh');
    await pool.admin('PATCH', '/api/settings', { limit_overrides: NAMES.map((text) => ({ group: text, model: text, tokens_per_day: 5_000_000 })) });
    await pool.admin('POST', '/api/keys/group', { ids: [rows.get(keyName(0)).id], group: HOSTILE.placeholders });
    await pool.admin('POST', '/api/keys/group', { ids: [rows.get(keyName(0)).id], group: MARKUP });
    for (const [n, text] of [...NAMES, ...Object.values(CONTROLS)].entries()) {
      const response = await pool.chat({ model: text, max_completion_tokens: 50 }, { token: tokens[n % tokens.length].token, headers: { 'x-request-id': `hostile-${n}` } });
      assert.equal(response.status, 200, await response.text());
    }
    await pool.rondo.coordinator('/flush', { method: 'POST' });
    browser = await launch();
    ({ page, close, complaints } = await openAt(browser, pool.rondo.url, '#/keys', { ...NARROW, prepare: watch }));
  });
  after(async () => {
    await close?.();
    await browser?.close();
    await pool?.stop();
  });
  /** Another address of the same page. */
  const at = async (hash, selector, of = page) => {
    await of.evaluate((hash) => { location.hash = hash; }, hash);
    await of.locator(selector).first().waitFor();
  };
  const dialog = () => page.locator('dialog[open]').last();

  test('Keys: the list, a filter, one key, its dialogs', async () => {
    await at('#/keys', '.keys-list tbody tr');
    await assertShown(page, NAMES, 'the list');
    await assertSound(page, 'the list');
    await picture(page, 'texts-keys');
    for (const text of [MARKUP, TURNED, HOSTILE['signs of patterns']]) {
      await at(`#/keys?q=${encode(text)}`, '.keys-list tbody tr');
      await page.waitForFunction(() => document.querySelectorAll('.keys-list tbody tr').length === 1);
      assert.equal(await page.getByRole('searchbox', { name: 'Search' }).inputValue(), text);
    }
    const { items } = await pool.admin('GET', '/api/keys?per_page=200');
    const turned = items.find(({ label }) => label === TURNED);
    await at(`#/keys?id=${turned.id}`, 'dialog[open] dl');
    await assertShown(page, [TURNED], 'one key', 'dialog[open]');
    await assertSound(page, 'one key');
    await dialog().getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog', { name: 'Delete this key?' }).waitFor();
    await assertSound(page, 'the question');
    await picture(page, 'texts-keys-delete');
    await page.getByRole('button', { name: 'Cancel' }).click();
    await dialog().getByRole('button', { name: 'Edit' }).click();
    assert.equal(await dialog().getByLabel('Label').inputValue(), TURNED);
    for (const [name, most] of [['Label', '200'], ['Quota group', '100']]) {
      await dialog().getByLabel(name, { exact: true }).fill(LONG);
      await dialog().getByRole('button', { name: 'Save' }).click();
      await dialog().getByText(`10,239 characters; at most ${most} fit.`).waitFor();
      assert.equal(await dialog().getByLabel(name, { exact: true }).inputValue(), LONG, 'it is not cut');
      await dialog().getByLabel(name, { exact: true }).fill('short');
    }
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
    // A text of the address that no call takes is said, not cut.
    await at(`#/keys?q=${encode(LONG)}`, '[role=alert]:has-text("at most 200 characters")');
    await assertSound(page, 'a long search');
    await at(`#/keys?id=${encode(MARKUP)}`, 'dialog[open]');
    await dialog().getByText('There is no such key (any more).').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Add keys' }).click();
    await page.getByRole('tab', { name: 'Many keys' }).click();
    await dialog().getByRole('textbox', { name: 'Keys' }).fill(`${NAMES.join('\n')}\n${LONG}\n<img/src=x/onerror=broken=1>0123456789`);
    await dialog().getByText(/pieces are not keys|pieces? (is|are) not/).waitFor();
    await assertSound(page, 'pasted keys');
    await page.keyboard.press('Escape');
  });

  test('Tokens: the list, messages, and a form that takes nothing too long', async () => {
    await at('#/tokens', '.tokens-name');
    await assertShown(page, NAMES, 'the list');
    await assertSound(page, 'the list');
    await picture(page, 'texts-tokens');
    for (const text of [MARKUP, TURNED]) {
      const row = page.locator('tbody tr').filter({ hasText: text }).first();
      await row.getByRole('button', { name: /^Pause/ }).click();
      await page.locator('.toast').filter({ hasText: 'is paused: calls with it are refused.' }).first().waitFor();
      await assertSound(page, 'a message');
      await page.getByRole('button', { name: 'Undo' }).last().click();
      await row.getByText('Active').waitFor();
      await row.getByRole('button', { name: /^Revoke/ }).click();
      await dialog().getByRole('button', { name: 'Cancel' }).waitFor();
      await assertSound(page, 'the question');
      await dialog().getByRole('button', { name: 'Cancel' }).click();
      await row.locator('.tokens-open').click();
      assert.equal(await dialog().getByLabel('Name').inputValue(), text);
      await page.keyboard.press('Escape');
    }
    await page.locator('.tokens-open', { hasText: 'limited' }).click();
    await assertShown(page, NAMES, 'models of a token', 'dialog[open]');
    await assertSound(page, 'models of a token');
    await page.keyboard.press('Escape');

    await page.getByRole('button', { name: 'New token' }).click();
    await dialog().getByLabel('Models', { exact: true }).selectOption('some');
    await dialog().getByText('Use a value of my own').click();
    for (const [label, most] of [['Name', '100'], ['Another model or alias', '256'], ['Own value', '512']]) {
      await dialog().getByLabel(label).fill(LONG);
      await dialog().getByText(`10,239 characters; at most ${most} fit.`).waitFor();
      assert.equal(await dialog().getByLabel(label).inputValue(), LONG, 'it is not cut');
      if (label === 'Another model or alias') assert.ok(await dialog().getByRole('button', { name: 'Add', exact: true }).isDisabled());
      else {
        await dialog().getByRole('button', { name: 'Make token' }).click();
        await dialog().locator('.field.wrong').first().waitFor();
      }
      await dialog().getByLabel(label).fill('');
    }
    assert.equal((await pool.admin('GET', '/api/tokens?per_page=200')).total, NAMES.length + 2);
    await dialog().getByLabel('Name').fill(CONTROLS.escape);
    await dialog().getByLabel('Models', { exact: true }).selectOption('all');
    await dialog().getByRole('button', { name: 'Make token' }).click();
    await dialog().getByText(/must not hold control characters/).waitFor();
    await dialog().getByLabel('Name').fill(RTL);
    await dialog().getByRole('button', { name: 'Make token' }).click();
    await page.locator('#new-token').waitFor();
    await assertSound(page, 'a new token');
    await picture(page, 'texts-tokens-made');
    await page.getByRole('button', { name: 'I have saved it' }).click();
  });

  test('Models: names of the provider, aliases called like parts of JavaScript', async () => {
    await at('#/models', '.models-listed');
    await assertShown(page, [MARKUP_MODEL, LONG_MODEL, MARKUP], 'the page');
    await assertSound(page, 'the page');
    await picture(page, 'texts-models');
    for (const name of ['__proto__', 'constructor']) {
      const card = page.getByRole('region', { name, exact: true });
      await card.getByLabel('Order of use').selectOption('order');
      await card.getByText('Unsaved changes').waitFor();
      await card.getByRole('button', { name: 'Save' }).click();
      await page.getByText(`“${name}” is saved.`).waitFor();
      await card.getByText('Unsaved changes').waitFor({ state: 'detached' });
      const { pools } = await pool.admin('GET', '/api/models');
      assert.equal(pools.find((one) => one.name === name).strategy, 'order');
    }
    const search = page.getByRole('searchbox', { name: 'Search models' });
    for (const text of [MARKUP, TURNED, '%']) {
      await search.fill(text);
      await assertSound(page, `the search for ${text}`);
    }
    await search.fill('nothing <b>like</b> it');
    await page.getByText('No model is found by “nothing <b>like</b> it”.').waitFor();
    await search.fill(LONG);
    await page.getByText('10,239 characters; at most 200 fit.').waitFor();
    await assertSound(page, 'a long search');
    await search.fill('');
    await page.getByRole('button', { name: 'New alias' }).click();
    await dialog().getByLabel('First model').fill(MODEL);
    for (const [text, said] of [[LONG, '10,239 characters; at most 64 fit.'], ['<b>x</b>', '1 to 64 letters'], [RTL, '1 to 64 letters'], ['a/../b', 'A part between slashes'], ['..', 'A part between slashes']]) {
      await dialog().getByLabel('Name').fill(text);
      if (text !== LONG) await dialog().getByRole('button', { name: 'Create' }).click();
      await dialog().locator('.field-error', { hasText: said }).waitFor();
    }
    await page.keyboard.press('Escape');
    const first = page.getByRole('region', { name: 'default', exact: true });
    await first.getByLabel('Add a model').fill(LONG);
    await first.getByText('10,239 characters; at most 256 fit.').waitFor();
    await first.getByLabel('Add a model').fill(TURNED);
    await first.getByRole('button', { name: 'Add', exact: true }).click();
    await first.getByText('A model’s name is 1 to 256 visible ASCII characters').waitFor();
    await first.getByLabel('Add a model').fill('');
    await assertSound(page, 'the forms');
  });

  test('Requests: what clients asked for, stories, and parameters of the address', async () => {
    await at('#/requests', '.requests-list tbody tr');
    await page.locator('a[href*="hostile-0"]').waitFor();
    await assertShown(page, NAMES, 'tokens of requests', '.requests-list');
    await assertSound(page, 'the list');
    await picture(page, 'texts-requests');
    for (const [n, text] of [...NAMES, ...Object.values(CONTROLS)].entries()) {
      await at(`#/requests?id=hostile-${n}`, 'dialog[open] dl');
      await assertShown(page, [text], `the story ${n}`, 'dialog[open]');
      await dialog().locator('.requests-facts').first().waitFor();
      await assertSound(page, `the story ${n}`);
    }
    await picture(page, 'texts-story');
    await at(`#/requests?model=${encode(MARKUP)}`, '.requests-list tbody tr');
    await page.waitForFunction(() => document.querySelectorAll('.requests-list tbody tr').length === 1);
    assert.equal(await page.getByLabel('Model').inputValue(), MARKUP);
    for (const [hash, said] of [[`status=${encode(MARKUP)}`, 'must be ok, error or a status'], [`model=${encode(LONG)}`, 'must be at most 256 bytes'], [`token=${encode(LONG)}`, 'must be at most 128 bytes']]) {
      await at(`#/requests?${hash}`, `[role=alert]:has-text("${said}")`);
      await assertSound(page, hash.slice(0, 40));
    }
    await at(`#/requests?id=${encode(LONG)}`, 'dialog[open]');
    await page.getByText('This request is not kept any more').waitFor();
    await assertSound(page, 'a long id');
  });

  test('Overview: groups by what their keys are called, the busiest tokens and models', async () => {
    await at('#/overview', '.overview-group');
    await page.getByRole('button', { name: /^Show \d+ more/ }).click();
    const shown = await page.locator('.overview-group strong > bdi').allTextContents();
    assert.ok(shown.length >= 5 && shown.every((text) => NAMES.includes(text)), JSON.stringify(shown));
    assert.equal(await page.getByText(/k_[0-9a-f]{16}/).count(), 0, 'no row id is shown');
    await assertShown(page, [...new Set(shown)], 'the gauge');
    await page.locator('.overview-busy a').first().waitFor();
    const busiest = await page.locator('.overview-busy a').allTextContents();
    assert.ok(busiest.some((text) => NAMES.includes(text)), JSON.stringify(busiest));
    await assertShown(page, busiest, 'the busiest');
    await assertSound(page, 'the page');
    await picture(page, 'texts-overview');
  });

  test('Connect: names in its lists, a pasted value, what is searched', async () => {
    const token = tokens[NAMES.indexOf(TURNED)];
    await at(`#/connect?token=${token.id}&tool=${encode(MARKUP)}`, '.connect-guide');
    const value = page.getByLabel('Value of the token');
    for (const text of NAMES) {
      await value.fill(text);
      await assertSound(page, 'a pasted value');
    }
    await value.fill(LONG.replaceAll(' ', ''));
    await page.getByText('8,192 characters; at most 512 fit.').waitFor();
    await assertSound(page, 'a long value');
    await value.fill('');
    const search = page.getByRole('searchbox', { name: 'Search tools' });
    if (await search.isVisible()) {
      await search.fill(MARKUP);
      await assertSound(page, 'the search');
      await search.fill('');
    }
  });

  test('Playground: what is said, the system’s message, the model of the address', async () => {
    await at(`#/playground?model=${encode(MARKUP)}`, '.playground-composer');
    await page.locator('.playground-options summary').click();
    await page.getByLabel('System message').fill(NAMES.join('\n'));
    for (const text of [NAMES.join('\n'), `${TURNED} ${CONTROLS.NUL}`, LONG]) {
      const before = await page.locator('.playground-turn').count();
      await page.getByRole('textbox', { name: 'Message', exact: true }).fill(text);
      await page.keyboard.press('Control+Enter');
      await page.waitForFunction((n) => document.querySelectorAll('.playground-figures').length > n, before);
      await assertShown(page, [text], 'a turn');
      await assertSound(page, 'a turn');
      const { messages } = JSON.parse(pool.sim.records.at(-1).body.toString());
      assert.equal(messages.at(-1).content, text);
      assert.equal(messages[0].content, NAMES.join('\n'));
    }
    await picture(page, 'texts-playground');
  });

  test('Settings: rows of limits, the audit log, a backup that is none', async () => {
    await at('#/settings?tab=limits', '.settings-row');
    for (const [n, text] of NAMES.entries()) {
      const row = page.getByRole('group', { name: `Limit ${n + 1}`, exact: true });
      assert.deepEqual([await row.getByLabel('Quota group').inputValue(), await row.getByLabel('Model').inputValue()], [text, text]);
    }
    await assertSound(page, 'limits');
    const first = page.getByRole('group', { name: 'Limit 1', exact: true });
    for (const [label, most] of [['Quota group', '100'], ['Model', '256']]) {
      await first.getByLabel(label).fill(LONG);
      await first.getByText(`10,239 characters; at most ${most} fit.`).waitFor();
      await page.getByRole('button', { name: 'Save' }).click();
      await page.locator('.notice[role=alert]', { hasText: `must be at most ${most}` }).waitFor();
      await first.getByLabel(label).fill(MARKUP);
    }
    await at('#/settings?tab=audit', '.settings-detail');
    await assertShown(page, [`1 keys into ${HOSTILE.placeholders}`, `1 keys into ${MARKUP}`], 'the audit log');
    await assertSound(page, 'the audit log');
    await picture(page, 'texts-audit');
    await at('#/settings?tab=backup', 'input[type=file]');
    const file = page.getByLabel('Backup file');
    for (const [name, text] of [[`${MARKUP.replaceAll('/', '')}.json`, MARKUP], ['x.json', '['.repeat(50_000)], [`${'n'.repeat(240)}.json`, JSON.stringify({ rondo_backup: 1, [MARKUP]: LONG })]]) {
      await file.setInputFiles({ name, mimeType: 'application/json', buffer: Buffer.from(text) });
      await assertSound(page, name);
    }
    await page.locator('.card', { hasText: 'Restore a backup' }).getByLabel('Current password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Check' }).click();
    await page.locator('.card', { hasText: 'Restore a backup' }).locator('[role=alert]', { hasText: 'is not a field of this call' }).waitFor();
    await assertSound(page, 'a wrong backup');
    await picture(page, 'texts-restore');
  });

  test('addresses that mean nothing lead to a page that works', async () => {
    for (const hash of [`#/${MARKUP}`, `#/overview?period=${encode(MARKUP)}`, `#/settings?tab=${encode(LONG)}`, '#/settings?tab=audit&page=-5', '#/tokens?page=1e9', `#/keys?sort=${encode(MARKUP)}&page=NaN&status=constructor&per_page=__proto__`, '#/requests?__proto__=1&status=429', '#/%', '#/keys?q=%']) {
      await at('#/connect', '.connect-guide');
      await at(hash, '.shell h1');
      await page.waitForFunction(() => !document.querySelector('.shell .skeleton'));
      assert.equal(await page.getByText('This page could not be loaded.').count(), 0, hash);
      await assertSound(page, hash.slice(0, 60));
    }
    assert.deepEqual(complaints, []);
  });

  // The other tests write and read in English and light.
  for (const [locale, colorScheme] of [['en-US', 'dark'], ['zh-CN', 'light'], ['zh-CN', 'dark']]) {
    test(`every page shows them (${locale}, ${colorScheme})`, async () => {
      const { page: other, complaints: said, close: leave } = await openAt(browser, pool.rondo.url, '#/keys', { ...NARROW, locale, colorScheme, prepare: watch });
      const turned = (await pool.admin('GET', '/api/keys?per_page=200')).items.find(({ label }) => label === TURNED);
      const group = other.locator('.overview-group strong > bdi');
      for (const [hash, selector, shown, scope] of [
        ['#/keys', '.keys-list tbody tr', NAMES],
        [`#/keys?id=${turned.id}`, 'dialog[open] dl', [TURNED], 'dialog[open]'],
        ['#/tokens', '.tokens-name', NAMES],
        ['#/models', '.models-listed', [MARKUP_MODEL, LONG_MODEL, MARKUP]],
        ['#/requests', 'a[href*="hostile-"]', NAMES, '.requests-list'],
        ...NAMES.map((text, n) => [`#/requests?id=hostile-${n}`, 'dialog[open] dl', [text], 'dialog[open]']),
        ['#/overview', '.overview-busy a', () => group.allTextContents()],
        ['#/settings?tab=audit', '.settings-detail', [`1 keys into ${MARKUP}`]],
        [`#/connect?token=${tokens[NAMES.indexOf(TURNED)].id}`, '.connect-guide', []],
        [`#/playground?model=${encode(MARKUP)}`, '.playground-composer', []],
      ]) {
        await at(hash, selector, other);
        const texts = typeof shown === 'function' ? await shown() : shown;
        assert.ok(texts.every((text) => text.length > 0));
        await assertShown(other, [...new Set(texts)], hash, scope);
        await assertSound(other, hash);
        if (hash === '#/overview') await picture(other, `texts-overview-${locale}-${colorScheme}`);
      }
      await at('#/settings?tab=limits', '.settings-row', other);
      const values = await other.locator('.settings-row input').evaluateAll((inputs) => inputs.map(({ value }) => value));
      assert.deepEqual(NAMES.filter((text) => !values.includes(text)), []);
      await assertSound(other, 'limits');
      await picture(other, `texts-limits-${locale}-${colorScheme}`);
      assert.equal(await other.evaluate(() => document.documentElement.lang), locale === 'zh-CN' ? 'zh-Hans' : 'en');
      assert.deepEqual(said, []);
      await leave();
    });
  }

  test('the log-in says that a password is wrong, or too long', async () => {
    const { page: out, complaints: said, close: leave } = await open(browser, pool.rondo.url, { ...NARROW, prepare: watch });
    await out.getByLabel('Password').fill(MARKUP);
    await out.getByRole('button', { name: 'Log in' }).click();
    await out.getByText('That password is not right.').waitFor();
    await out.getByLabel('Password').fill(LONG);
    await out.getByRole('button', { name: 'Log in' }).click();
    await out.getByText(/1024 bytes|1,024 bytes/).waitFor();
    await assertSound(out, 'the log-in');
    assert.deepEqual(said, []);
    await leave();
  });
});
