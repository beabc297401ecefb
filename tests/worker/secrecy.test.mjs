// Keys and tokens in clear are found nowhere: not in stored files, KV, logs or answers.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { PASSWORD, startPool, TOKEN } from '../harness/rondo.mjs';
import { testBindings } from '../harness/worker.mjs';

const PROMPT = 'a-prompt-that-nobody-keeps-7f3a9c';

test('no secret, prompt or answer is stored, logged or answered', async () => {
  const persist = mkdtempSync(join(tmpdir(), 'rondo-secrecy-'));
  const pool = await startPool({ keys: 3, worker: { persist }, sim: { recordBodies: true } });
  const answers = [];
  try {
    const keep = async (response) => answers.push(`${JSON.stringify([...response.headers])}\n${await response.text()}`);
    const added = 'csk-addedbyhand7c4m9q2w8e5r1t6y3u';
    await pool.admin('POST', '/api/keys', { key: added, label: 'by hand' });
    const { token } = await pool.admin('POST', '/api/tokens', { name: 'shown once' });
    pool.sim.revoke(pool.names[0]);
    pool.sim.fault({ kind: 'status', status: 500, key: pool.names[1], times: 1 });
    for (const stream of [false, true, true]) {
      const response = await pool.chat({ stream, messages: [{ role: 'user', content: PROMPT }] }, { token });
      assert.equal(response.status, 200);
      await response.text();
    }
    const said = JSON.parse(pool.sim.records.find((record) => record.status === 200 && !record.stream).response.toString());
    const answer = said.choices[0].message.content.slice(0, 60);
    await keep(await pool.chat({ nonsense: true }, { token }));
    await keep(await pool.chat({}, { token: 'rk-wrong-token-value-000000' }));
    await keep(await pool.chat('{"broken', { token }));
    for (const path of ['/api/keys', '/api/tokens', '/api/stats', '/api/settings', '/api/models', '/api/audit', '/api/requests', '/health', '/readyz', '/v1/models']) {
      answers.push(JSON.stringify(await pool.admin('GET', path, undefined, { expect: [200, 401, 404, 503] })));
    }
    await pool.rondo.coordinator('/flush', { method: 'POST' });
    const kv = await pool.rondo.kv();
    const stored = [];
    for (const { name } of (await kv.list()).keys) stored.push([`KV ${name}`, await kv.get(name)]);
    const logs = pool.rondo.logs.join('\n');
    await pool.rondo.stop();
    for (const path of files(persist)) stored.push([path, readFileSync(path, 'latin1')]);
    assert.ok(stored.length >= 3, 'there are stored files to search');

    const secrets = { TOKEN, token, PASSWORD, added, PROMPT, answer, setup: testBindings.SETUP_TOKEN, master: testBindings.ENCRYPTION_KEY };
    pool.names.forEach((name, n) => (secrets[`key ${n}`] = name));
    for (const [what, secret] of Object.entries(secrets)) {
      const found = [...stored, ['logs', logs], ...answers.map((text) => ['answer', text])].filter(([, text]) => text.includes(secret));
      assert.deepEqual(found.map(([where]) => where), [], `${what} is found in clear`);
    }
  } finally {
    await pool.stop().catch(() => {});
    rmSync(persist, { recursive: true, force: true });
  }
});

function files(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? files(path) : [path];
  });
}
