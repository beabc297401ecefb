// needs: python
// The official clients for Python against the built Worker, unchanged: only their base URL and API key are set.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { needs } from '../../../scripts/lib/needs.mjs';
import { MODEL, spoken, startPool, TOKEN } from './pool.mjs';
import { pythonClient } from './python.mjs';
import { describeClient, statusClasses } from './scenarios.mjs';

const python = needs.python.find();
if (!python) {
  test('the Python clients', { skip: `no Python has them; to run this: ${needs.python.how}` });
} else {
  const drivers = { openai: pythonClient(python, 'openai'), cerebras: pythonClient(python, 'cerebras') };
  let pool;
  before(async () => {
    pool = await startPool();
  });
  after(async () => {
    await Promise.all(Object.values(drivers).map((driver) => driver.stop()));
    await pool?.stop();
  });

  describeClient({
    name: 'openai for Python',
    bases: ['/v1'],
    driver: drivers.openai,
    classes: { ...statusClasses, midStream: 'APIError' },
  }, () => pool);

  describeClient({
    name: 'Cerebras SDK for Python',
    bases: ['', '/v1'],
    warms: true,
    driver: drivers.cerebras,
    // It reads the status in the event.
    classes: { ...statusClasses, midStream: 'InternalServerError' },
  }, () => pool);

  for (const [name, base] of [['openai', '/v1'], ['cerebras', '']]) {
    test(`the asynchronous ${name} client gets the same, streamed and not`, { timeout: 30_000 }, async () => {
      const task = { base: pool.url + base, token: TOKEN, asynchronous: true, params: { model: MODEL, messages: [{ role: 'user', content: '[[tokens=50 reasoning=10]] Go on.' }] } };
      for (const stream of [false, true]) {
        const { turns, error } = await drivers[name].chat({ ...task, stream });
        assert.equal(error, undefined, JSON.stringify(error));
        const told = await spoken(pool, turns[0].id);
        assert.deepEqual([turns[0].text, turns[0].reasoning, turns[0].usage], [told.text, told.reasoning, told.usage]);
      }
    });
  }
}
