// needs: chromium
// The first run takes texts of any kind too: nothing runs, and what is too long or wrong is said and not cut.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CONTROLS, HOSTILE, LONG } from '../harness/texts.mjs';
import { startPool } from '../harness/rondo.mjs';
import { testBindings } from '../harness/worker.mjs';
import { launch, open, picture } from './browser.mjs';
import { assertSound, NARROW, watch } from './texts.mjs';

const NAMES = Object.values(HOSTILE);
const WORDS = {
  'en-US': { code: 'Setup code', password: 'New password', again: 'New password again', set: 'Set password', wrong: 'That setup code is not right.', keys: 'Add your API keys', skip: 'Skip for now', name: 'Name', long: '10,239 characters; at most 100 fit.', make: 'Make token' },
  'zh-CN': { code: '设置码', password: '新密码', again: '再次输入新密码', set: '设置密码', wrong: '设置码不正确。', keys: '添加 API 密钥', skip: '暂时跳过', name: '名称', long: /10,239.*100/, make: '创建令牌' },
};

for (const [locale, colorScheme, name] of [['en-US', 'light', HOSTILE.markup], ['zh-CN', 'dark', HOSTILE['turned around']]]) {
  describe(`texts of the first run (${locale}, ${colorScheme})`, () => {
    const words = WORDS[locale];
    let pool;
    let browser;
    before(async () => {
      pool = await startPool({ keys: 0, worker: { bindings: { CEREBRAS_API_KEYS: undefined, AUTH_PASSWORD: undefined } } });
      browser = await launch();
    });
    after(async () => {
      await browser?.close();
      await pool?.stop();
    });

    test('the setup code, a password and the name of the first token', async () => {
      const { page, complaints, close } = await open(browser, pool.rondo.url, { ...NARROW, locale, colorScheme, prepare: watch });
      const code = page.getByLabel(words.code, { exact: true });
      const set = page.getByRole('button', { name: words.set });
      // The password is a text of this kind as well.
      for (const label of [words.password, words.again]) await page.getByLabel(label, { exact: true }).fill(name);
      for (const text of [...NAMES, LONG]) {
        await code.fill(text);
        assert.equal(await code.inputValue(), text, 'it is not cut');
        await assertSound(page, 'the setup code');
      }
      // Wrong codes are counted by the limiter of log-ins, hence only two; one that is too long is none of them.
      for (const text of [LONG, name, HOSTILE['signs of patterns']]) {
        await code.fill(text);
        await set.click();
        await page.getByText(words.wrong).waitFor();
        await page.waitForFunction(() => !document.querySelector('[aria-busy=true]'));
        assert.equal(await code.inputValue(), text);
        await assertSound(page, 'a wrong setup code');
        await code.fill('x');
      }
      await picture(page, `texts-start-code-${locale}`);
      await code.fill(testBindings.SETUP_TOKEN);
      await set.click();
      await page.getByRole('heading', { name: words.keys }).waitFor();
      await page.getByRole('button', { name: words.skip }).click();

      const field = page.getByLabel(words.name, { exact: true });
      const make = page.getByRole('button', { name: words.make });
      for (const text of NAMES) {
        await field.fill(text);
        assert.equal(await field.inputValue(), text);
        await assertSound(page, 'the name');
      }
      await field.fill(LONG);
      await page.getByText(words.long).waitFor();
      assert.equal(await field.inputValue(), LONG, 'it is not cut');
      await make.click();
      await field.fill(CONTROLS.escape);
      await make.click();
      await page.getByText(/must not hold control characters/).waitFor();
      await assertSound(page, 'a refused name');
      await field.fill(name);
      await make.click();
      const token = await page.textContent('#new-token');
      await assertSound(page, 'the first token');
      await picture(page, `texts-start-token-${locale}`);

      // One was made, called as it was typed, by the password that was typed.
      const login = await pool.rondo.fetch('/api/auth/login', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ password: name }) });
      assert.equal(login.status, 200);
      const { items } = await (await pool.rondo.fetch('/api/tokens', { headers: { authorization: `Bearer ${(await login.json()).token}` } })).json();
      assert.deepEqual(items.map((item) => item.name), [name]);
      assert.match(token, /^rk-/);
      assert.deepEqual(complaints, []);
      await close();
    });
  });
}
