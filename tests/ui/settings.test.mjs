// needs: chromium
// The settings, sessions, audit log and backups, on the built Worker.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { MODEL, PASSWORD, startPool } from '../harness/rondo.mjs';
import { assertFits, launch, picture } from './browser.mjs';
import { assertAccessible, openSignedIn } from './signed-in.mjs';

describe('the settings', () => {
  let pool;
  let browser;
  let has;
  const card = (page, title) => page.locator('.card', { has: page.getByRole('heading', { name: title, exact: true }) });
  const settings = () => pool.admin('GET', '/api/settings');

  /** Answers in the shapes of the contract for calls that the Worker under test does not have. */
  async function standIn(page) {
    if (has) return;
    let others = [{ id: 'b2c1d0e9f8a7b6c5', created_at: '2026-11-20T08:00:00Z', expires_at: '2026-11-27T08:00:00Z', current: false }, { id: '77aa00ffee112233', created_at: '2026-11-19T08:00:00Z', expires_at: '2026-11-26T08:00:00Z', current: false }];
    const own = { id: 'a0b1c2d3e4f50617', created_at: new Date().toISOString(), expires_at: new Date(Date.now() + 6e8).toISOString(), current: true };
    const wrong = { status: 401, contentType: 'application/problem+json', body: JSON.stringify({ type: 'urn:rondo:problem:wrong-password', title: 'Wrong password', status: 401, detail: 'the password is not right' }) };
    await page.route('**/api/sessions', (route) => route.fulfill({ json: { items: [own, ...others] } }));
    await page.route('**/api/sessions/end_others', (route) => { others = []; return route.fulfill({ json: { ended: 2 } }); });
    await page.route(/\/api\/sessions\/[0-9a-f]{16}$/, (route) => { others = others.filter(({ id }) => !route.request().url().endsWith(id)); return route.fulfill({ status: 204 }); });
    await page.route('**/api/backup', (route) => route.fulfill(route.request().postDataJSON().password === PASSWORD
      ? { json: { rondo_backup: 1, made_at: '2026-11-21T10:00:00Z', keys: [{ key: 'csk-x' }], tokens: [], digest_check: 'x', pools: [{}], policy: 'rotate', settings: {} } }
      : wrong));
    await page.route('**/api/restore', (route) => route.fulfill({ json: { keys: { added: 0, duplicate: 1, failed: 0 }, tokens: { added: 0, duplicate: 0, skipped: 2 }, pools: 1, settings: true, notes: ['tokens are left out: they belong to another digest key'] } }));
  }
  const enter = async (hash, options) => {
    const opened = await openSignedIn(browser, pool.rondo.url, '#/connect', options);
    await standIn(opened.page);
    await opened.page.evaluate((hash) => { location.hash = hash; }, hash);
    return opened;
  };
  before(async () => {
    pool = await startPool({ keys: 2 });
    has = (await pool.admin('GET', '/api/sessions', undefined, { expect: [200, 404] })).status !== 404;
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await pool?.stop();
  });

  test('a section saves what was changed in it and nothing else', async () => {
    const { page, complaints, close } = await enter('#/settings?tab=timing');
    const waits = card(page, 'Waits and attempts');
    const wait = waits.getByLabel('Longest wait (ms)');
    await wait.fill('700000');
    await waits.getByText('A whole number from 0 to 600,000.').waitFor();
    await waits.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Not saved: correct the marked fields first.').waitFor();
    await wait.fill('30,000');
    await page.getByLabel('Silence (ms)').fill('45000');
    await waits.getByText('Not saved yet').waitFor();
    await picture(page, 'settings-unsaved');
    await waits.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Saved: Waits and attempts.').waitFor();
    assert.equal((await settings()).max_wait_ms, 30_000);
    assert.equal((await settings()).timeouts.silence_ms, 30_000, 'the other section is not saved');
    // It is still there after another tab and another page.
    await page.getByRole('tab', { name: 'Audit log' }).click();
    await page.getByRole('tab', { name: 'Waits and timeouts (unsaved)' }).waitFor();
    await page.getByRole('link', { name: 'Models' }).click();
    await page.getByRole('link', { name: 'Settings' }).click();
    await page.getByRole('tab', { name: 'Waits and timeouts (unsaved)' }).click();
    assert.equal(await page.getByLabel('Silence (ms)').inputValue(), '45000');
    await card(page, 'Timeouts').getByRole('button', { name: 'Save' }).click();
    await page.getByText('Saved: Timeouts.').waitFor();
    assert.equal((await settings()).timeouts.silence_ms, 45_000);
    await card(page, 'Timeouts').getByRole('button', { name: 'Use defaults' }).click();
    await card(page, 'Timeouts').getByRole('button', { name: 'Discard' }).click();
    assert.equal(await page.getByLabel('Silence (ms)').inputValue(), '45000');
    assert.deepEqual(complaints, []);
    await close();
  });

  test('an error of the API is shown at the field that it names', async () => {
    const { page, complaints, close } = await enter('#/settings?tab=timing');
    await page.route('**/api/settings', (route) => (route.request().method() === 'PATCH'
      ? route.fulfill({ status: 400, contentType: 'application/problem+json', body: JSON.stringify({ type: 'x', title: 'Bad request', status: 400, field: 'timeouts.total_ms', detail: 'timeouts.total_ms: must be something else' }) })
      : route.continue()));
    await page.getByLabel('Whole request (ms)').fill('1000');
    await card(page, 'Timeouts').getByRole('button', { name: 'Save' }).click();
    await page.locator('.field', { has: page.getByLabel('Whole request (ms)') }).getByText('must be something else').waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('public access is warned of and asked for', async () => {
    const { page, complaints, close } = await enter('#/settings');
    const access = card(page, 'Access');
    await access.getByLabel('Anyone').check();
    await access.getByText('Anyone who knows the address').waitFor();
    await access.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    assert.equal((await settings()).access_mode, 'token');
    await access.getByRole('button', { name: 'Save' }).click();
    await picture(page, 'settings-public');
    await page.getByRole('button', { name: 'Make it public' }).click();
    await page.getByText('Saved: Access.').waitFor();
    assert.equal((await settings()).access_mode, 'public');
    await access.getByLabel('Clients with a token').check();
    await access.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Not saved yet').waitFor({ state: 'detached' });
    assert.equal((await settings()).access_mode, 'token');
    await card(page, 'Models').getByLabel('Rotate').check();
    await card(page, 'Models').getByRole('button', { name: 'Save' }).click();
    await page.getByText('Saved: Models.').waitFor();
    assert.equal((await settings()).model_policy, 'rotate');
    assert.deepEqual(complaints, []);
    await close();
  });

  test('limits are added, checked, removed and undone', async () => {
    const { page, complaints, close } = await enter('#/settings?tab=limits');
    await page.getByText('No limit is set by hand').waitFor();
    await page.getByRole('button', { name: 'Add a limit' }).click();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Set at least one figure, or remove the row.').waitFor();
    const first = page.getByRole('group', { name: 'Limit 1' });
    await first.getByLabel('Model').fill(MODEL);
    await first.getByLabel('Requests/min').fill('many');
    await first.getByText('A whole number.').waitFor();
    await first.getByLabel('Requests/min').fill('30');
    await first.getByLabel('Tokens/day').fill('1,000,000');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Saved: Limit overrides.').waitFor();
    assert.deepEqual((await settings()).limit_overrides, [{ group: '', model: MODEL, requests_per_minute: 30, tokens_per_day: 1_000_000 }]);
    await picture(page, 'settings-limits');
    await page.getByRole('button', { name: 'Remove limit 1' }).click();
    await page.getByRole('button', { name: 'Undo' }).click();
    await first.waitFor();
    await page.getByRole('button', { name: 'Remove limit 1' }).click();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Not saved yet').waitFor({ state: 'detached' });
    assert.deepEqual((await settings()).limit_overrides, []);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('the password is changed here and this session goes on', async () => {
    const { page, complaints, close } = await enter('#/settings?tab=security');
    const form = card(page, 'Change the password');
    const fill = async (current, next, again = next) => {
      await form.getByLabel('Current password').fill(current);
      await form.getByLabel('New password', { exact: true }).fill(next);
      await form.getByLabel('New password again').fill(again);
      await form.getByRole('button', { name: 'Change password' }).click();
    };
    const NEXT = 'another horse battery staple';
    await fill(PASSWORD, 'short', 'shorter');
    await form.getByText('At least 8 characters.', { exact: true }).waitFor();
    await form.getByText('The two are not the same.').waitFor();
    await fill('not the password', NEXT);
    await form.getByText('That password is not right.').waitFor();
    await fill(PASSWORD, NEXT);
    await page.getByText('The password is changed. Every other session has ended.').waitFor();
    await page.getByRole('tab', { name: 'Audit log' }).click();
    await page.getByText('Password changed').first().waitFor();
    await page.getByRole('tab', { name: 'Password and sessions' }).click();
    await fill(NEXT, PASSWORD);
    await page.getByText('The password is changed. Every other session has ended.').waitFor();
    pool.forgetSession();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('sessions are listed; others end, one or all', async () => {
    await Promise.all([1, 2].map(() => pool.rondo.fetch('/api/auth/login', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ password: PASSWORD }) })));
    const { page, complaints, close } = await enter('#/settings?tab=security');
    await page.getByText('This one', { exact: true }).waitFor();
    const rows = card(page, 'Sessions').locator('tbody tr');
    const before = await rows.count();
    assert.ok(before >= 3);
    await rows.nth(1).getByRole('button').click();
    await page.getByRole('dialog').getByRole('button', { name: 'End', exact: true }).click();
    await page.getByText('The session has ended.').waitFor();
    await page.waitForFunction((n) => document.querySelectorAll('tbody tr').length === n, before - 1);
    await page.getByRole('button', { name: 'End all others' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'End all others' }).click();
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
    await page.getByText('This one', { exact: true }).waitFor();
    pool.forgetSession();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a backup is downloaded for the password, and restored after a look at what it would do', async () => {
    const { page, complaints, close } = await enter('#/settings?tab=backup');
    const backup = card(page, 'Make a backup');
    await backup.getByLabel('Current password').fill('not the password');
    await backup.getByRole('button', { name: 'Download backup' }).click();
    await backup.getByText('That password is not right.').waitFor();
    await backup.getByLabel('Current password').fill(PASSWORD);
    const [file] = await Promise.all([page.waitForEvent('download'), backup.getByRole('button', { name: 'Download backup' }).click()]);
    assert.match(file.suggestedFilename(), /^rondo-backup-\d{4}-\d\d-\d\d\.json$/);
    const text = readFileSync(await file.path(), 'utf8');
    assert.equal(JSON.parse(text).rondo_backup, 1);

    const restore = card(page, 'Restore a backup');
    await restore.getByLabel('Backup file').setInputFiles({ name: 'x.json', mimeType: 'application/json', buffer: Buffer.from('{"a":1}') });
    await restore.getByText('That is not a backup of Rondo.').waitFor();
    await restore.getByLabel('Backup file').setInputFiles({ name: file.suggestedFilename(), mimeType: 'application/json', buffer: Buffer.from(text) });
    await restore.getByLabel('Current password').fill(PASSWORD);
    await restore.getByRole('button', { name: 'Check' }).click();
    await restore.getByText('What would be done').waitFor();
    await picture(page, 'settings-restore');
    await assertAccessible(page);
    await restore.getByRole('button', { name: 'Restore', exact: true }).click();
    await restore.getByText('What was done').waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  for (const [locale, title] of [['en-US', 'Settings'], ['zh-CN', '设置']]) {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [360, 1280]) {
        test(`each tab fits and is accessible (${locale}, ${colorScheme}, ${width} px)`, async () => {
          await pool.admin('PATCH', '/api/settings', { limit_overrides: [{ group: 'team-a', model: MODEL, tokens_per_minute: 60_000 }, { group: '', model: '', requests_per_minute: 30 }] });
          const { page, complaints, close } = await enter('#/settings', { locale, colorScheme, viewport: { width, height: 860 } });
          await page.getByRole('heading', { name: title, level: 1 }).waitFor();
          for (const tab of ['requests', 'timing', 'limits', 'security', 'audit', 'backup', 'about']) {
            await page.evaluate((tab) => { location.hash = `#/settings?tab=${tab}`; }, tab);
            await page.locator(`[role=tab][id$="-${tab}"][aria-selected=true]`).waitFor();
            await page.waitForSelector('.settings .card');
            await page.waitForFunction(() => !document.querySelector('.skeleton'));
            await assertFits(page);
            await picture(page, `settings-${tab}-${locale}-${colorScheme}-${width}`);
            await assertAccessible(page);
          }
          assert.deepEqual(complaints, []);
          await close();
        });
      }
    }
  }
});
