// What one admin call costs: D1 queries, round trips and bound values, counted in the built Worker against the
// platform's limits, which the local runtime does not enforce.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startWorker } from '../harness/worker.mjs';
import { PASSWORD, caller, keyNumber, logIn } from './admin-client.mjs';

/** Cloudflare's limits (core/src/limits.rs). */
const QUERIES = 50;
const PARAMETERS = 100;
const PARAMETER_BYTES = 2_000_000;
const STATEMENT_BYTES = 100_000;

// Wraps the database; each answer tells what its call cost. Calls are made one after the other.
const ENTRY = `
import Worker from './index.js';
export * from './index.js';
let cost;
const fresh = () => ({ queries: 0, trips: 0, parameters: 0, parameterBytes: 0, statementBytes: 0, object: 0 });
const counted = (prototype, name, wrap) => {
  const real = prototype[name];
  prototype[name] = function (...args) { wrap(...args); return real.apply(this, args); };
};
export default class extends Worker {
  async fetch(request) {
    if (!cost) {
      const database = this.env.DB.constructor.prototype;
      counted(database, 'prepare', (sql) => { cost.statementBytes = Math.max(cost.statementBytes, sql.length); });
      counted(database, 'batch', (statements) => { cost.trips += 1; cost.queries += statements.length; });
      const statement = this.env.DB.prepare ? Object.getPrototypeOf((cost = fresh(), this.env.DB.prepare('SELECT 1'))) : undefined;
      counted(statement, 'bind', (...values) => {
        cost.parameters = Math.max(cost.parameters, values.length);
        for (const value of values) cost.parameterBytes = Math.max(cost.parameterBytes, typeof value === 'string' ? value.length : 8);
      });
      for (const name of ['run', 'all', 'first', 'raw']) counted(statement, name, () => { cost.trips += 1; cost.queries += 1; });
    }
    cost = fresh();
    const response = await super.fetch(request);
    const headers = new Headers(response.headers);
    headers.set('x-test-cost', JSON.stringify(cost));
    return new Response(response.body, { status: response.status, headers });
  }
}`;

describe('one admin call', () => {
  let rondo;
  let api;
  before(async () => {
    // An isolate of its own: in the main one the object's queries would be counted too.
    rondo = await startWorker({ edges: 1, edgeEntry: ENTRY, bindings: { CEREBRAS_BASE_URL: 'http://127.0.0.1:9' } });
    await logIn(rondo);
    const edge = { fetch: (path, init) => fetch(new URL(path, rondo.edges[0]), init) };
    const { body } = await caller(edge)('POST', '/api/auth/login', { password: PASSWORD });
    api = caller(edge, { authorization: `Bearer ${body.token}` });
  });
  after(() => rondo?.stop());

  const cost = async (...args) => {
    const answer = await api(...args);
    assert.ok(answer.status < 300, answer.text.slice(0, 300));
    const spent = JSON.parse(answer.headers.get('x-test-cost'));
    assert.ok(spent.queries >= 1 && spent.queries <= QUERIES, `${args[1]}: ${spent.queries} queries`);
    assert.ok(spent.parameters <= PARAMETERS, `${spent.parameters} parameters`);
    assert.ok(spent.parameterBytes <= PARAMETER_BYTES, `${spent.parameterBytes} bytes`);
    assert.ok(spent.statementBytes <= STATEMENT_BYTES);
    if (process.env.RONDO_SHOW_COSTS) console.log(`${args[0]} ${args[1]}`, spent);
    return { ...spent, body: answer.body };
  };

  test('asks the database as seldom with many keys as with few', async () => {
    const first = await cost('POST', '/api/keys/batch', { input: keyNumber(0) });
    const input = Array.from({ length: 10_000 }, (_, n) => keyNumber(n + 1)).join('\n');
    const many = await cost('POST', '/api/keys/batch', { input });
    assert.equal(many.body.summary.added, 10_000);
    assert.ok(many.queries <= first.queries + 5, `${first.queries} queries for one key, ${many.queries} for 10,000`);
    assert.equal(many.trips, first.trips);

    const list = await cost('GET', '/api/keys?per_page=200&q=csk&sort=-requests');
    assert.ok(list.queries <= 3, `${list.queries} queries for a list`);
    const exported = await cost('POST', '/api/keys/export', { password: PASSWORD });
    assert.ok(exported.queries <= 7, `${exported.queries} queries for an export`);
    const ids = exported.body.keys.map((key) => key.id);
    assert.equal(ids.length, 10_001);
    const grouped = await cost('POST', '/api/keys/group', { ids: ids.slice(0, 10_000), group: 'all' });
    assert.equal(grouped.body.changed, 10_000);
    assert.ok(grouped.queries <= 4, `${grouped.queries} queries for a group`);
    const groups = ['group:all', `key:${ids[10_000]}`];
    const united = await cost('POST', '/api/keys/suggestions', { groups, accept: true });
    assert.deepEqual(united.body, { group: 'all', changed: 1 });
    assert.ok(united.queries <= 5, `${united.queries} queries for a confirmation`);
    const deleted = await cost('POST', '/api/keys/delete', { ids: ids.slice(0, 10_000) });
    assert.equal(deleted.body.deleted, 10_000);
    assert.ok(deleted.queries <= 4, `${deleted.queries} queries for a deletion`);
  });

  test('takes two round trips for an ordinary change', async () => {
    const made = await cost('POST', '/api/tokens', { name: 'counted' });
    for (const [method, path, body] of [
      ['PATCH', `/api/tokens/${made.body.id}`, { enabled: false }],
      ['PUT', '/api/models/counted', { members: ['m'] }],
      ['GET', '/api/decisions?limit=1000'], ['GET', '/api/keys/suggestions'],
      ['GET', '/api/models'], ['GET', '/api/settings'], ['GET', '/api/stats'], ['GET', '/api/audit'],
      ['GET', '/api/stats/series?by=key'], ['GET', '/api/overview'], ['GET', '/metrics'],
    ]) {
      const { trips, queries } = await cost(method, path, body);
      assert.ok(trips <= 2, `${method} ${path}: ${trips} round trips`);
      assert.ok(queries <= 5, `${method} ${path}: ${queries} queries`);
    }
  });

  test('reads the catalog in two round trips, and fetches it in three', async () => {
    // Nobody listens there: a failure is stored too, and the next look does not fetch again.
    assert.equal((await cost('POST', '/api/models/catalog/refresh')).trips, 3);
    assert.equal((await cost('GET', '/api/models/catalog')).trips, 2);
  });
});
