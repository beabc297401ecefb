// How long the page's tasks take at 20,000 keys: node bench/admin-page.mjs. Needs the state of `npm run fill` and Chromium.
// Told of each step: the longest task of the page's main thread by the clock and by the processor's time, which other
// work on the machine does not lengthen, and how many rows and elements are in the document.
import { launch, open } from '../tests/ui/browser.mjs';
import { runMain } from '../scripts/lib/run.mjs';
import { ask, serveFilled } from './admin.mjs';

const REQUESTS = 1_000;

await runMain(async () => {
  const served = await serveFilled();
  const browser = await launch();
  try {
    const { url } = served.rondo;
    const [name, ...value] = served.cookie.split('=');
    const cookies = [{ name, value: value.join('='), domain: '127.0.0.1', path: '/', httpOnly: true, secure: false, sameSite: 'Strict', expires: -1 }];
    const { page, close } = await open(browser, `${url}/#/overview`, { storageState: { cookies, origins: [] } });
    console.log('| step | longest task, CPU ms | by the clock ms | table rows | elements |\n| --- | --- | --- | --- | --- |');
    const calm = () => page.evaluate(() => new Promise((done) => requestIdleCallback(() => setTimeout(done, 400))));
    const step = async (what, act) => {
      await calm();
      await browser.startTracing(page, { categories: ['disabled-by-default-devtools.timeline', '__metadata'] });
      await act();
      await calm();
      const { traceEvents } = JSON.parse(String(await browser.stopTracing()));
      const mains = traceEvents.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(({ pid, tid }) => `${pid} ${tid}`);
      const tasks = traceEvents.filter(({ name, pid, tid }) => name === 'RunTask' && mains.includes(`${pid} ${tid}`));
      const longest = (of) => (Math.max(0, ...tasks.map((task) => task[of] ?? 0)) / 1_000).toFixed(0);
      const { rows, elements } = await page.evaluate(() => ({ rows: document.querySelectorAll('tbody tr').length, elements: document.querySelectorAll('*').length }));
      console.log(`| ${what} | ${longest('tdur')} | ${longest('dur')} | ${rows} | ${elements} |`);
    };
    const to = (hash, selector) => async () => {
      await page.evaluate((next) => { location.hash = next; }, hash);
      await page.waitForSelector(selector, { state: 'attached' });
    };
    const scroll = async () => {
      for (let n = 0; n < 30; n += 1) {
        await page.mouse.wheel(0, 400);
        await page.waitForTimeout(30);
      }
      for (let n = 0; n < 10; n += 1) {
        await page.mouse.wheel(0, -1_200);
        await page.waitForTimeout(30);
      }
    };
    const loaded = () => page.waitForFunction(() => !document.querySelector('.table-frame[aria-busy]'));
    await step('Overview: first', () => page.waitForSelector('.page'));
    await step('Overview: scroll', scroll);
    for (const name of await page.locator('.overview-period button, [role=radio], .tabs [role=tab]').allTextContents()) await step(`Overview: ${name}`, () => page.getByText(name, { exact: true }).first().click());
    await step('Keys: first', to('#/keys', '.keys-list tbody tr'));
    await step('Keys: scroll', scroll);
    for (const size of ['100', '200', '50', '200']) await step(`Keys: ${size} a page`, async () => { await page.getByLabel('Keys a page').selectOption(size); await loaded(); });
    await step('Keys: scroll at 200', scroll);
    await step('Keys: select all', () => page.getByLabel('Select all on this page').check());
    await step('Keys: clear', () => page.getByRole('button', { name: 'Clear selection' }).click());
    for (const column of ['Requests', 'Key', 'State']) await step(`Keys: sort by ${column}`, async () => { await page.locator('thead').getByRole('button', { name: column, exact: true }).click(); await loaded(); });
    await step('Keys: type a search', async () => { await page.getByRole('searchbox', { name: 'Search' }).pressSequentially('team 42', { delay: 60 }); await page.waitForTimeout(400); await loaded(); });
    await step('Keys: clear the search', async () => { await page.getByRole('searchbox', { name: 'Search' }).fill(''); await page.waitForTimeout(400); await loaded(); });
    await step('Keys: type a group', async () => { await page.getByRole('searchbox', { name: 'Quota group' }).or(page.getByRole('combobox', { name: 'Quota group' })).pressSequentially('org-01', { delay: 60 }); await page.waitForTimeout(500); await loaded(); });
    await step('Keys: state', async () => { await page.getByRole('link', { name: /^Cooling/ }).click(); await loaded(); });
    await step('Keys: next page', async () => { await page.evaluate(() => { location.hash = '#/keys?per_page=200&page=100'; }); await page.waitForTimeout(300); await loaded(); });
    await step('Tokens: first', to('#/tokens', '.tokens-list tbody tr'));
    await step('Tokens: scroll', scroll);
    await step('Tokens: type a search', async () => { await page.getByRole('searchbox', { name: 'Search' }).pressSequentially('website', { delay: 60 }); await page.waitForTimeout(400); await loaded(); });
    await step('Models: first', to('#/models', '.page h2'));
    await step('Models: scroll', scroll);
    // Not before: the Coordinator forgets recent requests when it rests.
    await ask(served, REQUESTS);
    await step('Requests: first', to('#/requests', '.requests-list tbody tr'));
    await step('Requests: scroll', scroll);
    for (let n = 0; n < 4; n += 1) {
      const more = page.locator('.requests-more button');
      if (await more.count()) await step('Requests: more', () => more.last().click());
    }
    await step('Requests: 100 live', () => ask(served, 100));
    await step('Keys: again', to('#/keys?per_page=200', '.keys-list tbody tr'));
    await close();
  } finally {
    await browser.close();
    await served.stop();
  }
});
