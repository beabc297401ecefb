// Upstream keys in the admin API of the built Worker: adding, listing, changing, deleting, exporting.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startWorker } from '../harness/worker.mjs';
import { PASSWORD, assertProblem, keyNumber, logIn } from './admin-client.mjs';

const FIELDS = ['id', 'provider', 'masked', 'label', 'group', 'weight', 'enabled', 'status', 'reason', 'until', 'created_at',
  'last_used_at', 'requests', 'prompt_tokens', 'completion_tokens', 'errors'];
const epochOf = async (rondo) => Number((await (await rondo.db()).prepare("SELECT value FROM meta WHERE name = 'epoch'").first()).value);

describe('one key', () => {
  let rondo;
  let api;
  before(async () => {
    rondo = await startWorker();
    api = await logIn(rondo);
  });
  after(() => rondo?.stop());

  test('is added, shown masked, changed and deleted, each raising the epoch by one', async () => {
    const before = await epochOf(rondo);
    const added = await api('POST', '/api/keys', { key: keyNumber(1), label: 'first', group: 'org-1', weight: 3 });
    assert.equal(added.status, 201, added.text);
    for (const field of FIELDS) assert.ok(field in added.body, field);
    assert.match(added.body.id, /^k_[0-9a-f]{16}$/);
    assert.deepEqual(
      [added.body.provider, added.body.label, added.body.group, added.body.weight, added.body.enabled, added.body.status],
      ['cerebras', 'first', 'org-1', 3, true, 'active'],
    );
    assert.ok(!added.text.includes(keyNumber(1)));
    assert.equal(await epochOf(rondo), before + 1);

    const path = `/api/keys/${added.body.id}`;
    const patched = await api('PATCH', path, { label: 'renamed', group: null, weight: 100, enabled: false });
    assert.equal(patched.status, 200, patched.text);
    assert.deepEqual([patched.body.label, patched.body.group, patched.body.weight, patched.body.status], ['renamed', null, 100, 'disabled']);
    assert.equal(await epochOf(rondo), before + 2);
    const only = await api('PATCH', path, { enabled: true });
    assert.deepEqual([only.body.label, only.body.weight, only.body.status], ['renamed', 100, 'active']);

    assert.equal((await api('DELETE', path)).status, 204);
    assertProblem(await api('DELETE', path), 404);
    assertProblem(await api('PATCH', path, { enabled: true }), 404);
    assert.equal(await epochOf(rondo), before + 4, 'what changes nothing raises nothing');
  });

  test('is refused when it is there already, whatever its label', async () => {
    assert.equal((await api('POST', '/api/keys', { key: keyNumber(2) })).status, 201);
    assertProblem(await api('POST', '/api/keys', { key: keyNumber(2), label: 'again' }), 409);
    const both = await Promise.all([1, 2].map(() => api('POST', '/api/keys', { key: keyNumber(3) })));
    assert.deepEqual(both.map((answer) => answer.status).sort(), [201, 409]);
  });

  test('errors name the field, the content type and the method', async () => {
    const key = keyNumber(4);
    for (const [body, field] of [
      [{}, 'key'], [{ key: 'short' }, 'key'], [{ key: 7 }, 'key'], [{ key: `${key} x` }, 'key'], [{ key, provider: 'acme' }, 'provider'],
      [{ key, weight: 0 }, 'weight'], [{ key, weight: 101 }, 'weight'], [{ key, weight: '1' }, 'weight'], [{ key, label: 5 }, 'label'],
      [{ key, base_url: 'http://example.com' }, 'base_url'], [{ key, options: { a: 1 } }, 'options'], [{ key, secret: 1 }, 'secret'],
    ]) {
      const answer = await api('POST', '/api/keys', body);
      assertProblem(answer, 400, field);
      assert.ok(!answer.text.includes(key));
    }
    for (const body of ['', '{', '[]', '"text"', `${'['.repeat(10_000)}`, `{"key":"${key}"`]) {
      const answer = await api('POST', '/api/keys', body, { 'content-type': 'application/json' });
      assertProblem(answer, 400);
      assert.ok(!answer.text.includes(key));
    }
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', '']) {
      assertProblem(await api('POST', '/api/keys', { key }, { 'content-type': type }), 415);
    }
    assert.equal((await api('POST', '/api/keys', { key }, { 'content-type': 'Application/JSON; charset=utf-8' })).status, 201);
    assertProblem(await api('POST', '/api/keys', { key: 'x'.repeat(1024 * 1024) }), 413);
    const wrong = await api('PUT', '/api/keys', {});
    assertProblem(wrong, 405);
    assert.equal(wrong.headers.get('allow'), 'GET, POST');
    assertProblem(await api('GET', '/api/nothing'), 404);
    assertProblem(await api('GET', '/api/keys/k_0/nothing'), 404);
  });
});

describe('many keys', () => {
  let rondo;
  let api;
  before(async () => {
    rondo = await startWorker({ bindings: { CEREBRAS_API_KEYS: `${keyNumber(900)}, ${keyNumber(901)}` } });
    api = await logIn(rondo);
  });
  after(() => rondo?.stop());
  const listed = async (query = '') => {
    const { status, body, text } = await api('GET', `/api/keys${query}`);
    assert.equal(status, 200, text);
    return body;
  };

  test('those of the environment are rows that name their variable and cannot be deleted', async () => {
    const { items, total } = await listed();
    assert.equal(total, 2);
    for (const item of items) {
      assert.deepEqual([item.source, item.variable], ['env', 'CEREBRAS_API_KEYS']);
      const answer = await api('DELETE', `/api/keys/${item.id}`);
      assertProblem(answer, 409);
      assert.match(answer.body.detail, /CEREBRAS_API_KEYS/);
    }
    assert.deepEqual((await api('POST', '/api/keys/delete', { ids: items.map((item) => item.id) })).body, { deleted: 0 });
    assert.equal((await listed()).total, 2);
  });

  test('a pasted batch is reported piece by piece, truthfully', async () => {
    const input = `${keyNumber(10)}\n${keyNumber(11)},${keyNumber(12)};${keyNumber(13)} ${keyNumber(14)}\t"${keyNumber(15)}"\r\n` +
      `${keyNumber(10)}, short, ${keyNumber(900)}, csk-ключключключ`;
    const { status, body, text } = await api('POST', '/api/keys/batch', { input, group: 'pasted' });
    assert.equal(status, 200, text);
    assert.deepEqual(body.summary, { total: 10, added: 6, duplicate: 2, failed: 2 });
    assert.deepEqual(body.results.map((piece) => piece.index), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.deepEqual(body.results.map((piece) => piece.outcome), [...Array(6).fill('added'), 'duplicate', 'failed', 'duplicate', 'failed']);
    for (const piece of body.results.slice(6)) assert.equal(typeof piece.detail, 'string');
    for (const n of [10, 11, 12, 13, 14, 15, 900]) assert.ok(!text.includes(keyNumber(n)));
    const { items, total } = await listed('?group=pasted');
    assert.equal(total, 6);
    assert.deepEqual(items.map((item) => item.masked), body.results.slice(0, 6).map((piece) => piece.masked), 'in the order of the input');
    const again = await api('POST', '/api/keys/batch', input, { 'content-type': 'text/plain' });
    assert.deepEqual(again.body.summary, { total: 10, added: 0, duplicate: 8, failed: 2 });
  });

  test('batch errors name what is wrong', async () => {
    for (const [body, field] of [[{}, 'input'], [{ input: ' ,; \n' }, 'input'], [{ input: ['a'] }, 'input'], [{ input: 'a', colour: 1 }, 'colour']]) {
      assertProblem(await api('POST', '/api/keys/batch', body), 400, field);
    }
    assertProblem(await api('POST', '/api/keys/batch', { input: 'k '.repeat(10_001) }), 400, 'input');
    assertProblem(await api('POST', '/api/keys/batch', '<a/>', { 'content-type': 'application/xml' }), 415);
    assertProblem(await api('POST', '/api/keys/batch', 'k'.repeat(4 * 1024 * 1024 + 1), { 'content-type': 'text/plain' }), 413);
  });

  test('two batches of the same keys at once add each key once', async () => {
    const input = Array.from({ length: 50 }, (_, n) => keyNumber(200 + n)).join('\n');
    const both = await Promise.all([1, 2].map(() => api('POST', '/api/keys/batch', { input, group: 'race' })));
    assert.equal(both[0].body.summary.added + both[1].body.summary.added, 50);
    assert.equal(both[0].body.summary.duplicate + both[1].body.summary.duplicate, 50);
    assert.equal((await listed('?group=race')).total, 50);
  });

  test('the list is filtered, searched, sorted and paged', async () => {
    const labels = ['alpha_100%', 'Beta', 'gamma'];
    for (const [n, label] of labels.entries()) {
      assert.equal((await api('POST', '/api/keys', { key: keyNumber(300 + n), label, group: 'sorted', weight: 3 - n })).status, 201);
    }
    const names = async (query) => (await listed(`?group=sorted&${query}`)).items.map((item) => item.label);
    assert.deepEqual(await names('sort=label'), labels);
    assert.deepEqual(await names('sort=-label'), [...labels].reverse());
    assert.deepEqual(await names('sort=weight'), [...labels].reverse());
    assert.deepEqual(await names('q=BET'), ['Beta']);
    assert.deepEqual(await names('q=_100%25'), ['alpha_100%'], '% and _ are no wildcards');
    assert.deepEqual(await names('q=_'), ['alpha_100%']);
    assert.deepEqual(await names(`q=${encodeURIComponent("' OR 1=1 --")}`), []);
    assert.deepEqual(await names('provider=cerebras&sort=label&per_page=2&page=2'), ['gamma']);
    const page = await listed('?group=sorted&per_page=2&page=9');
    assert.deepEqual([page.items, page.total, page.page, page.per_page], [[], 3, 9, 2]);
    for (const [query, field] of [['sort=sealed', 'sort'], ['status=dead', 'status'], ['per_page=201', 'per_page'], ['page=0', 'page'], ['colour=1', 'colour']]) {
      assertProblem(await api('GET', `/api/keys?${query}`), 400, field);
    }
  });

  test('a state ends with its time, and disabled goes before it', async () => {
    const { items } = await listed('?group=race&per_page=3');
    const db = await rondo.db();
    const set = (n, status, until) => db.prepare('UPDATE keys SET status = ?2, reason = ?3, until = ?4 WHERE id = ?1').bind(items[n].id, status, 'quota', until).run();
    const now = Date.now();
    await set(0, 'cooling', now + 60_000);
    await set(1, 'invalid', now - 1);
    await set(2, 'suspended', now + 60_000);
    await api('PATCH', `/api/keys/${items[2].id}`, { enabled: false });
    const shown = Object.fromEntries((await listed('?group=race&per_page=200')).items.map((item) => [item.id, item]));
    assert.deepEqual(items.map((item) => shown[item.id].status), ['cooling', 'active', 'disabled']);
    assert.equal(shown[items[0].id].reason, 'quota');
    assert.equal(Date.parse(shown[items[0].id].until), now + 60_000);
    assert.equal(shown[items[1].id].until, null);
    const ids = async (status) => (await listed(`?group=race&status=${status}&per_page=200`)).items.map((item) => item.id);
    assert.deepEqual(await ids('cooling'), [items[0].id]);
    assert.deepEqual(await ids('disabled'), [items[2].id]);
    assert.equal((await ids('active')).length, 48);
  });

  test('many are deleted by their ids or by their state', async () => {
    const { items } = await listed('?group=race&status=active&per_page=200');
    const ids = items.slice(0, 10).map((item) => item.id);
    assert.deepEqual((await api('POST', '/api/keys/delete', { ids: [...ids, 'k_unknown', ids[0]] })).body, { deleted: 10 });
    assert.equal((await listed('?group=race')).total, 40);
    assert.deepEqual((await api('POST', '/api/keys/delete', { status: 'disabled' })).body, { deleted: 1 });
    assert.equal((await listed('?group=race')).total, 39);
    for (const body of [{}, { ids: [] }, { ids, status: 'active' }, { ids: 'all' }]) assertProblem(await api('POST', '/api/keys/delete', body), 400, 'ids');
    assertProblem(await api('POST', '/api/keys/delete', { status: 'dead' }), 400, 'status');
  });

  test('an export gives every key for the password, and is in the audit log', async () => {
    assertProblem(await api('POST', '/api/keys/export', { password: 'wrong' }), 401);
    assertProblem(await api('POST', '/api/keys/export', {}), 400, 'password');
    const { status, body } = await api('POST', '/api/keys/export', { password: PASSWORD });
    assert.equal(status, 200);
    assert.equal(body.keys.length, (await listed()).total);
    const first = body.keys.find((key) => key.key === keyNumber(300));
    assert.deepEqual([first.label, first.group, first.weight], ['alpha_100%', 'sorted', 3]);
    const actions = (await api('GET', '/api/audit')).body.items.map((item) => item.action);
    assert.equal(actions.filter((action) => action === 'key.export').length, 1);
  });
});

test('ten thousand keys go in by one call, in a handful of queries', async () => {
  const rondo = await startWorker();
  try {
    const api = await logIn(rondo);
    const input = Array.from({ length: 10_000 }, (_, n) => keyNumber(n)).join('\n');
    const started = Date.now();
    const { status, body, text } = await api('POST', '/api/keys/batch', { input });
    assert.equal(status, 200, text.slice(0, 500));
    assert.deepEqual(body.summary, { total: 10_000, added: 10_000, duplicate: 0, failed: 0 });
    console.log(`10,000 keys sealed and stored in ${Date.now() - started} ms`);
    assert.equal((await api('GET', '/api/keys?per_page=200&page=50')).body.items.length, 200);
    const exported = await api('POST', '/api/keys/export', { password: PASSWORD });
    assert.equal(new Set(exported.body.keys.map((key) => key.key)).size, 10_000);
    const ids = exported.body.keys.map((key) => key.id);
    assert.deepEqual((await api('POST', '/api/keys/delete', { ids })).body, { deleted: 10_000 });
  } finally {
    await rondo.stop();
  }
});

test('the demo takes demo keys only, and says how to leave it', async () => {
  const rondo = await startWorker({ bindings: { DEMO: '1' } });
  try {
    const api = await logIn(rondo);
    assert.equal((await api('GET', '/api/auth/status')).body.demo, true);
    const refused = await api('POST', '/api/keys', { key: keyNumber(1) });
    assertProblem(refused, 409);
    assert.match(refused.body.detail, /CEREBRAS_API_KEYS=csk-… npm start/);
    const batch = await api('POST', '/api/keys/batch', { input: `${keyNumber(1)} csk-demo-0123456789` });
    assert.deepEqual(batch.body.summary, { total: 2, added: 1, duplicate: 0, failed: 1 });
    assert.match(batch.body.results[0].detail, /npm start/);
  } finally {
    await rondo.stop();
  }
});
