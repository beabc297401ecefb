// npm run first-run: does what a new user does, from a fresh clone to an answer that streams into the playground, and
// writes the steps with their times and pictures into docs/first-run.md. Needs chromium. The upstream is the simulator.
//
//   npm run first-run                  in a clone of what is committed here
//   npm run first-run -- --keep        leaves the clone where it is
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createSimulator } from '../tests/upstream/simulator.mjs';
import { launch, open } from '../tests/ui/browser.mjs';
import { inRoot, root } from './lib/paths.mjs';
import { mustRun, runMain, say } from './lib/run.mjs';

const PICTURES = 'docs/images';
const [BEGIN, END] = ['<!-- written by npm run first-run: begin -->', '<!-- end -->'];
const KEYS = Array.from({ length: 3 }, (_, n) => `csk-newuserx9hfk2p5m8c3v6t4r${String(n).padStart(6, '0')}`);
const PASSWORD = 'a password of my own';

const steps = [];
let last = performance.now();

/** Ends a step: what was done, what was seen, and a picture's name. */
function step(what, picture) {
  const now = performance.now();
  steps.push({ what, picture, seconds: (now - last) / 1_000 });
  say(`${((now - last) / 1_000).toFixed(1)} s  ${what}`);
  last = now;
}

/** `npm start` in that folder: the lines it prints, as they come. */
function start(folder, env) {
  const child = spawn('npm', ['start', '--silent', '--', '--no-demo'], { cwd: folder, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const lines = createInterface({ input: child.stdout });
  const found = {};
  const listening = new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const [, name, value] = /^(Setup code: |Listening on )(.*)$/.exec(line) ?? [];
      if (name === 'Setup code: ') found.code = value;
      if (name === 'Listening on ') resolve({ ...found, url: value });
    });
    child.on('exit', (code) => reject(new Error(`npm start ended with ${code}`)));
  });
  const stop = () => new Promise((resolve) => {
    child.on('exit', resolve);
    process.kill(-child.pid, 'SIGINT');
  });
  return { listening, stop };
}

async function walk(page, { url, code }) {
  const shot = (name) => page.screenshot({ path: inRoot(PICTURES, `first-run-${name}.png`) });
  await page.getByRole('heading', { name: 'Choose an admin password' }).waitFor();
  step(`The page asks for the setup code that \`npm start\` printed, and for a password.`, 'password');
  await page.getByLabel('Setup code').fill(code);
  await page.getByLabel('New password', { exact: true }).fill(PASSWORD);
  await page.getByLabel('New password again').fill(PASSWORD);
  await shot('password');
  await page.getByRole('button', { name: 'Set password' }).click();

  await page.getByRole('heading', { name: 'Add your API keys' }).waitFor();
  await page.getByRole('textbox', { name: 'Keys' }).fill(`CEREBRAS_API_KEYS=${KEYS.join(', ')}`);
  await page.getByText(`${KEYS.length} keys`, { exact: true }).waitFor();
  await shot('keys');
  await page.getByRole('button', { name: `Add ${KEYS.length} keys` }).click();
  await page.getByText(`${KEYS.length} keys added.`).waitFor();
  await page.getByRole('button', { name: 'Continue' }).click();
  step('Keys are pasted as they are found (here a line of an `.env` file); the page shows what it understood before it adds them.', 'keys');

  await page.getByRole('button', { name: 'Make token' }).click();
  await page.waitForSelector('#new-token');
  await shot('token');
  await page.getByRole('button', { name: 'Continue' }).click();
  step('A first token, shown once.', 'token');

  await page.getByRole('button', { name: 'Send' }).click();
  await page.getByText('It works.').waitFor();
  await shot('call');
  await page.getByRole('button', { name: 'Continue' }).click();
  step('A test call with that token, its answer streaming in.', 'call');

  await page.waitForSelector('#openai-base');
  await shot('connect');
  await page.getByRole('button', { name: 'Go to overview' }).click();
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  step('The lines to copy for the tool at hand, with the real address and the token.', 'connect');

  await page.goto(`${url}/#/playground`);
  await page.getByRole('textbox', { name: 'Message', exact: true }).fill('Why is the sky blue? [[tokens=160 delay=10]]');
  await page.keyboard.press('Control+Enter');
  await page.locator('.playground-figures').getByText(/^csk-…/).waitFor();
  await shot('playground');
  step('The playground: an answer streams in, with its time to the first token, its pace and its key.', 'playground');
}

function document(total, browserSeconds) {
  const rows = steps.map(({ what, seconds }, n) => `| ${n + 1} | ${what} | ${seconds.toFixed(1)} s |`);
  const pictures = steps.filter(({ picture }) => picture).map(({ what, picture }) => `### ${what.split(/[.;:]/)[0].replace(/ \(.*/, '')}\n\n![${what.replaceAll('`', '')}](images/first-run-${picture}.png)\n`);
  return [
    BEGIN,
    `${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}: ${total.toFixed(0)} s in all, ${browserSeconds.toFixed(0)} s of them in the browser (a script types faster than a person).`,
    '',
    '| | step | time |',
    '|---|---|---|',
    ...rows,
    '',
    ...pictures,
    END,
  ].join('\n');
}

await runMain(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rondo-first-run-'));
  mkdirSync(inRoot(PICTURES), { recursive: true });
  const sim = await createSimulator({ keys: KEYS });
  let browser;
  let server;
  try {
    const begun = (last = performance.now());
    await mustRun('git clone', 'git', ['clone', '--quiet', root, join(folder, 'rondo')], { cwd: folder });
    step('`git clone`, `cd rondo`');
    server = start(join(folder, 'rondo'), { PORT: '8799', CEREBRAS_BASE_URL: sim.url });
    const local = await server.listening;
    step('`npm start`: installs the packages and the build tools, builds the Worker and the page, and listens. Once; the next start takes seconds.');
    const opened = performance.now();
    browser = await launch();
    const { page, complaints } = await open(browser, local.url, { viewport: { width: 1100, height: 760 } });
    await walk(page, local);
    if (complaints.length > 0) throw new Error(complaints.join('\n'));
    const now = performance.now();
    const path = inRoot('docs/first-run.md');
    const text = readFileSync(path, 'utf8');
    const [before, after] = [text.slice(0, text.indexOf(BEGIN)), text.slice(text.indexOf(END) + END.length)];
    writeFileSync(path, before + document((now - begun) / 1_000, (now - opened) / 1_000) + after);
    say(`written: docs/first-run.md, ${PICTURES}/first-run-*.png`);
  } finally {
    await browser?.close();
    await server?.stop();
    await sim.close();
    if (!process.argv.includes('--keep')) rmSync(folder, { recursive: true, force: true });
  }
});
