// needs: chromium
// The page Models: pools, the policy, the catalog and tests of models, on the built Worker over the simulator.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startPool } from '../harness/rondo.mjs';
import { assertFits, launch, picture } from './browser.mjs';
import { fromPage } from './bundle.mjs';
import { assertAccessible, openAt, VIEWS } from './signed-in.mjs';

describe('changes of a pool', async () => {
  const { change, drafts, drop, movedTo, nameProblem, poolPath, problemOfPool, shownOf } = await fromPage('pages/models/draft.ts');
  const member = (model, part = {}) => ({ model, provider: 'cerebras', weight: 1, enabled: true, ...part });
  const pool = { name: 'p', strategy: 'rotate', members: [{ ...member('a'), state: 'active', reason: null, until: null }, { ...member('b'), state: 'retired', reason: null, until: null }] };

  test('are kept until they lead back to what is saved', () => {
    change(pool, { members: [member('b'), member('a')] });
    assert.deepEqual(shownOf(pool).members.map(({ model }) => model), ['b', 'a']);
    change(pool, { members: [member('a'), member('b')] });
    assert.deepEqual({ ...drafts.value }, {});
    change(pool, { strategy: 'order' });
    assert.equal(shownOf(pool).strategy, 'order');
    drop('p');
    assert.equal(shownOf(pool).strategy, 'rotate');
  });

  test('a member moves to its new place', () => {
    assert.deepEqual(movedTo(['a', 'b', 'c'], 0, 2), ['b', 'c', 'a']);
    assert.deepEqual(movedTo(['a', 'b', 'c'], 2, 0), ['c', 'a', 'b']);
    assert.deepEqual(movedTo(['a'], 5, 0), ['a']);
  });

  test('what cannot be saved is known beforehand', () => {
    assert.equal(problemOfPool('p', []), 'empty');
    assert.equal(problemOfPool('default', [member('a', { enabled: false })]), 'defaultOff');
    assert.equal(problemOfPool('p', [member('a', { enabled: false })]), null);
    for (const weight of [0, 101, 1.5, Number.NaN]) assert.equal(problemOfPool('p', [member('a', { weight })]), 'weight');
    assert.deepEqual(['', 'a b', 'test', 'p', 'vendor/model:free'].map((name) => nameProblem(name, ['p'])), ['form', 'form', 'reserved', 'taken', null]);
    assert.equal(poolPath('vendor/model:free'), '/api/models/vendor/model%3Afree');
  });
});

describe('the page Models', () => {
  let pool;
  let browser;
  const saved = async (name) => (await pool.admin('GET', '/api/models')).pools.find((one) => one.name === name);
  const order = async (name) => (await saved(name)).members.map(({ model }) => model);
  before(async () => {
    pool = await startPool({ keys: 2 });
    await pool.admin('PUT', '/api/models/default', { members: ['gpt-oss-120b', { model: 'qwen-3.8-27b', weight: 3 }] });
    await pool.admin('PUT', '/api/models/vendor/smart:v1', { strategy: 'order', members: ['qwen-3.8-27b', 'gpt-oss-120b', 'zai-glm-4.7'] });
    await pool.admin('POST', '/api/models/catalog/refresh');
    for (let n = 0; n < 2; n += 1) await (await pool.chat({ model: 'vendor/smart:v1' })).text();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await pool?.stop();
  });
  const region = (page, name) => page.getByRole('region', { name, exact: true });

  test('members are moved by keys, by buttons and by dragging; nothing is saved before Save', async () => {
    const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/models');
    const smart = region(page, 'vendor/smart:v1');
    await smart.getByRole('button', { name: /^Move qwen-3.8-27b, 1 of 3/ }).press('ArrowDown');
    await smart.getByText('qwen-3.8-27b is now 2 of 3.').waitFor();
    await smart.getByText('Unsaved changes').waitFor();
    assert.deepEqual(await order('vendor/smart:v1'), ['qwen-3.8-27b', 'gpt-oss-120b', 'zai-glm-4.7']);
    // Looking elsewhere loses nothing.
    await page.getByRole('link', { name: 'Keys' }).click();
    await page.getByRole('heading', { name: 'Keys', level: 1 }).waitFor();
    await page.getByRole('link', { name: 'Models' }).click();
    await smart.getByText('Unsaved changes').waitFor();
    await smart.getByRole('button', { name: 'Move zai-glm-4.7 up' }).click();
    await smart.getByRole('button', { name: 'Move zai-glm-4.7 up' }).click();
    assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('aria-label')), 'Move zai-glm-4.7 down', 'the focus stays in the row');
    await picture(page, 'models-unsaved');
    await smart.getByRole('button', { name: 'Undo changes' }).click();
    await smart.getByText('Unsaved changes').waitFor({ state: 'detached' });

    const grips = smart.locator('.models-grip');
    await grips.first().scrollIntoViewIfNeeded();
    const from = await grips.nth(0).boundingBox();
    const to = await grips.nth(2).boundingBox();
    await page.mouse.move(from.x + 8, from.y + 8);
    await page.mouse.down();
    await page.mouse.move(from.x + 8, to.y + to.height, { steps: 8 });
    await picture(page, 'models-dragged');
    await page.mouse.up();
    await smart.getByRole('button', { name: 'Save' }).click();
    await page.getByText('“vendor/smart:v1” is saved.').waitFor();
    assert.deepEqual(await order('vendor/smart:v1'), ['gpt-oss-120b', 'zai-glm-4.7', 'qwen-3.8-27b']);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('weights, switches and the order of use are saved; the default pool cannot be left without a model', async () => {
    const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/models');
    const own = region(page, 'default');
    await own.getByLabel('Weight of gpt-oss-120b').fill('500');
    await own.getByText('A weight is a whole number from 1 to 100.').waitFor();
    assert.ok(await own.getByRole('button', { name: 'Save' }).isDisabled());
    await own.getByLabel('Weight of gpt-oss-120b').fill('5');
    await own.getByLabel('gpt-oss-120b takes part').uncheck();
    await own.getByLabel('qwen-3.8-27b takes part').uncheck();
    await own.getByText('The default pool needs an enabled model').last().waitFor();
    await own.getByLabel('gpt-oss-120b takes part').check();
    await own.getByRole('button', { name: 'Take qwen-3.8-27b out' }).click();
    await own.getByRole('button', { name: 'Take gpt-oss-120b out' }).click();
    await own.getByText('The default pool needs at least one model').waitFor();
    await own.getByLabel('Add a model').fill('gpt-oss-120b');
    await own.getByRole('button', { name: 'Add', exact: true }).click();
    await own.getByText('The default pool needs at least one model').waitFor({ state: 'detached' });
    await own.getByLabel('Order of use').selectOption('order');
    await own.getByText('The first model is used as long as it can serve').waitFor();

    // The Worker refuses: said where it was asked, and the changes stay.
    await page.route('**/api/models/default', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: '{"title":"Unavailable","detail":"the database does not answer","status":503}' }));
    await own.getByRole('button', { name: 'Save' }).click();
    await own.getByText('the database does not answer').waitFor();
    await own.getByText('Unsaved changes').waitFor();
    await page.unroute('**/api/models/default');
    await own.getByRole('button', { name: 'Save' }).last().click();
    await page.getByText('“default” is saved.').waitFor();
    const now = await saved('default');
    assert.deepEqual([now.strategy, now.members.map(({ model }) => model)], ['order', ['gpt-oss-120b']]);
    assert.deepEqual(complaints.filter((one) => !one.includes('503')), []);
    await close();
    await pool.admin('PUT', '/api/models/default', { members: ['gpt-oss-120b', { model: 'qwen-3.8-27b', weight: 3 }] });
  });

  test('an alias is made, renamed and deleted by name', async () => {
    const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/models');
    const dialog = page.getByRole('dialog');
    await page.getByRole('button', { name: 'New alias' }).click();
    await dialog.getByLabel('Name').fill('default');
    await dialog.getByText('There is a pool of this name already.').waitFor();
    await dialog.getByLabel('Name').fill('fast');
    await dialog.getByLabel('First model').fill('gpt-oss-120b');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await page.getByText('“fast” is created.').waitFor();
    assert.deepEqual(await order('fast'), ['gpt-oss-120b']);

    await page.getByRole('button', { name: 'Rename fast' }).click();
    await dialog.getByLabel('Name').fill('faster');
    await dialog.getByRole('button', { name: 'Rename' }).click();
    await region(page, 'faster').waitFor();
    await region(page, 'fast').waitFor({ state: 'detached' });
    assert.equal(await saved('fast'), undefined);

    await page.getByRole('button', { name: 'Delete faster' }).click();
    await dialog.getByText('Delete the alias “faster”?').waitFor();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await page.getByText('“faster” is deleted.').waitFor();
    assert.equal(await saved('faster'), undefined);
    assert.equal(await page.getByRole('button', { name: 'Delete default' }).count(), 0);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('the policy acts at once and can be undone', async () => {
    const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/models');
    await page.getByLabel('Always rotate').check();
    await page.getByText('Now: Always rotate.').waitFor();
    await page.getByText('Only the default pool is used now').waitFor();
    assert.equal((await pool.admin('GET', '/api/settings')).model_policy, 'rotate');
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.locator('input[value=prefer_requested]:checked').waitFor();
    assert.equal((await pool.admin('GET', '/api/settings')).model_policy, 'prefer_requested');
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a model of the catalog is found, tested and added with one click; a failed refresh says why', async () => {
    await pool.admin('PUT', '/api/models/default', { members: ['gpt-oss-120b'] });
    const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/models');
    await page.getByRole('searchbox', { name: 'Search models' }).fill('nothing');
    await page.getByText('No model is found by “nothing”.').waitFor();
    await page.getByRole('searchbox', { name: 'Search models' }).fill('QWEN');
    const row = page.getByRole('table', { name: 'Catalog' }).getByRole('row').filter({ hasText: 'qwen-3.8-27b' });
    await row.getByRole('button', { name: 'Test qwen-3.8-27b' }).click();
    await row.getByText('Works').waitFor();
    await row.getByText(/with key/).waitFor();
    await row.getByRole('button', { name: 'Add' }).click();
    await page.getByText('qwen-3.8-27b is added to “default”.').waitFor();
    await row.getByText('In the pool').waitFor();
    assert.deepEqual(await order('default'), ['gpt-oss-120b', 'qwen-3.8-27b']);
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByText('qwen-3.8-27b is taken out of “default” again.').waitFor();
    assert.deepEqual(await order('default'), ['gpt-oss-120b']);

    await page.getByRole('button', { name: 'Test zai-glm-4.7' }).click();
    await region(page, 'vendor/smart:v1').getByText('No such model').waitFor();
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByText('The catalog is fetched anew.').waitFor();
    await page.route('**/api/models/catalog/refresh', (route) => route.fulfill({ json: { source: 'https://api.example/models', fetched_at: '2026-11-20T00:00:00Z', stale: true, last_error: 'HTTP 500', models: [] } }));
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByText('The last fetch failed: HTTP 500').waitFor();
    await page.getByText('Out of date').waitFor();
    assert.deepEqual(complaints, []);
    await close();
    await pool.admin('PUT', '/api/models/default', { members: ['gpt-oss-120b', { model: 'qwen-3.8-27b', weight: 3 }] });
  });

  for (const { name, locale, options } of VIEWS) {
    test(`fits and is accessible (${name})`, async () => {
      const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/models', options);
      await page.locator('.models-listed').first().waitFor();
      await page.locator('.models-grip').first().press('ArrowDown');
      await page.getByRole('button', { name: /^(Test|测试) zai-glm-4.7/ }).click();
      await page.locator('.models-outcome').waitFor();
      await page.mouse.move(0, 0);
      await assertFits(page);
      await picture(page, `models-${name}`);
      await assertAccessible(page, name);
      await page.getByRole('button', { name: locale === 'zh-CN' ? '新建别名' : 'New alias' }).click();
      await assertFits(page);
      await assertAccessible(page, `${name}, new alias`);
      assert.deepEqual(complaints, []);
      await close();
    });
  }
});
