// needs: chromium
// The page Tokens: making, changing, pausing and revoking, on the built Worker.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startPool } from '../harness/rondo.mjs';
import { assertFits, launch, picture } from './browser.mjs';
import { fromPage } from './bundle.mjs';
import { assertAccessible, openAt, VIEWS } from './signed-in.mjs';

describe('what a token’s form sends', async () => {
  const { bodyOf, formOf, localTime, stateOf, wholeNumber } = await fromPage('pages/tokens/form.ts');
  const now = Date.parse('2026-11-21T12:00:00Z');
  const form = (part = {}) => ({ ...formOf(), name: ' mine ', ...part });
  const limits = (part) => ({ ...formOf().limits, ...part });

  test('all that is set, and null for what is empty', () => {
    const { body } = bodyOf(form({ expiry: '30', limits: limits({ requests_per_minute: '1,000' }), models: ['a'], own: 'an-older-proxys-token' }), now);
    assert.deepEqual(body, {
      name: 'mine', expires_at: '2026-12-21T12:00:00.000Z', models: ['a'], metrics: false, requests_per_minute: 1000,
      tokens_per_minute: null, tokens_per_day: null, tokens_per_month: null, max_concurrent: null, token: 'an-older-proxys-token',
    });
  });

  test('of a change only what is other than before', () => {
    const token = { name: 'mine', expires_at: '2027-01-31T12:00:30Z', models: null, metrics: false, requests_per_minute: 5, tokens_per_minute: null, tokens_per_day: null, tokens_per_month: null, max_concurrent: null };
    assert.deepEqual(bodyOf(formOf(token), now, token).body, {});
    assert.deepEqual(bodyOf({ ...formOf(token), expiry: 'never', limits: limits({}) }, now, token).body, { expires_at: null, requests_per_minute: null });
    const over = { ...token, expires_at: '2026-01-01T00:00:00Z' };
    assert.deepEqual(bodyOf({ ...formOf(over), name: 'other' }, now, over).body, { name: 'other' }, 'an expired token can be renamed');
  });

  test('what is wrong is named by its field', () => {
    for (const [part, wrong] of [
      [{ name: ' ' }, { name: 'name' }],
      [{ name: 'x'.repeat(101) }, { name: 'name' }],
      [{ expiry: 'at', at: '' }, { expires_at: 'time' }],
      [{ expiry: 'at', at: localTime(now - 60_000) }, { expires_at: 'past' }],
      [{ models: [] }, { models: 'none' }],
      [{ limits: limits({ tokens_per_day: '1.5' }) }, { tokens_per_day: 'number' }],
      [{ own: 'short' }, { token: 'short' }],
      [{ own: 'with a space in it' }, { token: 'characters' }],
    ]) assert.deepEqual(bodyOf(form(part), now).wrong, wrong);
  });

  test('numbers and states', () => {
    assert.deepEqual(['5', '1 000', '1,000,000', '0', '-1', '1e3', 'x', '9'.repeat(20)].map(wholeNumber), [5, 1000, 1_000_000, null, null, null, null, null]);
    assert.equal(stateOf({ enabled: false, expires_at: '2026-01-01T00:00:00Z' }, now), 'expired');
    assert.equal(stateOf({ enabled: false, expires_at: null }, now), 'paused');
    assert.equal(stateOf({ enabled: true, expires_at: '2027-01-01T00:00:00Z' }, now), 'active');
  });
});

describe('the page Tokens', () => {
  let pool;
  let browser;
  before(async () => {
    pool = await startPool({ keys: 2 });
    await pool.admin('POST', '/api/tokens', { name: 'opencode on my laptop', requests_per_minute: 60, tokens_per_day: 2_000_000, max_concurrent: 4, expires_at: new Date(Date.now() + 12 * 86_400_000).toISOString() });
    const { id } = await pool.admin('POST', '/api/tokens', { name: '<b>Grafana</b>', metrics: true, models: ['gpt-oss-120b', 'smart', 'fast'] });
    await pool.admin('PATCH', `/api/tokens/${id}`, { enabled: false });
    for (let n = 0; n < 3; n += 1) await (await pool.chat()).text();
    await (await pool.chat({ model: 'none', stream: 'wrong' })).text();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await pool?.stop();
  });
  const named = async (name) => (await pool.admin('GET', '/api/tokens?per_page=200')).items.find((token) => token.name === name);

  test('many tokens are searched by name, % and _ meaning themselves', async () => {
    const made = [];
    for (const name of ['Plan 50%_off', ...Array.from({ length: 7 }, (_, n) => `filler ${n}`)]) made.push((await pool.admin('POST', '/api/tokens', { name })).id);
    const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/tokens');
    const search = page.getByRole('searchbox', { name: 'Search' });
    const shown = (count) => page.waitForFunction((wanted) => document.querySelectorAll('.tokens-list tbody tr').length === wanted, count);
    await search.fill('PLAN 50%_');
    await shown(1);
    await page.getByRole('button', { name: 'Plan 50%_off', exact: true }).waitFor();
    assert.ok(page.url().includes('q='), 'the search is in the address');
    await search.fill('filler');
    await shown(7);
    await search.fill('%fill');
    await page.getByText('No token fits this search').waitFor();
    await picture(page, 'tokens-no-match');
    await page.getByRole('button', { name: 'Clear search' }).click();
    await shown(11);
    assert.equal(await search.inputValue(), '');
    for (const id of made) await pool.admin('DELETE', `/api/tokens/${id}`);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a token is made with limits, shown once, changed, paused, resumed and revoked', async () => {
    const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/tokens');
    const dialog = page.getByRole('dialog');
    await page.getByRole('button', { name: 'New token' }).click();
    await dialog.getByRole('button', { name: 'Make token' }).click();
    await dialog.getByText('A name of 1 to 100 characters.').waitFor();
    await page.waitForFunction(() => document.activeElement?.getAttribute('name') === 'token-name');
    await dialog.getByLabel('Name').fill('a test');
    await dialog.getByLabel('Requests per minute').fill('1,200');
    await dialog.getByLabel('Tokens per day').fill('none');
    await dialog.getByRole('button', { name: 'Make token' }).click();
    await dialog.getByText('A whole number from 1, or nothing.').waitFor();
    await dialog.getByLabel('Tokens per day').fill('');
    await dialog.getByLabel('Models', { exact: true }).selectOption('some');
    await dialog.getByLabel('gpt-oss-120b').check();
    await dialog.getByLabel('Another model or alias').fill('my-alias');
    await dialog.getByRole('button', { name: 'Add', exact: true }).click();
    await dialog.getByLabel('Expires').selectOption('90');
    await picture(page, 'tokens-new');
    // Esc asks before what was entered is lost.
    await page.keyboard.press('Escape');
    await page.getByText('Discard what you entered?').waitFor();
    await page.getByRole('button', { name: 'Cancel' }).last().click();
    await dialog.getByRole('button', { name: 'Make token' }).click();

    const secret = await page.textContent('#new-token');
    assert.match(secret, /^rk-/);
    await picture(page, 'tokens-made');
    await page.keyboard.press('Escape');
    await page.getByText('Close without saving it?').waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'I have saved it' }).click();
    assert.equal(await page.locator('#new-token').count(), 0);
    const made = await named('a test');
    assert.deepEqual([made.requests_per_minute, made.tokens_per_day, made.models], [1200, null, ['gpt-oss-120b', 'my-alias']]);
    assert.equal((await pool.chat({}, { token: secret })).status, 200);

    await page.getByRole('button', { name: 'Edit a test' }).click();
    await dialog.getByLabel('Requests per minute').fill('');
    await dialog.getByLabel('Name').fill('a changed test');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByText('“a changed test” is saved.').waitFor();
    assert.equal((await named('a changed test')).requests_per_minute, null);

    const row = page.getByRole('row').filter({ hasText: 'a changed test' });
    await page.getByRole('button', { name: 'Pause a changed test' }).click();
    await row.getByText('Paused').waitFor();
    assert.equal((await named('a changed test')).enabled, false);
    await page.getByRole('button', { name: 'Undo' }).click();
    await row.getByText('Active').waitFor();

    await page.getByRole('button', { name: 'Revoke a changed test' }).click();
    await dialog.getByRole('listitem').getByText('a changed test').waitFor();
    await dialog.getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('“a changed test” is revoked.').waitFor();
    await row.waitFor({ state: 'detached' });
    assert.equal(await named('a changed test'), undefined);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('an own value is taken, and the second time refused in words', async () => {
    const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/tokens?new=1');
    for (const round of [1, 2]) {
      if (round === 2) await page.getByRole('button', { name: 'New token' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Name').fill(`older proxy ${round}`);
      await dialog.getByText('Use a value of my own').click();
      await dialog.getByLabel('Own value').fill('the-token-of-an-older-proxy');
      await dialog.getByRole('button', { name: 'Make token' }).click();
      if (round === 1) {
        assert.equal(await page.textContent('#new-token'), 'the-token-of-an-older-proxy');
        await page.getByRole('button', { name: 'I have saved it' }).click();
      } else await dialog.getByText('this token exists already').waitFor();
    }
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a token leads to its requests, and with its value to Connect', async () => {
    const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/tokens');
    const { id } = await named('opencode on my laptop');
    assert.equal(await page.getByRole('link', { name: 'Requests of opencode on my laptop' }).getAttribute('href'), `#/requests?token=${id}`);
    assert.equal(await page.getByRole('link', { name: 'Set up a tool with opencode on my laptop' }).getAttribute('href'), `#/connect?token=${id}`);
    await page.getByRole('button', { name: 'New token' }).click();
    await page.getByRole('dialog').getByLabel('Name').fill('for a tool');
    await page.getByRole('button', { name: 'Make token' }).click();
    const secret = await page.textContent('#new-token');
    await page.getByRole('button', { name: 'Set up a tool' }).click();
    await page.getByRole('heading', { name: 'Connect', level: 1 }).waitFor();
    await page.locator('pre', { hasText: secret }).first().waitFor();
    assert.ok(!page.url().includes(secret), 'the address holds no secret');
    assert.ok(!(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))).includes(secret), 'nor does the browser');
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a failed change is said, and nothing is pretended', async () => {
    const { page, close } = await openAt(browser, pool.rondo.url, '#/tokens');
    await page.route('**/api/tokens/*', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: '{"title":"Unavailable","detail":"the database does not answer","status":503}' }));
    await page.getByRole('button', { name: 'Pause opencode on my laptop' }).click();
    await page.getByText('the database does not answer').waitFor();
    await page.getByRole('row').filter({ hasText: 'opencode on my laptop' }).getByText('Active').waitFor();
    await page.getByRole('button', { name: 'Revoke AUTH_PASSWORD' }).click();
    await page.getByText('This token comes from the variable AUTH_PASSWORD.').waitFor();
    await close();
  });

  for (const { name, locale, options } of VIEWS) {
    test(`fits and is accessible (${name})`, async () => {
      const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/tokens', options);
      await page.locator('.tokens-name').first().waitFor();
      await assertFits(page);
      assert.equal(await page.locator('main b').count(), 0, 'what was typed is text');
      await picture(page, `tokens-${name}`);
      await assertAccessible(page, name);
      await page.getByRole('button', { name: locale === 'zh-CN' ? '新建令牌' : 'New token' }).click();
      await page.getByRole('dialog').waitFor();
      await assertFits(page);
      await picture(page, `tokens-form-${name}`);
      await assertAccessible(page, `${name}, form`);
      assert.deepEqual(complaints, []);
      await close();
    });
  }
});
