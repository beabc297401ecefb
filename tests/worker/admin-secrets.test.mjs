// Where secrets must not be: after a round of admin work the database file, KV, the log and every answer are
// searched for them in clear.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startWorker, testBindings } from '../harness/worker.mjs';
import { createSimulator } from '../upstream/simulator.mjs';
import { PASSWORD, SETUP_CODE, caller, keyNumber, logIn } from './admin-client.mjs';

test('no key, token, session, password or secret is found in clear in storage, log or answers', async () => {
  const persist = mkdtempSync(join(tmpdir(), 'rondo-secrets-'));
  const sim = await createSimulator({ keys: [keyNumber(1)] });
  const rondo = await startWorker({ persist, bindings: { CEREBRAS_BASE_URL: sim.url, CEREBRAS_API_KEYS: keyNumber(1), AUTH_PASSWORD: 'token-of-the-environment' } });
  const answers = [];
  const secrets = [1, 2, 3, 4].map(keyNumber).concat(PASSWORD, SETUP_CODE, testBindings.ENCRYPTION_KEY, 'token-of-the-environment');
  let stopped = false;
  try {
    const api = await logIn(rondo);
    secrets.push(api.token);
    const recorded = async (...args) => {
      const answer = await api(...args);
      answers.push(`${args[0]} ${args[1]} ${[...answer.headers].join(' ')} ${answer.text}`);
      return answer;
    };
    const added = await recorded('POST', '/api/keys', { key: keyNumber(2), label: 'x' });
    await recorded('POST', '/api/keys', { key: keyNumber(2) });
    await recorded('POST', '/api/keys', { key: `${keyNumber(2)} ` , weight: -1 });
    await recorded('POST', '/api/keys', `{"key": "${keyNumber(2)}"`);
    await recorded('POST', '/api/keys', { [keyNumber(2).slice(0, 4)]: keyNumber(2) });
    await recorded('POST', '/api/keys/batch', { input: `${keyNumber(3)}\n${keyNumber(3)}\n${keyNumber(4)}` });
    await recorded('POST', `/api/keys/${added.body.id}/test`);
    await recorded('POST', '/api/keys/test');
    const own = 'an-operators-own-token-value';
    secrets.push(own);
    await api('POST', '/api/tokens', { name: 'own', token: own });
    const made = await api('POST', '/api/tokens', { name: 'made' });
    secrets.push(made.body.token);
    await recorded('POST', '/api/tokens', { name: 'again', token: own });
    await caller(rondo)('POST', '/api/auth/login', { password: `${PASSWORD} wrong` });
    assert.equal((await api('POST', '/api/keys/export', { password: PASSWORD })).body.keys.length, 4);
    for (const path of ['/api/keys', '/api/tokens', '/api/models', '/api/settings', '/api/stats', '/api/audit', '/api/auth/status']) await recorded('GET', path);
    const chat = await rondo.fetch('/v1/chat/completions', {
      method: 'POST', headers: { authorization: `Bearer ${made.body.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'gpt-oss-120b', messages: [{ role: 'user', content: 'hello' }] }),
    });
    answers.push(await chat.text());
    const kv = await rondo.kv();
    const { keys } = await kv.list();
    const documents = await Promise.all(keys.map(({ name }) => kv.get(name)));
    await rondo.stop();
    stopped = true;

    const files = readdirSync(persist, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    assert.ok(files.some((file) => file.name.endsWith('.sqlite')));
    const places = [
      ...files.map((file) => [file.name, readFileSync(join(file.parentPath ?? file.path, file.name), 'latin1')]),
      ...documents.map((document) => ['KV', document ?? '']),
      ...answers.map((answer) => ['an answer', answer]),
      ['the log', rondo.logs.join('\n')],
    ];
    // The search itself works: what may be there is found.
    assert.ok(places.some(([, text]) => text.includes(added.body.id)));
    for (const [place, text] of places) {
      for (const [index, secret] of secrets.entries()) assert.ok(!text.includes(secret), `secret ${index} in ${place}`);
    }
  } finally {
    if (!stopped) await rondo.stop();
    await sim.close();
    rmSync(persist, { recursive: true, force: true });
  }
});
