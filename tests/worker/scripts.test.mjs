// The scripts behind the npm commands: counting results, finding what is missing, deploying.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { build, digest } from '../../scripts/lib/build.mjs';
import { cargoCounts, nodeCounts, withExitCode } from '../../scripts/lib/counts.mjs';
import { deploy, onlyKeysMissing } from '../../scripts/lib/deploy.mjs';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { withoutRepeats } from '../../scripts/lib/wasm.mjs';

describe('counting test results', () => {
  test('adds up the binaries of cargo test', () => {
    const output =
      'test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured\n' +
      'noise\ntest result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured\n';
    assert.deepEqual(cargoCounts(output), { passed: 15, failed: 2, ignored: 1 });
  });

  test('counts a cancelled node test as failed', () => {
    assert.deepEqual(nodeCounts('# tests 5\n# pass 3\n# fail 1\n# cancelled 1\n# skipped 0\n# todo 0\n'), {
      passed: 3,
      failed: 2,
      ignored: 0,
    });
  });

  test('counts a runner that failed without a failed test as one failure', () => {
    assert.equal(withExitCode({ passed: 3, failed: 0, ignored: 0 }, 1).failed, 1);
    assert.equal(withExitCode({ passed: 3, failed: 2, ignored: 0 }, 1).failed, 2);
    assert.equal(withExitCode({ passed: 3, failed: 0, ignored: 0 }, 0).failed, 0);
  });
});

test('the entry module names each of our own modules once', () => {
  const [one, other] = ['"./snippets/a/glue.js":y', '"./snippets/b/more.js":z'];
  assert.equal(withoutRepeats(`{${one},${one}, ${one},${other},"./x.js":y}`), `{${one},${other},"./x.js":y}`);
  assert.equal(withoutRepeats(`{${one},${one}}`), `{${one}}`);
});

describe('a build', () => {
  test('has nothing to do when nothing changed', async () => {
    // Not `skip`, under which this could never fail.
    const mode = process.env.RONDO_BUILD === 'skip' ? 'release' : process.env.RONDO_BUILD;
    await build({ quiet: true, mode });
    assert.deepEqual((await build({ quiet: true, mode })).built, []);
  });

  test('is stale when a file of its inputs changes, and not when only its time does', () => {
    const folder = 'target/digest-probe';
    mkdirSync(inRoot(folder, 'inner'), { recursive: true });
    after(() => rmSync(inRoot(folder), { recursive: true, force: true }));
    const path = inRoot(folder, 'inner', 'a.rs');
    writeFileSync(path, 'one');
    const first = digest([folder], 'release');
    writeFileSync(path, 'one');
    assert.equal(digest([folder], 'release'), first);
    writeFileSync(path, 'two');
    assert.notEqual(digest([folder], 'release'), first);
    assert.notEqual(digest([folder], 'dev'), digest([folder], 'release'));
  });
});

describe('setup', () => {
  test('names what a machine lacks and how to get it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rondo-setup-'));
    after(() => rmSync(folder, { recursive: true, force: true }));
    cpSync(inRoot('scripts'), join(folder, 'scripts'), { recursive: true });
    for (const name of ['Cargo.lock', 'rust-toolchain.toml', 'package.json', 'package-lock.json'])
      cpSync(inRoot(name), join(folder, name));
    // A PATH with Node alone: no cargo, no compiler.
    mkdirSync(join(folder, 'bin'));
    symlinkSync(process.execPath, join(folder, 'bin', 'node'));
    const error = await new Promise((resolve) => {
      execFile(
        process.execPath,
        [join(folder, 'scripts', 'setup.mjs')],
        { env: { PATH: join(folder, 'bin'), HOME: folder } },
        (error, _, stderr) => resolve({ code: error?.code, stderr }),
      );
    });
    assert.equal(error.code, 1);
    assert.match(error.stderr, /rustup\.rs/);
    assert.match(error.stderr, /C compiler/);
    assert.doesNotMatch(error.stderr, /\n\s+at /, 'a stack trace helps nobody here');
  });
});

test('the lock file names no host to download from', () => {
  const { packages } = JSON.parse(readFileSync(inRoot('package-lock.json'), 'utf8'));
  for (const [path, entry] of Object.entries(packages)) {
    assert.match(entry.resolved ?? 'https://registry.npmjs.org/', /^https:\/\/registry\.npmjs\.org\//, path);
  }
});

/** A wrangler that plays one account: `secrets` is undefined while there is no Worker. */
function account({ loggedIn = true, secrets, sealed = 0, target = 'https://rondo.someone.workers.dev' }) {
  const calls = [];
  const wrangler = async (args, options = {}) => {
    calls.push(args.join(' '));
    const ok = (output) => ({ code: 0, output });
    switch (args.slice(0, 2).join(' ')) {
      case 'whoami --json':
        return { code: loggedIn ? 0 : 1, output: '{}' };
      case 'secret list':
        return secrets
          ? ok(JSON.stringify(secrets.map((name) => ({ name, type: 'secret_text' }))))
          : { code: 1, output: 'Worker "rondo" not found. [code: 10007]' };
      case 'd1 execute':
        return ok(JSON.stringify([{ results: [{ sealed }] }]));
      case 'deploy':
        return { code: 0, output: 'Uploaded', targets: target ? [target] : [] };
      case 'secret bulk':
        calls.push(Object.keys(JSON.parse(options.input)).join('+'));
        wrangler.set = JSON.parse(options.input);
        return ok('');
      default:
        throw new Error(`unexpected: wrangler ${args.join(' ')}`);
    }
  };
  return { calls, wrangler };
}

async function play(setting, answers = [{ status: 200, body: '' }]) {
  const { calls, wrangler } = account(setting);
  const printed = [];
  let time = 0;
  const fetched = [];
  const result = deploy({
    wrangler,
    fetch: async (url) => {
      fetched.push(url);
      const { status, body } = answers[Math.min(fetched.length, answers.length) - 1];
      return new Response(body, { status });
    },
    sleep: async (ms) => void (time += ms),
    now: () => time,
    print: (text) => printed.push(text),
  });
  return {
    outcome: await result.then(
      (url) => ({ url }),
      (error) => ({ error }),
    ),
    calls,
    printed: printed.join('\n'),
    fetched,
    set: wrangler.set,
  };
}

describe('npm run deploy', () => {
  test('makes both secrets at the first deployment, prints them, and waits until it is ready', async () => {
    const { outcome, calls, printed, fetched, set } = await play({}, [
      { status: 404, body: '' },
      { status: 503, body: '{"failing":["schema","keys"]}' },
      { status: 200, body: '' },
    ]);
    assert.equal(outcome.url, 'https://rondo.someone.workers.dev');
    assert.deepEqual(calls, [
      'whoami --json',
      'secret list --format json',
      'deploy',
      'secret bulk',
      'ENCRYPTION_KEY+SETUP_TOKEN',
    ]);
    assert.ok(Buffer.from(set.ENCRYPTION_KEY, 'base64').length === 32 && set.SETUP_TOKEN.length >= 32);
    assert.ok(printed.includes(set.ENCRYPTION_KEY) && printed.includes(`Setup code: ${set.SETUP_TOKEN}`));
    assert.deepEqual(fetched, Array(3).fill('https://rondo.someone.workers.dev/readyz'));
  });

  test('leaves existing secrets alone', async () => {
    const { outcome, calls, printed } = await play({
      secrets: ['ENCRYPTION_KEY', 'SETUP_TOKEN', 'CEREBRAS_API_KEYS'],
    });
    assert.ok(outcome.url);
    assert.deepEqual(calls, ['whoami --json', 'secret list --format json', 'deploy']);
    assert.doesNotMatch(printed, /ENCRYPTION_KEY|Setup code/);
  });

  test('never makes a second ENCRYPTION_KEY beside keys that are sealed under another', async () => {
    const { outcome, calls } = await play({ secrets: ['SETUP_TOKEN'], sealed: 1 });
    assert.match(outcome.error.message, /secret put ENCRYPTION_KEY/);
    assert.ok(!calls.includes('deploy'));
  });

  test('stops before anything when nobody is logged in, and says how to log in', async () => {
    const { outcome, calls } = await play({ loggedIn: false });
    assert.match(outcome.error.message, /wrangler login/);
    assert.deepEqual(calls, ['whoami --json']);
  });

  test('is done when only keys are missing, and gives up with the last answer otherwise', async () => {
    const first = await play({}, [{ status: 503, body: '{"failing":["keys"]}' }]);
    assert.match(first.printed, /waits for its first key/);
    const never = await play({}, [{ status: 503, body: '{"failing":["schema"]}' }]);
    assert.match(never.outcome.error.message, /not ready after 120 s: 503 .*schema/);
    assert.equal(onlyKeysMissing('no json'), false);
  });

  test('takes the address of a custom domain', async () => {
    const { outcome } = await play({ target: 'llm.example.com (custom domain)' });
    assert.equal(outcome.url, 'https://llm.example.com');
  });
});
