// Every text that the admin API takes, tried with what has broken pages before: it comes back as it was sent, or is
// refused by its field's name; nothing is cut, and no answer grows with what was sent.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CONTROLS, HOSTILE, LONG } from '../harness/texts.mjs';
import { keyName, MODEL, PASSWORD, startPool, TOKEN } from '../harness/rondo.mjs';
import { assertProblem, caller, logIn } from './admin-client.mjs';
import { until } from './proxy.mjs';

/** What the upstream lists: what can be a model's id, and a name with everything. */
const MARKUP_MODEL = '<img/src=x/onerror=globalThis.broken=1>"\'%${x}{{y}}';
/** Most bytes of a refusal, whatever was sent. */
const REFUSAL_BYTES = 1_500;

describe('texts that the API takes', () => {
  let pool;
  let api;
  let id;
  let token;
  const encode = encodeURIComponent;
  before(async () => {
    const models = [MODEL, { id: MARKUP_MODEL, name: HOSTILE.markup }, { id: 'm'.repeat(256), name: `${HOSTILE['turned around']} ${LONG}` }];
    pool = await startPool({ keys: 3, sim: { models, recordBodies: true } });
    api = await logIn(pool.rondo, { password: PASSWORD });
    id = (await api('GET', '/api/keys')).body.items[0].id;
    token = (await api('POST', '/api/tokens', { name: 'one' })).body.id;
  });
  after(() => pool?.stop());

  const keyOf = async () => (await api('GET', `/api/keys?q=${id}`)).body.items[0];
  const tokenOf = async () => (await api('GET', '/api/tokens')).body.items.find((one) => one.id === token);
  const overrides = async () => (await api('GET', '/api/settings')).body.limit_overrides[0];

  /** `set` sends a text, `get` reads it again; `most` characters fit. */
  const kept = {
    'a key’s label': { set: (label) => api('PATCH', `/api/keys/${id}`, { label }), get: async () => (await keyOf()).label, field: 'label', most: 200 },
    'a key’s group': { set: (group) => api('PATCH', `/api/keys/${id}`, { group }), get: async () => (await keyOf()).group, field: 'group', most: 100 },
    'many keys’ group': { set: (group) => api('POST', '/api/keys/group', { ids: [id], group }), get: async () => (await keyOf()).group, field: 'group', most: 100 },
    'a token’s name': { set: (name) => api('PATCH', `/api/tokens/${token}`, { name }), get: async () => (await tokenOf()).name, field: 'name', most: 100 },
    'a token’s model': { set: (model) => api('PATCH', `/api/tokens/${token}`, { models: [model] }), get: async () => (await tokenOf()).models[0], field: 'models', most: 256 },
    'a limit’s group': { set: (group) => api('PATCH', '/api/settings', { limit_overrides: [{ group, tokens_per_day: 5 }] }), get: async () => (await overrides()).group, field: 'limit_overrides.group', most: 100 },
    'a limit’s model': { set: (model) => api('PATCH', '/api/settings', { limit_overrides: [{ model, tokens_per_day: 5 }] }), get: async () => (await overrides()).model, field: 'limit_overrides.model', most: 256 },
  };
  for (const [what, { set, get, field, most }] of Object.entries(kept)) {
    test(`${what} comes back as it was sent`, async () => {
      for (const [name, text] of Object.entries(HOSTILE)) {
        const answer = await set(text);
        assert.equal(answer.status, 200, `${name}: ${answer.text}`);
        assert.equal(await get(), text, name);
      }
      const full = 'x'.repeat(most);
      assert.equal((await set(full)).status, 200);
      for (const wrong of [`${full}x`, LONG, ...Object.values(CONTROLS)]) {
        const answer = await set(wrong);
        assertProblem(answer, 400, field);
        assert.ok(answer.text.length < REFUSAL_BYTES);
      }
      assert.equal(await get(), full, 'nothing was cut or half taken');
    });
  }

  test('what has a form of its own is refused by name in any other', async () => {
    const refused = {
      key: (key) => api('POST', '/api/keys', { key }),
      base_url: (base_url) => api('POST', '/api/keys', { key: keyName(77), base_url }),
      token: (own) => api('POST', '/api/tokens', { name: 'x', token: own }),
      pool: (name) => api('PUT', `/api/models/${encode(name)}`, { members: [MODEL] }),
      'members.model': (model) => api('PUT', '/api/models/alias', { members: [model] }),
      model: (model) => api('POST', '/api/models/test', { model }),
      provider: (provider) => api('POST', '/api/keys', { key: keyName(77), provider }),
      'backup.pools': (name) => api('POST', '/api/restore', { password: PASSWORD, backup: { rondo_backup: 1, pools: [{ name, members: [MODEL] }] } }),
      access_mode: (mode) => api('PATCH', '/api/settings', { access_mode: mode }),
      groups: (group) => api('POST', '/api/keys/suggestions', { groups: [group, `${group}!`], accept: false }),
      name: (name) => api('POST', '/api/keys/suggestions', { groups: ['key:a', 'key:b'], accept: true, name }),
    };
    const texts = { ...HOSTILE, ...CONTROLS, LONG };
    const ascii = ['a name of JavaScript', 'a formula by other signs'];
    const fits = { model: ascii, 'members.model': ascii, pool: ['a name of JavaScript'], 'backup.pools': ['a name of JavaScript'], name: Object.keys(HOSTILE) };
    for (const [field, send] of Object.entries(refused)) {
      for (const [name, text] of Object.entries(texts)) {
        if (fits[field]?.includes(name)) continue;
        const answer = await send(text);
        assertProblem(answer, 400, field);
        assert.ok(answer.text.length < REFUSAL_BYTES, `${field}, ${name}: ${answer.text.length} bytes`);
      }
    }
    for (const name of ['.', '..', 'a/../b']) {
      // As a client that leaves the address alone sends it; others never reach the call.
      const answer = await api('POST', '/api/restore', { password: PASSWORD, backup: { rondo_backup: 1, pools: [{ name, members: [MODEL] }] } });
      assertProblem(answer, 400, 'backup.pools');
    }
    assert.equal((await api('GET', '/api/keys')).body.total, 3, 'nothing was added');
  });

  test('parameters of lists find what holds them literally, and are refused by name when they are too long', async () => {
    const label = HOSTILE['signs of patterns'];
    await api('PATCH', `/api/keys/${id}`, { label, group: label });
    for (const [text, found] of [['100% _', 1], ['%', 1], ['_ *', 1], ['%%', 0], ["' OR 1=1 --", 0], ['a\0b', 0], ['\u202e', 0]]) {
      assert.equal((await api('GET', `/api/keys?q=${encode(text)}`)).body.total, found, text);
    }
    assert.equal((await api('GET', `/api/keys?group=${encode(label)}`)).body.total, 1);
    assert.equal((await api('GET', `/api/keys?group=${encode('%')}`)).body.total, 0);
    for (const [path, field] of [['/api/keys', 'q'], ['/api/keys', 'group'], ['/api/keys', 'status'], ['/api/keys', 'sort'], ['/api/requests', 'model'], ['/api/requests', 'token'], ['/api/requests', 'status'], ['/api/decisions', 'key'], ['/api/stats/series?by=key', 'id'], ['/api/stats/series', 'from'], ['/api/audit', 'page'], ['/api/events', 'since']]) {
      const address = (text) => `${path}${path.includes('?') ? '&' : '?'}${field}=${encode(text)}`;
      const long = await api('GET', address(LONG));
      assertProblem(long, 400, field);
      assert.ok(long.text.length < REFUSAL_BYTES);
      if (path === '/api/events') continue;
      for (const text of Object.values({ ...HOSTILE, ...CONTROLS })) assert.ok([200, 400].includes((await api('GET', address(text))).status), `${field}=${text}`);
    }
    for (const broken of ['%', '%f0%28', '%ed%a0%80']) assert.ok([200, 400].includes((await api('GET', `/api/keys?q=${broken}`)).status), broken);
  });

  test('bodies that are no JSON, half letters and names of fields among them, are refused', async () => {
    for (const body of ['{"label": "\\ud800"}', '{"label": "\\udc00x"}', '{"label": "a\u0001"}', '{"label": "\\x41"}', `{"${LONG}": 1}`, `{"__proto__": {"label": "x"}}`, '['.repeat(5_000)]) {
      const answer = await api('PATCH', `/api/keys/${id}`, body);
      assertProblem(answer, 400);
      assert.ok(answer.text.length < REFUSAL_BYTES, body.slice(0, 40));
    }
    for (const path of [`/api/keys/${encode(HOSTILE.sql)}`, `/api/tokens/${encode(HOSTILE.markup)}`, `/api/tokens/${encode('a\0b')}`, `/api/keys/${'k'.repeat(4_000)}`]) {
      assert.equal((await api('PATCH', path, path.includes('keys') ? { label: 'x' } : { name: 'x' })).status, 404, path.slice(0, 60));
    }
  });

  test('passwords may be any text, and a long one is refused unhashed', async () => {
    const login = (password, address) => caller(pool.rondo)('POST', '/api/auth/login', { password }, { 'cf-connecting-ip': address });
    for (const [n, text] of Object.values({ ...HOSTILE, ...CONTROLS }).entries()) assertProblem(await login(text, `192.0.2.${n}`), 401);
    for (let n = 0; n < 7; n += 1) assertProblem(await login(LONG, '198.51.100.1'), 400, 'password');
    const next = `${HOSTILE.emoji}${HOSTILE['right to left']}\0`;
    assert.equal((await api('POST', '/api/auth/password', { current: PASSWORD, new: next })).status, 204);
    const { body } = await login(next, '198.51.100.2');
    api = caller(pool.rondo, { authorization: `Bearer ${body.token}` });
    assert.equal((await api('POST', '/api/auth/password', { current: next, new: PASSWORD })).status, 204);
    api = caller(pool.rondo, { authorization: `Bearer ${(await login(PASSWORD, '198.51.100.3')).body.token}` });
    pool.forgetSession();
  });

  test('the audit log says names as they are', async () => {
    const group = HOSTILE.placeholders;
    await api('POST', '/api/keys/group', { ids: [id], group });
    assert.equal((await api('GET', '/api/audit')).body.items[0].detail, `1 keys into ${group}`);
    const name = HOSTILE['turned around'];
    const made = await api('POST', '/api/tokens', { name });
    assert.equal(made.status, 201);
    assert.ok(JSON.stringify((await api('GET', '/api/audit')).body.items[0]).includes(made.body.id));
    await api('DELETE', `/api/tokens/${made.body.id}`);
  });

  test('a restored backup brings its texts along, and what is wrong with one entry spoils no other', async () => {
    const { body: backup } = await api('POST', '/api/backup', { password: PASSWORD });
    const [first] = backup.keys;
    const key = (n, part) => ({ ...first, key: keyName(500 + n), group: null, ...part });
    backup.keys = [key(0, { label: HOSTILE.markup }), key(1, { label: LONG }), key(2, { label: 'a\0b' }), key(3, { [LONG]: 1 }), key(4, { label: HOSTILE['turned around'] })];
    const answer = await api('POST', '/api/restore', { password: PASSWORD, backup });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual([answer.body.keys.added, answer.body.keys.failed], [2, 3]);
    assert.ok(answer.text.length < 4_000, `${answer.text.length} bytes`);
    const labels = (await api('GET', '/api/keys')).body.items.map((item) => item.label);
    for (const label of [HOSTILE.markup, HOSTILE['turned around']]) assert.ok(labels.includes(label));
    const added = (await api('GET', '/api/keys')).body.items.filter(({ label }) => label === HOSTILE.markup || label === HOSTILE['turned around']).filter((item) => item.id !== id);
    await api('POST', '/api/keys/delete', { ids: added.map((item) => item.id) });
  });

  test('the provider’s names are told as they are, those that no model can have left out', async () => {
    const { body } = await api('POST', '/api/models/catalog/refresh');
    assert.deepEqual(body.models.map((model) => model.id), [MODEL, MARKUP_MODEL, 'm'.repeat(256)]);
    assert.equal(body.models[1].name, HOSTILE.markup);
    assert.ok(body.models[2].name.length <= 200);
    assert.equal((await api('PUT', '/api/models/__proto__', { members: [MARKUP_MODEL] })).status, 200);
    const { pools } = (await api('GET', '/api/models')).body;
    assert.deepEqual(pools.find((one) => one.name === '__proto__').members.map((member) => member.model), [MARKUP_MODEL]);
    assert.equal((await api('DELETE', '/api/models/__proto__')).status, 204);
  });

  test('a client’s model stands in the lists as it was sent, what was said reaches the upstream unchanged', async () => {
    const texts = Object.entries({ ...HOSTILE, ...CONTROLS });
    for (const [n, [, text]] of texts.entries()) {
      const response = await pool.chat({ model: text, messages: [{ role: 'system', content: text }, { role: 'user', content: `${text} ${LONG}` }] }, { headers: { 'x-request-id': `hostile-${n}` } });
      assert.equal(response.status, 200, await response.text());
      const { messages } = JSON.parse(pool.sim.records.at(-1).body.toString());
      assert.deepEqual(messages.map(({ content }) => content), [text, `${text} ${LONG}`]);
    }
    const long = await pool.chat({ model: LONG });
    assert.equal(long.status, 400);
    assert.equal((await long.json()).error.param, 'model');
    const { items } = await until(async () => {
      const { body } = await api('GET', '/api/requests?limit=100');
      return texts.every((_, n) => body.items.some((one) => one.id === `hostile-${n}`)) && body;
    }, 5_000, 'all are told');
    const decided = (await api('GET', '/api/decisions?limit=1000')).body.items;
    for (const [n, [name, text]] of texts.entries()) {
      assert.equal(items.find((one) => one.id === `hostile-${n}`).asked, text, name);
      assert.ok(decided.some((one) => one.asked === text), name);
      assert.ok((await api('GET', `/api/requests?model=${encode(text)}`)).body.items.some((one) => one.id === `hostile-${n}`), `the filter finds ${name}`);
    }
    assert.ok(!JSON.stringify(items).includes(TOKEN));
  });
});
