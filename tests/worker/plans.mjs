// How the database answers a call: which statements the Worker sent, and the plan of each.
//
//   const pool = await startPool({ worker: { edges: 1, edgeEntry: PLAN_ENTRY } });
//   const { body, plans } = await (await planner(pool))('/api/keys');
import assert from 'node:assert/strict';
import { PASSWORD } from '../harness/rondo.mjs';

// The isolate whose statements are told, by a header of the answer, and which explains them: Miniflare's own way to the
// database from outside does not stand so many calls.
export const PLAN_ENTRY = `
import Worker from './index.js';
export * from './index.js';
let sql = [];
let wrapped = false;
export default class extends Worker {
  async fetch(request) {
    if (new URL(request.url).pathname === '/test/plan') {
      const { text, values } = await request.json();
      const { results } = await this.env.DB.prepare('EXPLAIN QUERY PLAN ' + text).bind(...values).all();
      return Response.json(results.map(({ detail }) => detail));
    }
    if (!wrapped) {
      wrapped = true;
      const database = this.env.DB.constructor.prototype;
      const real = database.prepare;
      database.prepare = function (text) { sql.push(text); return real.call(this, text); };
    }
    sql = [];
    const response = await super.fetch(request);
    const headers = new Headers(response.headers);
    headers.set('x-test-sql', encodeURIComponent(JSON.stringify(sql)));
    return new Response(response.body, { status: response.status, headers });
  }
}`;

/** Signs in at the first edge of `pool`, whose entry is PLAN_ENTRY. */
export async function planner({ rondo }) {
  const [edge] = rondo.edges;
  const login = await fetch(`${edge}/api/auth/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ password: PASSWORD }) });
  const { token } = await login.json();
  const known = new Map();
  /** The steps of a statement's plan. */
  const planOf = async (sql) => {
    if (!known.has(sql)) {
      const places = Math.max(0, ...[...sql.matchAll(/\?(\d+)/g)].map(([, place]) => Number(place)));
      const response = await fetch(`${edge}/test/plan`, { method: 'POST', body: JSON.stringify({ text: sql, values: Array(places).fill('x') }) });
      const text = await response.text();
      assert.equal(response.status, 200, `${sql}: ${text.slice(0, 300)}`);
      known.set(sql, JSON.parse(text));
    }
    return known.get(sql);
  };
  /** What a GET answers, and each statement that was sent for it, in order, with its plan if it reads. */
  return async (path) => {
    const response = await fetch(edge + path, { headers: { authorization: `Bearer ${token}` } });
    const text = await response.text();
    assert.equal(response.status, 200, `${path}: ${text.slice(0, 300)}`);
    const plans = [];
    for (const sql of JSON.parse(decodeURIComponent(response.headers.get('x-test-sql')))) {
      if (/^\s*(SELECT|WITH|DELETE|UPDATE)/i.test(sql)) plans.push({ sql, steps: await planOf(sql) });
    }
    assert.ok(plans.length > 0 || path === '/api/keys/suggestions', `${path} asks the database`);
    return { body: JSON.parse(text), plans };
  };
}
