// docs/openapi.json against the running Worker: every call it names is there, takes the methods it names and no
// other, asks for a session where it says so, and answers in the documented shape.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { startWorker } from '../harness/worker.mjs';
import { createSimulator } from '../upstream/simulator.mjs';
import { PASSWORD, SETUP_CODE, caller, keyNumber } from './admin-client.mjs';
import { until } from './proxy.mjs';

const document = JSON.parse(readFileSync(inRoot('docs', 'openapi.json'), 'utf8'));
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

const resolve = (node) => (node?.$ref ? node.$ref.slice(2).split('/').reduce((at, part) => at[part], document) : node);

/** The first way in which a value does not fit a schema, or undefined. Knows what the document uses. */
function misfit(schema, value, path = '$') {
  schema = resolve(schema);
  if (schema.oneOf) {
    const fitting = schema.oneOf.filter((option) => misfit(option, value, path) === undefined);
    return fitting.length === 1 ? undefined : `${path} fits ${fitting.length} of its forms`;
  }
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'integer' : typeof value;
  if (![schema.type].flat().includes(type)) return `${path} is ${type}, not ${schema.type}`;
  if (value === null) return undefined;
  if (schema.enum && !schema.enum.includes(value)) return `${path} is ${value}, none of ${schema.enum}`;
  if (schema.format === 'date-time' && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value)) return `${path} is no time: ${value}`;
  if (value < schema.minimum || value > schema.maximum) return `${path} is out of range: ${value}`;
  if (type === 'array') return value.map((item, index) => misfit(schema.items, item, `${path}[${index}]`)).find(Boolean);
  if (type !== 'object' || !schema.properties) return undefined;
  const missing = schema.required?.find((name) => !(name in value));
  if (missing) return `${path}.${missing} is missing`;
  for (const [name, inner] of Object.entries(value)) {
    if (!schema.properties[name]) return `${path}.${name} is not documented`;
    const wrong = misfit(schema.properties[name], inner, `${path}.${name}`);
    if (wrong) return wrong;
  }
  return undefined;
}

const fill = (template) => template.replace('{id}', 'k_0').replace('{pool}', 'some-pool');

describe('the documented admin API', () => {
  let sim;
  let rondo;
  let call;
  let token;
  before(async () => {
    sim = await createSimulator({ keys: [keyNumber(1)] });
    rondo = await startWorker({ bindings: { CEREBRAS_BASE_URL: sim.url, CEREBRAS_API_KEYS: keyNumber(1) } });
    call = caller(rondo);
  });
  after(async () => {
    await rondo?.stop();
    await sim?.close();
  });

  test('takes exactly the documented methods', async () => {
    for (const [template, item] of Object.entries(document.paths)) {
      const documented = METHODS.filter((method) => item[method.toLowerCase()]);
      for (const method of METHODS.filter((other) => !documented.includes(other))) {
        const answer = await call(method, fill(template), method === 'GET' ? undefined : {});
        assert.equal(answer.status, 405, `${method} ${template}`);
        assert.deepEqual(answer.headers.get('allow').split(', ').sort(), [...documented].sort(), template);
      }
    }
  });

  test('asks for a session wherever it is documented to', async () => {
    for (const [template, item] of Object.entries(document.paths)) {
      for (const method of METHODS.filter((name) => item[name.toLowerCase()])) {
        const open = item[method.toLowerCase()].security?.length === 0;
        const answer = await call(method, fill(template), method === 'GET' || method === 'DELETE' ? undefined : {});
        assert.equal(answer.status === 401, !open, `${method} ${template}: ${answer.status}`);
      }
    }
  });

  test('answers in the documented shapes, every documented success among them', async () => {
    const seen = new Set();
    const session = () => (token ? { authorization: `Bearer ${token}` } : {});
    // Sends a call and holds its answer against the document.
    const exchange = async (method, template, { path = template, body, headers } = {}) => {
      const answer = await call(method, path, body, { ...session(), ...headers });
      const name = `${method} ${template} ${answer.status}`;
      const documented = resolve(document.paths[template][method.toLowerCase()].responses[answer.status]);
      assert.ok(documented, `${name} is not documented: ${answer.text}`);
      const [type, content] = Object.entries(documented.content ?? {})[0] ?? [];
      if (type === undefined) assert.equal(answer.text, '', name);
      else {
        assert.equal(answer.headers.get('content-type').split(';')[0], type, name);
        if (answer.body !== undefined) assert.equal(misfit(content.schema, answer.body), undefined, name);
        else assert.ok(['text/event-stream', 'text/plain'].includes(type), name);
      }
      seen.add(name);
      return answer.body;
    };

    await exchange('POST', '/api/auth/setup', { body: { password: 'short', setup_code: SETUP_CODE } });
    ({ token } = await exchange('POST', '/api/auth/setup', { body: { password: PASSWORD, setup_code: SETUP_CODE } }));
    await exchange('POST', '/api/auth/setup', { body: { password: PASSWORD, setup_code: SETUP_CODE } });
    await exchange('GET', '/api/auth/status');
    await exchange('POST', '/api/auth/login', { body: { password: 'wrong' } });
    await exchange('POST', '/api/auth/login', { body: { password: PASSWORD } });

    const key = await exchange('POST', '/api/keys', { body: { key: keyNumber(2), label: 'a', group: 'g', base_url: sim.url } });
    await exchange('POST', '/api/keys', { body: { key: keyNumber(2) } });
    await exchange('POST', '/api/keys', { body: { key: keyNumber(3) }, headers: { 'content-type': 'text/plain' } });
    await exchange('POST', '/api/keys/batch', { body: { input: `${keyNumber(3)} ${keyNumber(3)} x` } });
    await exchange('PATCH', '/api/keys/{id}', { path: `/api/keys/${key.id}`, body: { weight: 2, group: null } });
    await exchange('PATCH', '/api/keys/{id}', { path: '/api/keys/k_0', body: { weight: 2 } });
    await exchange('POST', '/api/keys/{id}/test', { path: `/api/keys/${key.id}/test` });
    const { items } = await exchange('GET', '/api/keys');
    assert.deepEqual(items.map((item) => item.status).sort(), ['active', 'active', 'invalid']);
    const env = items.find((item) => item.source === 'env');
    await exchange('POST', '/api/keys/{id}/test', { path: `/api/keys/${env.id}/test` });
    await exchange('DELETE', '/api/keys/{id}', { path: `/api/keys/${env.id}` });
    await exchange('POST', '/api/keys/test', { body: { ids: [env.id] } });
    await exchange('POST', '/api/keys/export', { body: { password: PASSWORD } });
    // A request, so that there is something to explain.
    const client = 'rk-token-of-the-contract';
    await exchange('POST', '/api/tokens', { body: { name: 'client', token: client } });
    const chat = await rondo.fetch('/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${client}` },
      body: JSON.stringify({ model: 'gpt-oss-120b', messages: [{ role: 'user', content: 'Hello' }] }),
    });
    assert.equal(chat.status, 200, await chat.text());
    const decisions = await exchange('GET', '/api/decisions');
    assert.equal(decisions.items[0].outcome.kind, 'granted');
    await exchange('GET', '/api/decisions', { path: '/api/decisions?limit=0' });
    await exchange('POST', '/api/playground', { body: { model: 'gpt-oss-120b', messages: [{ role: 'user', content: 'Hello' }] } });
    await until(async () => (await exchange('GET', '/api/requests')).items.length === 2, 5_000, 'both requests are told');
    await exchange('GET', '/api/requests', { path: '/api/requests?status=fine' });
    // It would go on for 45 s.
    const leaving = new AbortController();
    const live = await rondo.fetch('/api/events', { headers: session(), signal: leaving.signal });
    assert.equal(live.headers.get('content-type').split(';')[0], Object.keys(document.paths['/api/events'].get.responses[live.status].content)[0]);
    seen.add(`GET /api/events ${live.status}`);
    leaving.abort();
    await exchange('GET', '/api/events', { path: '/api/events?since=x' });
    await exchange('GET', '/api/keys/{id}/limits', { path: `/api/keys/${env.id}/limits` });
    await exchange('GET', '/api/keys/{id}/limits', { path: '/api/keys/k_0/limits' });
    await exchange('POST', '/api/keys/group', { body: { ids: [env.id], group: 'g' } });
    await exchange('POST', '/api/keys/group', { body: { ids: [env.id] } });
    await exchange('POST', '/api/keys/enable', { body: { ids: [env.id], enabled: false } });
    await exchange('POST', '/api/keys/enable', { body: { ids: [env.id], enabled: true } });
    await exchange('POST', '/api/keys/enable', { body: { ids: [env.id] } });
    await exchange('GET', '/api/keys/ids', { path: '/api/keys/ids?group_prefix=G' });
    await exchange('GET', '/api/keys/ids', { path: '/api/keys/ids?page=2' });
    await exchange('GET', '/api/keys/groups', { path: '/api/keys/groups?q=G' });
    await exchange('GET', '/api/keys/groups', { path: '/api/keys/groups?limit=0' });
    await exchange('GET', '/api/keys/suggestions');
    const groups = ['group:g', `key:${key.id}`];
    await exchange('POST', '/api/keys/suggestions', { body: { groups, accept: false } });
    await exchange('POST', '/api/keys/suggestions', { body: { groups, accept: true } });
    await exchange('POST', '/api/keys/suggestions', { body: { groups, accept: true } });
    await exchange('DELETE', '/api/keys/{id}', { path: `/api/keys/${key.id}` });
    await exchange('POST', '/api/keys/delete', { body: { status: 'active' } });

    const made = await exchange('POST', '/api/tokens', { body: { name: 'a', models: ['m'], tokens_per_day: 5, expires_at: '2031-01-01T00:00:00Z' } });
    await exchange('POST', '/api/tokens', { body: {} });
    await exchange('GET', '/api/tokens', { path: '/api/tokens?q=A' });
    await exchange('PATCH', '/api/tokens/{id}', { path: `/api/tokens/${made.id}`, body: { models: null } });
    await exchange('DELETE', '/api/tokens/{id}', { path: `/api/tokens/${made.id}` });
    await exchange('DELETE', '/api/tokens/{id}', { path: `/api/tokens/${made.id}` });

    await exchange('PUT', '/api/models/{pool}', { path: '/api/models/fast', body: { strategy: 'order', members: ['m', { model: 'n', enabled: false }] } });
    await exchange('GET', '/api/models');
    await exchange('GET', '/api/models/catalog');
    await exchange('POST', '/api/models/catalog/refresh');
    await exchange('POST', '/api/models/test', { body: { model: 'gpt-oss-120b' } });
    await exchange('POST', '/api/models/test', { body: { model: 'a b' } });
    await exchange('DELETE', '/api/models/{pool}', { path: '/api/models/fast' });
    await exchange('DELETE', '/api/models/{pool}', { path: '/api/models/default' });
    await exchange('PATCH', '/api/settings', { body: { limit_overrides: [{ group: 'g', tokens_per_day: 5 }] } });
    await exchange('PATCH', '/api/settings', { body: { limit_overrides: [] } });
    await exchange('GET', '/api/settings');
    await exchange('GET', '/api/stats');
    const { series } = await exchange('GET', '/api/stats/series', { path: '/api/stats/series?step=hour' });
    assert.ok(series[0].points.length > 0);
    await exchange('GET', '/api/stats/series', { path: '/api/stats/series?by=key' });
    await exchange('GET', '/api/stats/series', { path: '/api/stats/series?by=pool' });
    const { fuel } = await exchange('GET', '/api/overview');
    assert.equal(fuel.cloudflare.items.length, 4);
    await exchange('GET', '/metrics');
    const backup = await exchange('POST', '/api/backup', { body: { password: PASSWORD } });
    assert.ok(backup.tokens.length > 0 && backup.pools.length > 0);
    await exchange('POST', '/api/restore', { body: { password: PASSWORD, backup: {} } });
    await exchange('POST', '/api/restore', { body: { password: PASSWORD, backup } });
    const { items: sessions } = await exchange('GET', '/api/sessions');
    await exchange('DELETE', '/api/sessions/{id}', { path: `/api/sessions/${sessions.find((one) => !one.current).id}` });
    await exchange('DELETE', '/api/sessions/{id}', { path: '/api/sessions/0000000000000000' });
    await exchange('POST', '/api/sessions/end_others');
    await exchange('GET', '/api/audit');

    await exchange('POST', '/api/auth/password', { body: { current: PASSWORD, new: `${PASSWORD} 2` } });
    ({ token } = await exchange('POST', '/api/auth/reset', { body: { password: PASSWORD, setup_code: SETUP_CODE } }));
    await exchange('POST', '/api/auth/logout');

    for (const [template, item] of Object.entries(document.paths)) {
      for (const method of METHODS.filter((name) => item[name.toLowerCase()])) {
        for (const status of Object.keys(item[method.toLowerCase()].responses).filter((code) => code < '300')) {
          assert.ok(seen.has(`${method} ${template} ${status}`), `${method} ${template} ${status} was not seen`);
        }
      }
    }
  });
});
