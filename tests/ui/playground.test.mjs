// needs: chromium
// The playground: a conversation with the pool over the simulator.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MODEL, startPool } from '../harness/rondo.mjs';
import { assertFits, launch, picture } from './browser.mjs';
import { assertAccessible, openSignedIn } from './signed-in.mjs';

describe('the playground', () => {
  let pool;
  let browser;
  const enter = (options, hash = '#/playground') => openSignedIn(browser, pool.rondo.url, hash, options);
  const ask = async (page, text) => {
    await page.getByRole('textbox', { name: 'Message', exact: true }).fill(text);
    await page.keyboard.press('Control+Enter');
  };
  before(async () => {
    pool = await startPool({ keys: 3, sim: { recordBodies: true } });
    await pool.admin('PUT', '/api/models/fast-and-small', { members: [MODEL] });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await pool?.stop();
  });
  const sent = () => JSON.parse(Buffer.from(pool.sim.records.at(-1).body).toString());

  test('a conversation of two turns streams in, with its figures and the link to its story', async () => {
    const { page, complaints, close } = await enter();
    await page.locator('option', { hasText: MODEL }).first().waitFor({ state: 'attached' });
    await page.getByLabel('System message').fill('Be brief.');
    await page.getByLabel('Temperature').fill('0.5');
    await page.getByLabel('Most tokens of the answer').fill('400');
    await ask(page, '[[tokens=80 reasoning=20 delay=20]] Tell me about round robin.');
    const first = page.locator('.playground-turn').first();
    await first.getByText('Reasoning', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Stop' }).waitFor();
    await first.getByText('First token').waitFor();
    await first.getByText(/tokens\/s/).waitFor();
    await first.getByText(/\d+ in, 80 out/).waitFor();
    await first.getByText('Attempts').waitFor();
    await first.getByText(/^csk-…\d{4}$/).waitFor();
    await first.getByText('Reasoning', { exact: true }).click();
    assert.ok((await first.locator('.playground-reasoning p').textContent()).length > 10, 'the reasoning is in its fold');
    const answer = await first.locator('.playground-answer > .playground-text').textContent();
    const body = sent();
    assert.equal(body.temperature, 0.5);
    assert.equal(body.max_completion_tokens, 400);
    assert.deepEqual(body.messages.map(({ role }) => role), ['system', 'user']);
    await picture(page, 'playground-turn');

    await page.getByRole('switch', { name: 'Stream the answer' }).click();
    await ask(page, 'And again, please.');
    const second = page.locator('.playground-turn').nth(1);
    await second.getByText('In all').waitFor();
    const next = sent();
    assert.ok(!next.stream, 'the second came whole');
    assert.deepEqual(next.messages.slice(1).map(({ role, content }) => [role, content]), [['user', '[[tokens=80 reasoning=20 delay=20]] Tell me about round robin.'], ['assistant', answer], ['user', 'And again, please.']]);
    const link = await second.locator('.playground-id').getAttribute('href');
    assert.match(link, /^#\/requests\?id=.+/);
    await second.locator('.playground-id').click();
    await page.getByRole('heading', { name: 'Requests', level: 1 }).waitFor();
    await page.goBack();
    await page.getByText('And again, please.').waitFor();
    await page.getByRole('button', { name: 'Clear' }).click();
    await page.getByText('Say something to begin').waitFor();
    assert.equal(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage })), '{}', 'nothing is left in the browser');
    assert.deepEqual(complaints, []);
    await close();
  });

  test('stop ends the answer and keeps what came', async () => {
    const { page, complaints, close } = await enter();
    await page.locator('option', { hasText: MODEL }).first().waitFor({ state: 'attached' });
    await ask(page, '[[tokens=600 reasoning=0 delay=50]] A long story.');
    const text = page.locator('.playground-answer > .playground-text');
    await text.waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped.').first().waitFor();
    assert.ok((await text.textContent()).length > 0);
    await page.getByRole('button', { name: 'Send' }).waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('an error says what to do and asks again in its place', async () => {
    const { page, complaints, close } = await enter({}, '#/playground?model=fast-and-small');
    await page.getByLabel('Model or pool').and(page.locator('select:enabled')).waitFor();
    assert.equal(await page.getByLabel('Model or pool').inputValue(), 'fast-and-small');
    const fault = pool.sim.fault({ kind: 'status', status: 400, body: { message: 'temperature is wrong <b>here</b>', type: 'invalid_request_error', param: 'temperature', code: 'wrong' } });
    await ask(page, 'Hello');
    await page.getByText('did not accept the request').waitFor();
    await page.getByText('<b>here</b>').waitFor();
    await picture(page, 'playground-error');
    fault.remove();
    await page.getByRole('button', { name: 'Ask again' }).click();
    await page.getByText('In all').waitFor();
    assert.equal(await page.locator('.playground-turn').count(), 1);
    const cut = pool.sim.fault({ kind: 'error-event', afterChunks: 3, event: { status: 500, error: { message: 'it broke', type: 'api_error', param: '', code: '' } } });
    await ask(page, '[[reasoning=0]] Once more');
    await page.getByText('The answer broke off.').waitFor();
    cut.remove();
    await page.getByLabel('Temperature').fill('3');
    await page.getByText('A number from 0 to 2.').waitFor();
    await page.getByRole('textbox', { name: 'Message', exact: true }).fill('not sent');
    assert.ok(await page.getByRole('button', { name: 'Send' }).isDisabled());
    assert.deepEqual(complaints, []);
    await close();
  });

  for (const [locale, words] of [['en-US', { message: 'Message', total: 'In all' }], ['zh-CN', { message: '消息', total: '总用时' }]]) {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [360, 1280]) {
        test(`fits and is accessible (${locale}, ${colorScheme}, ${width} px)`, async () => {
          const { page, complaints, close } = await enter({ locale, colorScheme, viewport: { width, height: 860 } });
          await page.locator('option', { hasText: MODEL }).first().waitFor({ state: 'attached' });
          await assertFits(page);
          await picture(page, `playground-empty-${locale}-${colorScheme}-${width}`);
          await page.getByRole('textbox', { name: words.message, exact: true }).fill('[[tokens=120]] What is a round robin?');
          await page.keyboard.press('Control+Enter');
          await page.getByText(words.total, { exact: true }).waitFor();
          await assertFits(page);
          await picture(page, `playground-${locale}-${colorScheme}-${width}`);
          await assertAccessible(page);
          assert.deepEqual(complaints, []);
          await close();
        });
      }
    }
  }
});
