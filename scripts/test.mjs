// npm test: everything, in order, with one closing line `N passed, N failed`.
// npm test -- NAME…: only the steps and test files whose name contains a NAME.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from './lib/build.mjs';
import { cargoCounts, nodeCounts, withExitCode } from './lib/counts.mjs';
import { needs } from './lib/needs.mjs';
import { inRoot, npmBin, root } from './lib/paths.mjs';
import { run, runMain, say } from './lib/run.mjs';
import { setup } from './lib/tools.mjs';

const WASM = ['--target', 'wasm32-unknown-unknown'];
const TEST_FOLDERS = ['tests/upstream', 'tests/worker', 'tests/ui'];
/** Each file starts its own workerd (and some a browser); more at once only slow each other down. */
const CONCURRENCY = 2;

/** Steps of cargo; those without `counts` are one check each. */
const cargoSteps = [
  { name: 'format', args: ['fmt', '--all', '--check'] },
  { name: 'clippy', args: ['clippy', '--workspace', '--all-targets', '--locked', '--', '-D', 'warnings'] },
  { name: 'clippy-wasm', args: ['clippy', '--workspace', '--locked', ...WASM, '--', '-D', 'warnings'] },
  { name: 'cargo-test', args: ['test', '--workspace', '--locked'], counts: cargoCounts },
];

const results = [];
const leftOut = [];

/** Runs one step, live, and notes its counts and its time. */
async function step(name, work) {
  say(`\n== ${name}`);
  const begun = performance.now();
  let counts;
  try {
    counts = await work();
  } catch (error) {
    say(error.message);
    counts = { passed: 0, failed: 1, ignored: 0 };
  }
  results.push({ name, ...counts, seconds: (performance.now() - begun) / 1000 });
  return counts.failed === 0;
}

async function cargo({ args, counts }) {
  const { code, output } = await run('cargo', args, { cwd: root, onOutput: counts && (() => {}) });
  if (counts) return withExitCode(counts(output), code);
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, ignored: 0 };
}

/** The test files that match and can run here; the others are noted in `leftOut`. */
function testFiles(matches) {
  const files = [];
  for (const folder of TEST_FOLDERS.filter((folder) => existsSync(inRoot(folder)))) {
    for (const entry of readdirSync(inRoot(folder), { recursive: true }).map(String).sort()) {
      const path = `${folder}/${entry.replaceAll('\\', '/')}`;
      if (!path.endsWith('.test.mjs') || !matches(path)) continue;
      const wanted = [
        ...readFileSync(inRoot(path), 'utf8')
          .slice(0, 2_000)
          .matchAll(/^\/\/ needs: (\w+)$/gm),
      ].map((match) => match[1]);
      const missing = wanted.find((need) => !needs[need]?.find());
      if (missing) leftOut.push({ path, missing });
      else files.push(path);
    }
  }
  return files;
}

async function nodeTests(files) {
  const folder = mkdtempSync(join(tmpdir(), 'rondo-tests-'));
  const report = join(folder, 'report.tap');
  const [major, minor] = process.versions.node.split('.').map(Number);
  const args = [
    '--test',
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=tap',
    `--test-reporter-destination=${report}`,
  ];
  if (major > 20 || minor >= 10) args.push(`--test-concurrency=${CONCURRENCY}`);
  // A test that hangs must not hold up the others for ever.
  args.push('--test-timeout=600000');
  // What was built above is what all files test, also when a source changes meanwhile.
  const mode = process.env.RONDO_BUILD || 'release';
  const env = { RONDO_BUILD: mode === 'release' ? 'skip' : mode };
  for (const [name, variable] of [
    ['python', 'RONDO_PYTHON'],
    ['chromium', 'RONDO_CHROMIUM'],
  ]) {
    const path = needs[name].find();
    if (path) env[variable] = path;
  }
  try {
    const { code } = await run(process.execPath, [...args, ...files], { cwd: root, env });
    return withExitCode(nodeCounts(readFileSync(report, 'utf8')), code);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function summary() {
  say('');
  for (const { name, passed, failed, ignored, seconds } of results) {
    say(
      `${failed ? '✖' : '✔'} ${name.padEnd(12)} ${passed} passed, ${failed} failed${ignored ? `, ${ignored} ignored` : ''} (${seconds.toFixed(1)} s)`,
    );
  }
  for (const missing of new Set(leftOut.map((entry) => entry.missing))) {
    const paths = leftOut.filter((entry) => entry.missing === missing).map((entry) => entry.path);
    say(`left out, for want of ${missing}: ${paths.join(', ')}`);
    say(
      `  to run them: ${needs[missing]?.how ?? 'the file names a need that scripts/lib/needs.mjs does not know'}`,
    );
  }
  const total = (field) => results.reduce((sum, result) => sum + result[field], 0);
  console.log(`${total('passed')} passed, ${total('failed')} failed`);
  return total('failed') > 0 || results.length === 0 ? 1 : 0;
}

await runMain(async () => {
  const names = process.argv.slice(2);
  const matches = (name) => names.length === 0 || names.some((part) => name.includes(part));
  await setup();
  for (const cargoStep of cargoSteps.filter(({ name }) => matches(name))) {
    await step(cargoStep.name, () => cargo(cargoStep));
  }
  if (matches('types')) {
    // The page's types; setup has installed the compiler by now.
    await step('types', async () => {
      const { code } = await run(npmBin('tsc'), ['-p', 'admin-ui', '--noEmit'], { cwd: root });
      return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, ignored: 0 };
    });
  }
  const files = testFiles(matches);
  if (files.length > 0) {
    let built = true;
    try {
      await build();
    } catch (error) {
      built = false;
      await step('build', () => {
        throw error;
      });
    }
    if (built) await step('node-test', () => nodeTests(files));
  }
  if (results.length === 0) say(`nothing is named like ${names.join(' or ')}`);
  return summary();
});
