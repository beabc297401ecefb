// needs: chromium
// The page Connect, and the lines that it gives.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { execFileSync } from 'node:child_process';
import { startPool } from '../harness/rondo.mjs';
import { assertFits, launch, picture } from './browser.mjs';
import { fromPage } from './bundle.mjs';
import { assertAccessible, openAt, VIEWS } from './signed-in.mjs';

const { findGuides, guides, mayBe, TOKEN_PLACEHOLDER, tokenProblem } = await fromPage('connect.ts');
const given = { origin: 'https://rondo.example', token: 'rk-0123456789', model: 'gpt-oss-120b' };
const guide = (id) => guides.find((one) => one.id === id);
const textOf = (id, values = given) => guide(id).blocks.map((block) => block.lines(values)).join('\n');

describe('lines for tools', () => {
  test('every guide holds the address, and where there is one the token; ids are unique', () => {
    assert.equal(new Set(guides.map(({ id }) => id)).size, guides.length);
    for (const { id, entries } of guides) {
      const all = textOf(id) + JSON.stringify(entries?.(given) ?? []);
      assert.ok(all.includes(given.origin), id);
      assert.ok(all.includes(given.token), id);
    }
  });

  test('SDKs that add /v1 themselves get the address without it, the others with it', () => {
    for (const id of ['cerebras-python', 'cerebras-js', 'claude-code', 'anthropic', 'genai', 'gemini-cli']) assert.ok(!textOf(id).includes('/v1'), id);
    for (const id of ['curl', 'openai-python', 'openai-js', 'ai-sdk', 'langchain', 'litellm', 'codex', 'opencode', 'continue', 'open-webui']) assert.ok(textOf(id).includes('https://rondo.example/v1'), id);
    assert.ok(guide('immersive-translate').entries(given).some(({ value }) => value === 'https://rondo.example/v1/chat/completions'));
  });

  test('a token with signs in it stays one word', () => {
    const token = `a'b"c$d\\e\`f`;
    const values = { ...given, token };
    assert.equal(JSON.parse(textOf('opencode', values).split('\nexport')[0]).provider.rondo.options.baseURL, 'https://rondo.example/v1');
    const echoed = execFileSync('/bin/sh', ['-c', `curl() { for word; do printf '%s\\n' "$word"; done; }\n${textOf('curl', values)}`]).toString().split('\n');
    assert.ok(echoed.includes(`authorization: Bearer ${token}`));
    assert.equal(JSON.parse(echoed.find((line) => line.startsWith('{'))).model, 'gpt-oss-120b');
    const environment = execFileSync('/bin/sh', ['-c', `claude() { printf %s "$ANTHROPIC_AUTH_TOKEN"; }\n${textOf('claude-code', values)}`]).toString();
    assert.equal(environment, token);
    const literal = /apiKey: ('.*') \}/.exec(textOf('openai-js', values))[1];
    assert.equal(new Function(`return ${literal}`)(), token);
  });

  test('the search finds by name and by other words', () => {
    assert.deepEqual(findGuides('vs code').map(({ id }) => id), ['cline', 'continue']);
    assert.deepEqual(findGuides('cerebras node').map(({ id }) => id), ['cerebras-js']);
    assert.deepEqual(findGuides('沉浸式').map(({ id }) => id), ['immersive-translate']);
    assert.equal(findGuides(' ').length, guides.length);
  });

  test('a pasted token is held against what is shown of it', () => {
    assert.ok(mayBe('rk-test-0001', 'rk-t…0001') && !mayBe('rk-test-0002', 'rk-t…0001') && mayBe('anything', '…'));
    assert.deepEqual(['', 'rk-a b', 'csk-abc', 'rk-a'].map(tokenProblem), [null, 'spaces', 'key', null]);
  });
});

describe('the page Connect', () => {
  let pool;
  let browser;
  let made;
  before(async () => {
    pool = await startPool({ keys: 1 });
    made = await pool.admin('POST', '/api/tokens', { name: 'laptop', models: ['smart', 'gpt-oss-120b'] });
    await pool.admin('PUT', '/api/models/smart', { members: ['gpt-oss-120b'] });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await pool?.stop();
  });

  test('lines hold this address, the pasted token and the chosen model; the tool is remembered, the token is not', async () => {
    const { page, complaints, close } = await openAt(browser, pool.rondo.url, `#/connect?token=${made.id}`);
    const code = page.locator('pre').first();
    await page.getByText(TOKEN_PLACEHOLDER).first().waitFor();
    assert.ok((await code.textContent()).includes(`${pool.rondo.url}/v1`));
    const value = page.getByLabel('Value of the token');
    await value.fill('rk-this-is-another-one');
    await page.getByText('This is not the value of “laptop”').waitFor();
    assert.ok(!(await code.textContent()).includes('another'), 'a wrong one is not filled in');
    await value.fill('csk-0123456789abcdef');
    await page.getByText('This is a Cerebras key.').waitFor();
    await value.fill(made.token);
    await page.getByLabel('Model', { exact: true }).selectOption('smart');
    await page.locator('pre', { hasText: made.token }).first().waitFor();
    assert.match(await code.textContent(), /"model":"smart"/);

    await page.getByRole('searchbox', { name: 'Search tools' }).fill('opencode');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'opencode', exact: true }).waitFor();
    await page.getByRole('searchbox').fill('nothing like it');
    await page.getByText('No tool is found').waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'opencode', exact: true }).waitFor();
    assert.equal(await page.getByLabel('Value of the token').inputValue(), '');
    assert.equal(await page.evaluate(() => JSON.stringify({ ...localStorage })), '{"rondo.connect.tool":"opencode"}');
    assert.deepEqual(complaints, []);
    await close();
  });

  test('every tool can be shown', async () => {
    const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/connect');
    for (const { name } of guides) {
      await page.getByRole('navigation', { name: 'Tools' }).getByRole('button', { name }).click();
      await page.getByRole('heading', { name, exact: true }).waitFor();
      await assertFits(page);
    }
    await page.getByRole('navigation', { name: 'Tools' }).getByRole('button', { name: 'Claude Code' }).click();
    await picture(page, 'connect-claude-code');
    assert.deepEqual(complaints, []);
    await close();
  });

  for (const { name, options } of VIEWS) {
    test(`fits and is accessible (${name})`, async () => {
      const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/connect?tool=cline', options);
      await page.locator('.connect-guide').waitFor();
      await page.locator('.connect-bases').waitFor();
      await assertFits(page);
      await picture(page, `connect-entries-${name}`);
      await assertAccessible(page, name);
      await page.goto(`${pool.rondo.url}/#/connect?tool=litellm`);
      await page.locator('pre').first().waitFor();
      await assertFits(page);
      await picture(page, `connect-${name}`);
      await assertAccessible(page, `${name}, lines`);
      assert.deepEqual(complaints, []);
      await close();
    });
  }
});
