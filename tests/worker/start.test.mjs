// `npm start` as a user meets it: what it prints, what it keeps, how it ends.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { build } from '../../scripts/lib/build.mjs';
import { inRoot } from '../../scripts/lib/paths.mjs';

const START_MS = 20_000;
const STOP_MS = 5_000;

/** Starts the command in a folder of its own; `env` over a neutral environment. */
function start(state, env = {}, args = []) {
  const inherited = { ...process.env };
  for (const name of Object.keys(inherited))
    if (/^(CEREBRAS_|RONDO_STATE|AUTH_PASSWORD|PORT$|NODE_TEST)/.test(name)) delete inherited[name];
  const child = spawn(process.execPath, [inRoot('scripts', 'start.mjs'), ...args], {
    env: { ...inherited, PORT: '0', RONDO_STATE: state, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // As in a terminal: a Ctrl-C reaches the whole group.
    detached: true,
  });
  const lines = [];
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text));
  const exited = once(child, 'exit');
  const listening = new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`not listening after ${START_MS} ms\n${lines.join('\n')}\n${errors}`)),
      START_MS,
    );
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      const address = /^Listening on (http:\S+)$/.exec(line)?.[1];
      if (address) {
        clearTimeout(timer);
        resolve(address);
      }
    });
    exited.then(() => {
      clearTimeout(timer);
      reject(new Error(`ended before it listened\n${lines.join('\n')}\n${errors}`));
    });
  });
  listening.catch(() => {});
  return {
    child,
    lines,
    listening,
    exited,
    errors: () => errors,
    setupCode: () => lines.map((line) => /^Setup code: (\S+)$/.exec(line)?.[1]).find(Boolean),
    curl: () => lines.map((line) => line.trim()).find((line) => line.startsWith('curl ')),
    async stop(signal = 'SIGINT') {
      const begun = performance.now();
      if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, signal);
      await exited;
      return performance.now() - begun;
    },
  };
}

describe('npm start', async () => {
  await build({ quiet: true });
  const folder = mkdtempSync(join(tmpdir(), 'rondo-start-'));
  const started = [];
  const startTracked = (...args) => {
    const rondo = start(...args);
    started.push(rondo);
    return rondo;
  };
  after(async () => {
    for (const rondo of started) await rondo.stop('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  });

  test('without a key is a demo whose printed curl line works, with a fresh token each start', async () => {
    const state = join(folder, 'demo');
    const curls = [];
    for (const round of [1, 2]) {
      const rondo = startTracked(state);
      await rondo.listening;
      assert.match(rondo.lines.join('\n'), /DEMO/, `round ${round}`);
      const line = rondo.curl();
      curls.push(line);
      const { stdout } = await promisify(execFile)('sh', ['-c', line]);
      assert.match(stdout, /^data: \{/m);
      assert.match(stdout, /^data: \[DONE\]$/m);
      assert.ok((await rondo.stop()) < STOP_MS);
    }
    const token = (line) => /Bearer (rk-\S+)'/.exec(line)[1];
    assert.notEqual(token(curls[0]), token(curls[1]));
    assert.deepEqual(readdirSync(state), ['demo'], 'the demo keeps its state apart');
  });

  test('with a key keeps its secrets, mode 0600, and the same setup code until a password is set', async () => {
    const state = join(folder, 'real');
    const env = { CEREBRAS_API_KEYS: 'csk-a , csk-b', CEREBRAS_BASE_URL: 'http://127.0.0.1:9' };
    const first = startTracked(state, env);
    await first.listening;
    assert.doesNotMatch(first.lines.join('\n'), /DEMO/);
    const path = join(state, 'secrets.json');
    const secrets = JSON.parse(readFileSync(path, 'utf8'));
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(Buffer.from(secrets.ENCRYPTION_KEY, 'base64').length, 32);
    assert.equal(first.setupCode(), secrets.SETUP_TOKEN);
    await first.stop('SIGTERM');
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), secrets);
    const second = startTracked(state, env);
    await second.listening;
    assert.equal(second.setupCode(), secrets.SETUP_TOKEN);
    await second.stop();
  });

  test('is no demo any more once its state holds a key, and is one again without', async () => {
    const state = join(folder, 'stored');
    const first = startTracked(state, {}, ['--no-demo']);
    const url = await first.listening;
    assert.doesNotMatch(first.lines.join('\n'), /DEMO/);
    const post = (path, body, token) =>
      fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
        body: JSON.stringify(body),
      });
    const password = 'a long enough password';
    const session = await post('/api/auth/setup', { password, setup_code: first.setupCode() });
    assert.equal(session.status, 201);
    const { token } = await session.json();
    const added = await post(
      '/api/keys',
      { key: 'csk-0123456789abcdef0123456789abcdef0123456789abcdef' },
      token,
    );
    assert.equal(added.status, 201, await added.clone().text());
    const { id } = await added.json();
    await first.stop();

    const second = startTracked(state);
    const again = await second.listening;
    assert.doesNotMatch(second.lines.join('\n'), /DEMO/);
    assert.equal(second.setupCode(), undefined, 'the password is set');
    const removed = await fetch(`${again}/api/keys/${id}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(removed.status, 204);
    await second.stop();

    const third = startTracked(state);
    await third.listening;
    assert.match(third.lines.join('\n'), /DEMO/);
    await third.stop();
  });

  test('refuses a second run on the same state and says how to choose another', async () => {
    const state = join(folder, 'shared');
    const first = startTracked(state);
    await first.listening;
    const second = startTracked(state);
    await assert.rejects(second.listening);
    assert.match(second.errors(), /another Rondo runs on .*RONDO_STATE/);
    assert.equal(second.child.exitCode, 1);
    await first.stop();
  });

  test('names a port that is in use, and how to choose another', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    const rondo = startTracked(join(folder, 'port'), { PORT: String(port) });
    await assert.rejects(rondo.listening);
    assert.match(rondo.errors(), new RegExp(`port ${port} is in use.*PORT=`));
    server.close();
  });

  test('ends the server when the command itself is killed', async () => {
    const rondo = startTracked(join(folder, 'killed'));
    const url = await rondo.listening;
    rondo.child.kill('SIGKILL');
    // The server prints into the same pipe; its end is the server's end.
    await once(rondo.child, 'close');
    await assert.rejects(fetch(`${url}/healthz`));
  });
});
