// needs: chromium
// The page Requests: with made-up stories, and against what the Worker really keeps.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startPool } from '../harness/rondo.mjs';
import { assertFits, launch, picture } from './browser.mjs';
import { answerFor, story } from './figures.mjs';
import { openAt, violations } from './signed-in.mjs';

const ROWS = '.requests-list tbody tr';
/** How many the list has; of a long one only those near the window are in the document. */
const listed = async (page) => Number(await page.locator('.requests-list table').getAttribute('aria-rowcount')) - 1;

describe('the page Requests', () => {
  let pool;
  let browser;
  before(async () => {
    pool = await startPool({ keys: 3 });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await pool?.stop();
  });

  async function over(changes = {}, hash = '#/requests', options = {}) {
    let state;
    const opened = await openAt(browser, pool.rondo.url, hash, { ...options, prepare: async (page) => { state = await answerFor(page, changes); } });
    return { ...opened, state, rows: opened.page.locator(ROWS) };
  }
  const hrefOfFirst = (page) => page.locator(`${ROWS} a`).first().getAttribute('href');
  const until = (page, id) => page.waitForFunction((id) => document.querySelector('.requests-list tbody a')?.href.includes(id), id);

  test('new ones come in live at the top', async () => {
    const { page, state, complaints, close } = await over();
    await page.getByText('Live', { exact: true }).waitFor();
    assert.equal(await listed(page), 100);
    state.push(story(131));
    await until(page, 'req-00131');
    assert.equal(await listed(page), 101);
    await page.getByText('7 under way, 2 waiting').waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('paused, scrolled away or under the pointer, rows stay where they are and new ones are counted', async () => {
    const { page, state, close } = await over();
    await page.getByText('Live', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    state.push(story(131));
    const held = page.getByRole('button', { name: 'One new request is held back' });
    await held.waitFor();
    assert.match(await hrefOfFirst(page), /req-00130/);
    await page.getByRole('button', { name: 'Go on' }).click();
    await until(page, 'req-00131');

    await page.locator(ROWS).nth(2).hover();
    const before = await page.locator(ROWS).nth(2).boundingBox();
    state.push(story(132));
    await page.getByRole('button', { name: 'One new request' }).waitFor();
    assert.deepEqual(await page.locator(ROWS).nth(2).boundingBox(), before, 'nothing moved under the pointer');
    await page.mouse.move(5, 5);
    await until(page, 'req-00132');

    await page.evaluate(() => scrollTo(0, 900));
    await page.waitForFunction(() => scrollY > 800);
    state.push(story(133));
    await page.getByRole('button', { name: 'One new request' }).click();
    await until(page, 'req-00133');
    await page.waitForFunction(() => scrollY === 0);
    await close();
  });

  test('filters stand in the address, hold for live ones too, and can be cleared', async () => {
    const { page, state, rows, close } = await over();
    await page.getByLabel('Status').selectOption({ label: 'Errors only' });
    await page.waitForFunction(() => location.hash === '#/requests?status=error');
    await page.waitForFunction((rows) => document.querySelectorAll(rows).length === 24, ROWS);
    state.push(story(131));
    state.push(story(132, { status: 503, error: true }));
    await until(page, 'req-00132');
    assert.equal(await rows.count(), 25, 'the one that succeeded is left out');
    await page.getByLabel('Token').selectOption({ label: 'CI <b>runner</b>' });
    await page.waitForFunction(() => location.hash.includes('token=tok-ci'));
    await page.getByLabel('Model').selectOption('qwen-3.8-27b');
    await page.getByText('No request fits these filters.').waitFor();
    await page.getByRole('button', { name: 'Clear filters' }).first().click();
    await page.waitForFunction(() => document.querySelector('.requests-list table')?.getAttribute('aria-rowcount') === '101');
    assert.equal(await page.evaluate(() => location.hash), '#/requests');
    assert.ok(state.asked.some((search) => search.includes('status=error') && search.includes('token=tok-ci')));
    await close();
  });

  test('older ones can be loaded until there are no more', async () => {
    const { page, rows, close } = await over();
    await page.getByRole('button', { name: 'Load older ones' }).click();
    await page.getByText('Older requests are not kept.').waitFor();
    assert.equal(await listed(page), 130);
    await close();
  });

  test('a story has its own address, tells every attempt and why its key was taken, and closes back to its row', async () => {
    const { page, complaints, close } = await over();
    await page.locator('a[href*="req-00124"]').focus();
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: 'One request' });
    await dialog.waitFor();
    assert.equal(await page.evaluate(() => location.hash), '#/requests?id=req-00124');
    await dialog.getByText('Tokens set aside for it: 4,096.').waitFor();
    const text = await dialog.textContent();
    for (const part of ['csk-…0011', 'quota used up (429)', 'csk-…0015', 'answered', 'First token', 'Waiting', 'Requests ahead of it in the line: 3', 'its quota was not enough', 'and 12 more, not named', 'req-00124']) assert.ok(text.includes(part), part);
    await dialog.getByText('Why this key?').first().click();
    await page.waitForFunction(() => document.querySelectorAll('.requests-skipped').length === 2);
    await picture(page, 'requests-story');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    assert.equal(await page.evaluate(() => location.hash), '#/requests');
    assert.ok(await page.evaluate(() => document.activeElement?.getAttribute('href')?.includes('req-00124')), 'the focus is back');
    assert.deepEqual(complaints, []);
    await close();
  });

  test('the address of a story works by itself, also of one that is not in the list or not kept', async () => {
    const { page, close } = await over({}, '#/requests?id=req-00005');
    const dialog = page.getByRole('dialog', { name: 'One request' });
    await dialog.getByText('gpt-4o').first().waitFor();
    const text = await dialog.textContent();
    for (const part of ['Anthropic Messages', 'Changed on its way', 'messages.2.content.0.cache_control', 'left out', 'said in the upstream’s words']) assert.ok(text.includes(part), part);
    await picture(page, 'requests-notes');
    await page.getByRole('button', { name: 'Close' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.evaluate(() => { location.hash = '#/requests?id=nobody'; });
    await page.getByText('This request is not kept any more').waitFor();
    await page.goBack();
    await dialog.waitFor({ state: 'detached' });
    await close();
  });

  test('a failed load says so and can be tried again; decisions that are gone are no error', async () => {
    const { page, state, rows, close } = await over({ stories: 503, decisions: () => [] });
    const failure = page.getByRole('alert').filter({ hasText: 'made to fail' });
    await failure.waitFor();
    state.stories = [story(1)];
    await failure.getByRole('button', { name: 'Try again' }).click();
    await rows.first().waitFor();
    await page.locator(`${ROWS} a`).first().click();
    await page.getByText('No decision of its own is kept').waitFor();
    await close();
  });

  test('without the stream the list says so and is loaded again and again', async () => {
    const { page, state, close } = await over({ events: false });
    await page.getByText(/Live updates are lost/).waitFor();
    state.stories.push(story(131));
    await until(page, 'req-00131');
    await close();
  });

  test('shows what the Worker really kept', async (t) => {
    const kept = await pool.admin('GET', '/api/requests', undefined, { expect: [200, 404] });
    if (!kept?.items) return t.skip('this Worker has no /api/requests yet');
    const { page, complaints, close } = await openAt(browser, pool.rondo.url, '#/requests');
    await page.getByText('Live', { exact: true }).waitFor();
    const answer = await pool.chat({ messages: [{ role: 'user', content: 'A secret of mine' }] });
    const id = answer.headers.get('x-request-id');
    await until(page, id);
    await page.locator(`a[href*="${id}"]`).click();
    const dialog = page.getByRole('dialog', { name: 'One request' });
    await dialog.getByText('The answer, in full.').waitFor();
    await dialog.getByText('Why this key?').waitFor();
    assert.ok(!(await page.textContent('body')).includes('A secret of mine'));
    await picture(page, 'requests-real');
    assert.deepEqual(complaints, []);
    await close();
  });

  for (const [locale, words] of [['en-US', { live: 'Live', story: 'One request' }], ['zh-CN', { live: '实时', story: '请求详情' }]]) {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [360, 1280]) {
        test(`fits and is accessible (${locale}, ${colorScheme}, ${width} px)`, async () => {
          const { page, complaints, close } = await over({ stories: Array.from({ length: 24 }, (_, n) => story(n + 1)) }, '#/requests', { locale, colorScheme, viewport: { width, height: 800 } });
          await page.getByText(words.live, { exact: true }).waitFor();
          await assertFits(page);
          await picture(page, `requests-${locale}-${colorScheme}-${width}`);
          assert.deepEqual(await violations(page), []);
          // The first has been tried with several keys, the second was changed on its way.
          for (const id of ['req-00014', 'req-00016']) {
            await page.evaluate((next) => { location.hash = `#/requests?id=${next}`; }, id);
            await page.getByRole('dialog', { name: words.story }).getByText(id).waitFor();
            await page.waitForSelector('.requests-skipped');
            await assertFits(page);
            if (process.env.RONDO_SCREENSHOTS) await page.getByRole('dialog', { name: words.story }).screenshot({ path: `${process.env.RONDO_SCREENSHOTS}/${id}-${locale}-${colorScheme}-${width}.png` });
            assert.deepEqual(await violations(page), []);
          }
          assert.equal(await page.locator('.requests-notes li').count(), 3);
          assert.deepEqual(complaints, []);
          await close();
        });
      }
    }
  }
});
