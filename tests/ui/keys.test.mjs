// needs: chromium
// The page of keys, on the built Worker over the simulator: each action, both languages, narrow and wide.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { keyName, PASSWORD, startPool } from '../harness/rondo.mjs';
import { assertFits, launch, picture } from './browser.mjs';
import { assertAccessible, openAt } from './signed-in.mjs';

const HOSTILE = [
  '<img src=x onerror="window.broken=1"><script>window.broken=1</script>',
  `"quotes" 'and' \`ticks\` & 100% %s %00 \\u0041`,
  '👩‍👩‍👧‍👦🏳️‍🌈 emoji 𝕊',
  'مفتاح الحساب الرئيسي للشركة',
  'x'.repeat(200),
];
describe('the page of keys', () => {
  let pool;
  let browser;
  let keys;
  before(async () => {
    pool = await startPool({ keys: 12, sim: { limits: 'free' }, worker: { bindings: { CEREBRAS_API_KEYS: keyName(11) } } });
    await pool.admin('GET', '/api/keys');
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await pool?.stop();
  });

  const shown = async (hash = '#/keys', options = {}) => {
    const opened = await openAt(browser, pool.rondo.url, hash, options);
    await opened.page.waitForSelector('.keys-list tbody tr');
    return opened;
  };
  const rowOf = (page, text) => page.getByRole('row').filter({ hasText: text });
  const find = async (label) => (await pool.admin('GET', '/api/keys?per_page=200')).items.find((item) => item.label === label);

  test('adds one key, says what is wrong with it, and imports many with a true summary', async () => {
    const { page, complaints, close } = await shown();
    await page.getByRole('button', { name: 'Add keys' }).click();
    const dialog = page.getByRole('dialog', { name: 'Add keys' });
    await dialog.getByLabel('API key').fill('short');
    await dialog.getByLabel('Label').fill('y'.repeat(10_240));
    await dialog.getByLabel('Weight').fill('101');
    await dialog.getByRole('button', { name: 'Add key' }).click();
    await dialog.getByText('Enter a key of at least 12 characters.').waitFor();
    await dialog.getByText('10,240 characters; at most 200 fit.').waitFor();
    await dialog.getByText('A whole number from 1 to 100.').waitFor();
    await picture(page, 'keys-add-wrong');
    await dialog.getByLabel('API key').fill(keyName(0));
    await dialog.getByLabel('Label').fill('Team Alpha');
    await dialog.getByLabel('Quota group').fill('alpha');
    await dialog.getByLabel('Weight').fill('5');
    await dialog.getByRole('button', { name: 'Add key' }).click();
    await dialog.getByText(/was added/).waitFor();
    await dialog.getByLabel('API key').fill(keyName(0));
    await dialog.getByRole('button', { name: 'Add key' }).click();
    await dialog.getByText('This key is in the pool already.').waitFor();
    assert.deepEqual((({ group, weight }) => [group, weight])(await find('Team Alpha')), ['alpha', 5]);

    await dialog.getByRole('tab', { name: 'Many keys' }).click();
    await dialog.getByLabel('Quota group of all of them').fill('beta');
    await dialog.getByRole('textbox', { name: 'Keys' }).fill(`KEYS="${[1, 2, 3, 4].map(keyName).join(',')}"\n${keyName(0)}\ncsk-no`);
    await dialog.getByText('5 keys', { exact: true }).waitFor();
    assert.ok(!(await dialog.textContent()).includes(keyName(1)), 'the preview is masked');
    await picture(page, 'keys-import');
    await dialog.getByRole('button', { name: 'Add 5 keys' }).click();
    await dialog.getByText(/4 keys added/).waitFor();
    await dialog.getByText(/1 was there already/).waitFor();
    await picture(page, 'keys-imported');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    assert.equal(await page.getByRole('row').count(), 7, 'six keys and the head');
    assert.deepEqual(complaints, []);
    await close();
  });

  test('shows labels of any kind as they were typed', async () => {
    for (const [n, label] of HOSTILE.entries()) await pool.admin('POST', '/api/keys', { key: keyName(5 + n), label, group: n === 0 ? '<b>group</b>' : null });
    keys = await pool.keys();
    const { page, complaints, close } = await shown();
    for (const label of HOSTILE) assert.equal(await page.locator('.keys-key .keys-typed').filter({ hasText: label }).count(), 1, label);
    assert.equal(await page.locator('.keys-list img, .keys-list script, .keys-list b').count(), 0);
    assert.equal(await page.evaluate(() => window.broken), undefined);
    await assertFits(page);
    await picture(page, 'keys-hostile');
    const table = await page.locator('.keys-list .table').boundingBox();
    assert.ok(table.x + table.width <= 1280, 'the table keeps its width');
    for (const label of HOSTILE) {
      await page.getByRole('searchbox', { name: 'Search' }).fill(label.slice(0, 200));
      await page.waitForFunction(() => document.querySelectorAll('.keys-list tbody tr').length === 1);
      await page.getByText(label, { exact: true }).first().waitFor();
    }
    const row = await find(HOSTILE[0]);
    await page.getByRole('searchbox', { name: 'Search' }).fill('z'.repeat(10_240));
    await page.getByText('10,240 characters; at most 200 fit.').waitFor();
    await page.goto(`${pool.rondo.url}/#/keys?id=${row.id}`);
    const side = page.getByRole('dialog');
    await side.getByText(HOSTILE[0]).waitFor();
    await side.getByText('<b>group</b>', { exact: true }).waitFor();
    await side.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog', { name: 'Delete this key?' }).getByText(/<img src=x/).waitFor();
    await picture(page, 'keys-delete');
    assert.equal(await page.evaluate(() => window.broken), undefined);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('filters, sorts and pages on the server, all of it in the address', async () => {
    const { page, complaints, close } = await shown();
    const asked = [];
    page.on('request', (request) => request.url().includes('/api/keys?') && asked.push(new URL(request.url()).searchParams));
    await page.getByRole('button', { name: 'Weight' }).click();
    await page.waitForFunction(() => location.hash.includes('sort=weight'));
    await page.getByRole('button', { name: 'Weight' }).click();
    await page.waitForFunction(() => location.hash.includes('sort=-weight'));
    await page.locator('tbody tr').first().getByText('Team Alpha').waitFor();
    await page.getByRole('searchbox', { name: 'Search' }).fill('alpha');
    await page.waitForFunction(() => document.querySelectorAll('.keys-list tbody tr').length === 1);
    await page.reload();
    await page.getByText('Team Alpha').waitFor();
    assert.equal(await page.getByRole('searchbox', { name: 'Search' }).inputValue(), 'alpha');
    assert.ok(asked.some((query) => query.get('q') === 'alpha' && query.get('sort') === '-weight'));
    await page.getByRole('link', { name: 'Invalid' }).click();
    await page.getByText('No key fits these filters').waitFor();
    await picture(page, 'keys-no-match');
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await page.locator('tbody tr').nth(5).waitFor();
    await page.locator('.keys-group', { hasText: 'beta' }).first().click();
    await page.waitForFunction(() => location.hash.includes('group=beta') && document.querySelectorAll('.keys-list tbody tr').length === 4);

    await page.route('**/api/keys?**', async (route) => {
      const query = new URL(route.request().url()).searchParams;
      const [number, size] = [Number(query.get('page')), Number(query.get('per_page'))];
      const [item] = (await pool.admin('GET', '/api/keys?per_page=1')).items;
      await route.fulfill({ json: { total: 20_000, page: number, per_page: size, items: Array.from({ length: size }, (_, n) => ({ ...item, id: `i${number}-${n}`, label: `key ${(number - 1) * size + n + 1}` })) } });
    });
    await page.goto(`${pool.rondo.url}/#/keys?page=400`);
    await page.getByText('key 19951', { exact: true }).waitFor();
    await page.keyboard.press('End');
    await page.getByText('key 20000', { exact: true }).waitFor();
    await page.getByText('19,951–20,000 of 20,000').waitFor();
    assert.equal(await page.getByRole('table').getAttribute('aria-rowcount'), '51');
    await page.getByRole('button', { name: 'Previous page' }).click();
    await page.waitForFunction(() => location.hash.includes('page=399'));
    await page.getByLabel('Keys a page').selectOption('200');
    await page.getByText('1–200 of 20,000').waitFor();
    // Whatever the size of the page, only rows near the window are in the document.
    const most = await page.evaluate(async () => {
      let most = 0;
      for (let at = 0; at < document.documentElement.scrollHeight; at += 300) {
        scrollTo(0, at);
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        most = Math.max(most, document.querySelectorAll('.keys-list tbody tr').length);
      }
      return most;
    });
    assert.ok(most >= 20 && most <= 82, `${most} rows`);
    // A jump does not build all of them in one task, and what it leads to is filled.
    const jump = await page.evaluate(async () => {
      const body = document.querySelector('.keys-list tbody');
      let atOnce = 0;
      new MutationObserver((records) => { atOnce = Math.max(atOnce, records.flatMap(({ addedNodes }) => [...addedNodes]).filter((row) => row.ariaRowIndex).length); }).observe(body, { childList: true });
      const filled = () => [100, innerHeight / 2, innerHeight - 100].every((y) => document.elementFromPoint(innerWidth / 2, y)?.closest('tr')?.ariaRowIndex);
      scrollTo(0, document.documentElement.scrollHeight / 3);
      let frames = 0;
      do await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      while (!filled() && ++frames < 20);
      return { atOnce, filled: filled() };
    });
    assert.ok(jump.filled && jump.atOnce > 0 && jump.atOnce <= 4, JSON.stringify(jump));
    await page.keyboard.press('End');
    await page.locator('tr[aria-rowindex="201"]').getByText('key 200', { exact: true }).waitFor();
    await page.getByLabel('Select all on this page').check();
    await page.getByText('200 selected').waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('tests one, the selected and all, with progress and a summary; states follow', async () => {
    pool.sim.revoke(keyName(1));
    const { page, complaints, close } = await shown();
    const masked = keys.get(keyName(1)).masked;
    await rowOf(page, 'Team Alpha').getByRole('button', { name: /^Test/ }).click();
    await page.locator('.toast', { hasText: 'Team Alpha' }).getByText(/Works/).waitFor();
    await rowOf(page, masked).getByRole('button', { name: /^Test/ }).click();
    await page.locator('.toast.error', { hasText: masked }).waitFor();
    await rowOf(page, masked).getByText('Invalid').waitFor();
    await rowOf(page, masked).getByText('Refused by the upstream').waitFor();
    await picture(page, 'keys-invalid');

    await rowOf(page, 'Team Alpha').getByRole('checkbox').check();
    await rowOf(page, masked).getByRole('checkbox').check();
    await page.getByText('2 selected').first().waitFor();
    await picture(page, 'keys-selected');
    await page.getByRole('region', { name: '2 selected' }).getByRole('button', { name: 'Test' }).click();
    const dialog = page.getByRole('dialog', { name: 'Test keys' });
    await dialog.getByText('2 keys are tested').waitFor();
    await dialog.getByRole('button', { name: 'Start' }).click();
    await dialog.getByText('Works: 1').waitFor();
    await dialog.getByText('Refused: the key is invalid: 1').waitFor();
    await dialog.getByRole('button', { name: 'Close' }).last().click();

    await page.getByRole('button', { name: 'Test all' }).click();
    await dialog.getByRole('button', { name: 'Start' }).click();
    await dialog.getByText('11 / 11').waitFor();
    await dialog.getByText('Works: 10').waitFor();
    await picture(page, 'keys-tested');
    await page.keyboard.press('Escape');
    assert.deepEqual(complaints, []);
    await close();
  });

  test('pauses with a way back, edits, groups and deletes by name', async () => {
    const { page, complaints, close } = await shown();
    const alpha = rowOf(page, 'Team Alpha');
    await alpha.getByRole('button', { name: /^Pause/ }).click();
    await alpha.getByText('Paused', { exact: true }).waitFor();
    assert.equal((await find('Team Alpha')).enabled, false);
    await page.getByRole('button', { name: 'Undo' }).click();
    await alpha.getByText('Active', { exact: true }).waitFor();

    await alpha.getByRole('button', { name: /^Edit/ }).click();
    const edit = page.getByRole('dialog', { name: /^Edit/ });
    await edit.getByLabel('Label').fill('Team Omega');
    await edit.getByLabel('Weight').fill('7');
    await picture(page, 'keys-edit');
    await edit.getByRole('button', { name: 'Save' }).click();
    await edit.waitFor({ state: 'detached' });
    assert.equal((await find('Team Omega')).weight, 7);

    for (const n of [2, 3]) await rowOf(page, keys.get(keyName(n)).masked).getByRole('checkbox').check();
    const bar = page.getByRole('region', { name: '2 selected' });
    await bar.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('2 keys paused.').waitFor();
    await bar.getByRole('button', { name: 'Resume' }).click();
    await page.getByText('2 keys resumed.').waitFor();
    await bar.getByRole('button', { name: 'Set group' }).click();
    await page.getByRole('dialog').getByLabel('Quota group').fill('gamma');
    await page.getByRole('dialog').getByRole('button', { name: 'Set group' }).click();
    await page.getByText('2 keys changed their group.').waitFor();
    await page.locator('.keys-group', { hasText: 'gamma' }).nth(1).waitFor();

    await bar.getByRole('button', { name: 'Delete' }).click();
    const question = page.getByRole('dialog', { name: 'Delete 2 keys?' });
    await question.getByText(keys.get(keyName(2)).masked).waitFor();
    await question.getByRole('button', { name: 'Cancel' }).click();
    await bar.getByRole('button', { name: 'Delete' }).click();
    await question.getByRole('button', { name: 'Delete 2 keys' }).click();
    await page.getByText('2 keys deleted.').waitFor();
    await rowOf(page, 'Team Omega').getByRole('button', { name: /^Delete/ }).click();
    await page.getByRole('dialog', { name: 'Delete this key?' }).getByRole('button', { name: 'Delete' }).click();
    await page.getByText(/Team Omega.* was deleted/).waitFor();
    await rowOf(page, 'Team Omega').waitFor({ state: 'detached' });

    // The key of the environment stays, and it is said why.
    await rowOf(page, 'from the environment').getByRole('button', { name: /^Delete/ }).click();
    const env = page.getByRole('dialog', { name: 'This key comes from the environment' });
    await env.getByText('CEREBRAS_API_KEYS').waitFor();
    await picture(page, 'keys-environment');
    await env.getByRole('button', { name: 'Close' }).last().click();

    await page.getByRole('button', { name: 'Delete dead keys' }).click();
    const dead = page.getByRole('dialog', { name: 'Delete dead keys' });
    await dead.getByText('Invalid: refused by the upstream (1)').waitFor();
    await picture(page, 'keys-dead');
    await dead.getByRole('button', { name: 'Delete 1 key' }).click();
    await page.getByText('1 key deleted.').waitFor();
    assert.equal((await pool.admin('GET', '/api/keys?status=invalid')).total, 0);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('finds groups while a name is typed, one by its whole name, and passes on what begins so', async () => {
    const { page, complaints, close } = await shown();
    const field = page.locator('.keys-group-filter input');
    const rows = (await pool.admin('GET', '/api/keys?per_page=200')).items;
    await pool.admin('POST', '/api/keys/group', { ids: rows.slice(0, 2).map(({ id }) => id), group: 'Delta' });
    await pool.admin('POST', '/api/keys/group', { ids: [rows[2].id], group: 'Delta-2' });
    await field.pressSequentially('del');
    await page.waitForFunction(() => location.hash.includes('groups=del') && document.querySelectorAll('.keys-list tbody tr').length === 3);
    await page.waitForFunction(() => document.querySelectorAll('#keys-groups option[value="Delta-2"]').length === 1);
    // As a pick from the list: the whole name at once.
    await field.evaluate((input) => {
      Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(input, 'Delta');
      input.dispatchEvent(new InputEvent('input', { bubbles: true, inputType: 'insertReplacementText' }));
    });
    await page.waitForFunction(() => /group=Delta(&|$)/.test(location.hash) && document.querySelectorAll('.keys-list tbody tr').length === 2);
    await field.fill('');
    await page.waitForFunction(() => !location.hash.includes('group'));
    assert.deepEqual(complaints, []);
    await close();
  });

  test('exports behind the password, and a wrong one does not end the session', async () => {
    const { page, complaints, close } = await shown();
    await page.getByRole('button', { name: 'Export' }).click();
    const dialog = page.getByRole('dialog', { name: 'Export all keys' });
    await dialog.getByLabel('Admin password').fill('wrong');
    await dialog.getByRole('button', { name: 'Download keys' }).click();
    await dialog.getByText('That password is not right.').waitFor();
    await picture(page, 'keys-export');
    await dialog.getByLabel('Admin password').fill(PASSWORD);
    const saved = page.waitForEvent('download');
    await dialog.getByRole('button', { name: 'Download keys' }).click();
    const file = await saved;
    assert.equal(file.suggestedFilename(), 'rondo-keys.json');
    const { keys: exported } = JSON.parse(readFileSync(await file.path(), 'utf8'));
    assert.equal(exported.length, (await pool.admin('GET', '/api/keys')).total);
    assert.ok(exported.some(({ key }) => key === keyName(11)));
    await dialog.getByText(/were written to rondo-keys.json/).waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('shows why keys look like one quota, and takes the operator’s word', async () => {
    const { page, complaints, close } = await shown();
    const two = (await pool.admin('GET', '/api/keys')).items.slice(0, 2);
    const evidence = { observations: 14, limit: 14_400, window: 'day', drop: 60, own: 20, others_least: 38, others_most: 41, resets_within_ms: 900 };
    const item = (n) => ({ groups: [`key:a${n}`, `key:b${n}`], keys: two.map(({ id, masked, label }) => ({ id, masked, label })), model: 'gpt-oss-120b', since: new Date(Date.now() - 3_600_000).toISOString(), evidence, text: '' });
    let items = [item(1), item(2)];
    const words = [];
    await page.route('**/api/keys/suggestions', async (route) => {
      if (route.request().method() === 'GET') return route.fulfill({ json: { items } });
      const word = route.request().postDataJSON();
      words.push(word);
      items = items.filter(({ groups }) => groups[0] !== word.groups[0]);
      return route.fulfill({ json: { group: word.accept ? 'pair' : null, changed: word.accept ? 2 : 0 } });
    });
    await page.reload();
    await page.getByRole('button', { name: 'Suggestions 2' }).click();
    const dialog = page.getByRole('dialog', { name: 'Keys that look like one quota' });
    await dialog.getByText(/14,400 requests a day fell by 40 more/).first().waitFor();
    await picture(page, 'keys-suggestions');
    await dialog.getByLabel('Name of the group').first().fill('pair');
    await dialog.getByRole('button', { name: 'Make one group' }).first().click();
    await page.getByText('Group pair: 2 keys moved.').waitFor();
    await dialog.getByRole('button', { name: 'Not one quota' }).click();
    await dialog.getByText('No suggestion').waitFor();
    assert.deepEqual(words, [{ groups: ['key:a1', 'key:b1'], accept: true, name: 'pair' }, { groups: ['key:a2', 'key:b2'], accept: false }]);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a key has an address of its own: limits, decisions, and a way back', async () => {
    for (let n = 0; n < 8; n += 1) await (await pool.chat()).text();
    const used = (await pool.admin('GET', '/api/decisions')).items.find(({ outcome }) => outcome.kind === 'granted').outcome.key;
    const { page, complaints, close } = await shown();
    await page.locator(`a[href*="id=${used}"]`).click();
    const side = page.getByRole('dialog');
    await side.getByRole('heading', { name: 'Limits' }).waitFor();
    await side.getByRole('meter').first().waitFor();
    await side.getByText(/headers say so/).first().waitFor();
    await side.getByText('Chosen', { exact: true }).first().waitFor();
    await side.getByRole('button', { name: 'Test' }).click();
    await side.getByText('Works').waitFor();
    await picture(page, 'keys-detail');
    await page.goBack();
    await side.waitFor({ state: 'detached' });
    await page.goto(`${pool.rondo.url}/#/keys?id=nothing`);
    await side.getByText('There is no such key (any more).').waitFor();
    await page.keyboard.press('Escape');
    await side.waitFor({ state: 'detached' });
    assert.ok(!page.url().includes('id='));
    assert.deepEqual(complaints, []);
    await close();
  });

  test('says that data is old while the Worker fails, and keeps it', async () => {
    const { page, close } = await shown();
    await page.route('**/api/keys?**', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', json: { type: 'about:blank', title: 'Unavailable', status: 503, detail: 'The database does not answer.' } }));
    await page.getByRole('button', { name: 'Errors' }).click();
    await page.getByText('The database does not answer.').waitFor();
    await page.locator('.age.stale').waitFor();
    assert.ok((await page.locator('tbody tr').count()) > 0);
    await page.unroute('**/api/keys?**');
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('The database does not answer.').waitFor({ state: 'detached' });
    await close();
  });

  for (const [locale, words] of [
    ['en-US', { add: 'Add keys', many: 'Many keys', close: 'Close' }],
    ['zh-CN', { add: '添加密钥', many: '批量导入', close: '关闭' }],
  ]) {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [360, 1280]) {
        test(`fits and is accessible (${locale}, ${colorScheme}, ${width} px)`, async () => {
          const { page, complaints, close } = await shown('#/keys', { locale, colorScheme, viewport: { width, height: 860 }, reducedMotion: 'reduce' });
          const name = `${locale}-${colorScheme}-${width}`;
          await assertFits(page);
          await page.locator('tbody input[type=checkbox]').first().check();
          await page.locator('.keys-selection').waitFor();
          await assertFits(page);
          await picture(page, `keys-${name}`);
          await assertAccessible(page, 'list');
          await page.getByRole('button', { name: words.add }).click();
          await page.getByRole('tab', { name: words.many }).click();
          await picture(page, `keys-add-${name}`);
          await assertAccessible(page, 'add');
          await page.keyboard.press('Escape');
          await page.locator('.keys-key a').first().click();
          await page.locator('.keys-part').nth(1).waitFor();
          await page.locator('dialog .skeleton').first().waitFor({ state: 'detached' });
          await assertFits(page);
          await picture(page, `keys-detail-${name}`);
          await assertAccessible(page, 'detail');
          assert.deepEqual(complaints, []);
          await close();
        });
      }
    }
  }
});
