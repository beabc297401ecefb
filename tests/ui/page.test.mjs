// needs: chromium
// The admin page: first run, log-in and the frame, on the built Worker over the simulator.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { keyName, PASSWORD, startPool } from '../harness/rondo.mjs';
import { testBindings } from '../harness/worker.mjs';
import { assertFits, launch, open, picture } from './browser.mjs';

describe('the admin page', () => {
  let pool;
  let browser;
  before(async () => {
    pool = await startPool({ keys: 3, worker: { bindings: { CEREBRAS_API_KEYS: undefined } } });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await pool?.stop();
  });

  test('the first run leads from the setup code to an answer of the upstream', async () => {
    const { page, complaints, close } = await open(browser, pool.rondo.url);
    await page.getByRole('heading', { name: 'Choose an admin password' }).waitFor();
    await page.getByLabel('Setup code').fill('not the code');
    await page.getByLabel('New password', { exact: true }).fill(PASSWORD);
    await page.getByLabel('New password again').fill('something else');
    await page.getByRole('button', { name: 'Set password' }).click();
    await page.getByText('The two are not the same.').waitFor();
    await page.getByLabel('New password again').fill(PASSWORD);
    await picture(page, 'start-password');
    await page.getByRole('button', { name: 'Set password' }).click();
    await page.getByText('That setup code is not right.').waitFor();
    await page.getByLabel('Setup code').fill(testBindings.SETUP_TOKEN);
    await page.getByRole('button', { name: 'Set password' }).click();

    await page.getByRole('heading', { name: 'Add your API keys' }).waitFor();
    await page.getByRole('textbox', { name: 'Keys' }).fill(`CEREBRAS_API_KEYS=${keyName(0)}, ${keyName(1)}\n${keyName(1)}\nnonsense`);
    await page.getByText('2 keys', { exact: true }).waitFor();
    await page.getByText('1 repetition left out').waitFor();
    await page.getByText('1 piece is not a key').waitFor();
    assert.ok(!(await page.textContent('.found-list')).includes(keyName(0)), 'the preview is masked');
    await picture(page, 'start-keys');
    await page.getByRole('button', { name: 'Add 2 keys' }).click();
    await page.getByText('2 keys added.').waitFor();
    // Left and resumed: the step is kept.
    await page.reload();
    await page.getByText('There are 2 keys in the pool already.').waitFor();
    await page.getByRole('button', { name: 'Skip for now' }).click();

    await page.getByRole('button', { name: 'Make token' }).click();
    const token = await page.textContent('#new-token');
    assert.match(token, /^rk-/);
    await picture(page, 'start-token');
    await page.getByRole('button', { name: 'Continue' }).click();

    await page.getByRole('button', { name: 'Send' }).click();
    await page.getByText('It works.').waitFor();
    assert.ok((await page.textContent('.answer')).length > 'Answer'.length, 'the answer is shown');
    await picture(page, 'start-call');
    await page.getByRole('button', { name: 'Continue' }).click();

    assert.equal(await page.textContent('#openai-base'), `${pool.rondo.url}/v1`);
    assert.ok((await page.textContent('pre')).includes(token), 'the lines hold the token');
    const card = await page.locator('.card').boundingBox();
    const code = await page.locator('pre').boundingBox();
    assert.ok(code.x + code.width <= card.x + card.width, 'the lines scroll within their card');
    await picture(page, 'start-connect');
    await page.getByRole('button', { name: 'Go to overview' }).click();
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    assert.equal(await page.evaluate(() => JSON.stringify({ ...localStorage })), '{}', 'nothing is left in the browser');
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a wrong password is said to be wrong, the right one logs in, and logging out leads back', async () => {
    const { page, complaints, close } = await open(browser, `${pool.rondo.url}/#/keys`);
    await page.getByLabel('Password').fill('not the password');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('That password is not right.').waitFor();
    await picture(page, 'login-wrong');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('heading', { name: 'Keys' }).waitFor();
    await page.getByRole('link', { name: 'Models' }).click();
    const heading = page.getByRole('heading', { name: 'Models', level: 1 });
    await heading.waitFor();
    assert.ok(await heading.evaluate((element) => element === document.activeElement), 'the heading has the focus');
    assert.equal(await page.title(), 'Models · Rondo');
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('heading', { name: 'Log in' }).waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  for (const [locale, words] of [
    ['en-US', { logIn: 'Log in', password: 'Password', models: 'Models', more: 'More' }],
    ['zh-CN', { logIn: '登录', password: '密码', models: '模型', more: '更多' }],
  ]) {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [360, 1280]) {
        test(`log-in and frame fit (${locale}, ${colorScheme}, ${width} px)`, async () => {
          const { page, complaints, close } = await open(browser, pool.rondo.url, { locale, colorScheme, viewport: { width, height: 800 } });
          await assertFits(page);
          const name = `${locale}-${colorScheme}-${width}`;
          await picture(page, `login-${name}`);
          await page.getByLabel(words.password).fill(PASSWORD);
          await page.getByRole('button', { name: words.logIn }).click();
          await page.waitForSelector('.shell h1');
          await assertFits(page);
          if (width === 360) await page.getByRole('button', { name: words.more }).click();
          await picture(page, `shell-${name}`);
          await page.getByRole('link', { name: words.models }).click();
          await page.getByRole('heading', { name: words.models, level: 1 }).waitFor();
          assert.deepEqual(complaints, []);
          await close();
        });
      }
    }
  }
});
