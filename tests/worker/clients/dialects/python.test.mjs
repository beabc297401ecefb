// needs: python
// The official clients of the other dialects for Python against the built Worker, unchanged.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { needs } from '../../../../scripts/lib/needs.mjs';
import { MODEL, spoken, startPool, TOKEN } from '../pool.mjs';
import { pythonClient } from '../python.mjs';
import { describeClient, statusClasses } from '../scenarios.mjs';

const SCRIPT = new URL('./clients.py', import.meta.url);

const python = needs.python.find();
if (!python) {
  test('the Python clients of the other dialects', { skip: `no Python has them; to run this: ${needs.python.how}` });
} else {
  const names = ['anthropic', 'responses', 'genai'];
  const drivers = Object.fromEntries(names.map((name) => [name, pythonClient(python, name, SCRIPT)]));
  let pool;
  before(async () => {
    pool = await startPool();
  });
  after(async () => {
    await Promise.all(Object.values(drivers).map((driver) => driver.stop()));
    await pool?.stop();
  });

  describeClient({
    name: 'Anthropic for Python',
    bases: ['', '/v1'],
    translated: true,
    driver: drivers.anthropic,
    classes: { ...statusClasses, midStream: 'APIStatusError' },
  }, () => pool);

  describeClient({
    name: 'openai for Python, Responses',
    bases: ['/v1', ''],
    translated: true,
    driver: drivers.responses,
    classes: { ...statusClasses, midStream: 'APIError' },
  }, () => pool);

  describeClient({
    name: 'Google Gen AI for Python',
    bases: ['', '/v1'],
    translated: true,
    codeless: true,
    giveUp: true,
    driver: drivers.genai,
    classes: { 400: 'ClientError', 401: 'ClientError', 404: 'ClientError', 429: 'ClientError', 500: 'ServerError', midStream: 'ServerError' },
  }, () => pool);

  for (const name of names) {
    test(`the asynchronous client of ${name} gets the same, streamed and not`, { timeout: 30_000 }, async () => {
      const task = { base: `${pool.url}${name === 'responses' ? '/v1' : ''}`, token: TOKEN, asynchronous: true };
      const params = { model: MODEL, messages: [{ role: 'user', content: '[[tokens=50 reasoning=10]] Go on.' }] };
      for (const stream of [false, true]) {
        const { turns, error } = await drivers[name].chat({ ...task, params, stream });
        assert.equal(error, undefined, JSON.stringify(error));
        const told = await spoken(pool, turns[0].id);
        assert.deepEqual([turns[0].text, turns[0].reasoning, turns[0].usage], [told.text, told.reasoning, told.usage]);
      }
    });
  }
}
