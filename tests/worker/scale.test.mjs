// The admin page's lists and figures at 20,000 keys: each query of each call goes by an index, and says what is there.
// How long they take is measured by bench/admin.mjs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fillKeys, fillTokens, fillUsage, FULL } from '../../scripts/lib/fill.mjs';
import { startPool } from '../harness/rondo.mjs';
import { PLAN_ENTRY, planner } from './plans.mjs';

const SIZE = { ...FULL, days: 9, hourKeys: 60, hourTokens: 20, minuteKeys: 20 };
const KEYS = SIZE.keys + 1;
const RESTING = SIZE.keys / 200;

/** Tables of a few rows, which are read whole. */
const SMALL = ['pools', 'catalog', 'meta'];
const SORTS = ['created_at', 'label', 'provider', 'group', 'status', 'weight', 'requests', 'errors', 'prompt_tokens', 'completion_tokens', 'last_used_at'];

describe('at 20,000 keys', () => {
  let pool;
  let db;
  let planned;
  before(async () => {
    pool = await startPool({ keys: 1, worker: { edges: 1, edgeEntry: PLAN_ENTRY } });
    db = await pool.rondo.db();
    await fillKeys(pool.admin, db, SIZE);
    await fillTokens(db, SIZE);
    assert.ok((await fillUsage(db, SIZE)) >= 200_000, 'rollups');
    planned = await planner(pool);
  });
  after(() => pool?.stop());

  /** Every table is searched, or read in the order of an index that holds all that is needed; derived rows may be read whole. */
  function assertIndexed(path, plans, { scans }) {
    for (const { sql, steps } of plans) {
      const derived = steps.flatMap((step) => step.match(/^(?:CO-ROUTINE|MATERIALIZE) (\w+)/)?.[1] ?? []);
      for (const step of steps) {
        const scan = step.match(/^SCAN (\w+)(.*)$/);
        if (!scan || derived.includes(scan[1]) || SMALL.includes(scan[1]) || /VIRTUAL TABLE|CONSTANT ROW/.test(step)) continue;
        const covered = / USING COVERING INDEX (keys_|tokens_|sqlite_autoindex_tokens_)/.test(scan[2]);
        assert.ok(scans && covered, `${path}: ${step}\n${sql}\n${steps.join('\n')}`);
      }
    }
  }

  // What reads all keys or tokens does so in an index, without the rows, which hold what is sealed.
  test('lists that need all keys or tokens read them in one index alone', async () => {
    for (const path of [
      ...SORTS.flatMap((sort) => [`/api/keys?sort=${sort}`, `/api/keys?sort=-${sort}&page=400`]),
      '/api/keys?status=active', '/api/keys?provider=cerebras&sort=label', '/api/keys?q=team+42', '/api/keys?q=team&status=active&sort=-requests',
      '/api/keys/ids', '/api/keys/ids?q=team', '/api/tokens', '/api/tokens?page=21', '/api/tokens?q=website',
    ]) assertIndexed(path, (await planned(path)).plans, { scans: true });
  });

  test('states, groups, figures and everything else are searched by an index', async () => {
    const [{ id }] = (await pool.admin('GET', '/api/keys?per_page=1')).items;
    const from = new Date(Date.now() - 8 * 86_400_000).toISOString();
    for (const path of [
      ...['cooling', 'suspended', 'invalid', 'disabled'].map((status) => `/api/keys?status=${status}&sort=-created_at`),
      '/api/keys?group=org-0500', '/api/keys?group_prefix=ORG-05', '/api/keys?group_prefix=org-05&status=invalid&q=x', '/api/keys/groups?q=Org-0',
      '/api/keys/ids?status=invalid', '/api/keys/suggestions', '/api/overview', '/api/stats?limit=1', '/api/stats',
      ...['', '&by=key', '&by=model', '&by=token', `&by=key&id=${id}`].flatMap((by) => ['hour', 'day'].map((step) => `/api/stats/series?step=${step}&from=${from}${by}`)),
      '/api/requests', '/api/decisions', '/api/audit', '/api/audit?page=2', '/api/sessions', '/api/settings', '/api/models', '/api/models/catalog',
    ]) assertIndexed(path, (await planned(path)).plans, { scans: false });
  });

  test('filters, pages and orders agree with what is there', async () => {
    const total = async (query) => (await pool.admin('GET', `/api/keys?${query}`)).total;
    assert.equal(await total(''), KEYS);
    for (const status of ['disabled', 'invalid', 'suspended', 'cooling']) assert.equal(await total(`status=${status}`), RESTING, status);
    assert.equal(await total('status=active'), KEYS - 4 * RESTING);
    const last = await pool.admin('GET', `/api/keys?page=${Math.ceil(KEYS / 50)}`);
    assert.equal(last.items.length, KEYS % 50);
    for (const sort of SORTS) {
      const [up, down] = [await pool.admin('GET', `/api/keys?sort=${sort}`), await pool.admin('GET', `/api/keys?sort=-${sort}&page=${Math.ceil(KEYS / 50)}`)];
      assert.deepEqual(down.items.map(({ id }) => id).reverse(), up.items.slice(0, KEYS % 50).map(({ id }) => id), `${sort} down is up, turned round`);
    }
    const { ids } = await pool.admin('GET', '/api/keys/ids?status=invalid');
    const { items } = await pool.admin('GET', '/api/keys?status=invalid&per_page=200');
    assert.deepEqual(ids, items.map(({ id }) => id));
    assert.equal((await pool.admin('GET', '/api/keys/ids')).ids.length, KEYS - 1, 'no more than is promised');
  });

  test('a group is found by the beginning of its name in any case, and alone by its whole name', async () => {
    const total = async (query) => (await pool.admin('GET', `/api/keys?${query}`)).total;
    assert.equal(await total('group=org-0012'), 10);
    assert.equal(await total('group=org-001'), 0);
    assert.equal(await total('group_prefix=ORG-001'), 100);
    const { items } = await pool.admin('GET', '/api/keys/groups?q=Org-001');
    assert.deepEqual(items, Array.from({ length: 10 }, (_, n) => ({ name: `org-001${n}`, keys: 10 })));
    assert.equal((await pool.admin('GET', '/api/keys/groups?q=rg-001')).items.length, 0);
  });

  test('% and _ in a search mean themselves', async () => {
    const { ids } = await pool.admin('GET', '/api/keys/ids?group=org-0003');
    await pool.admin('PATCH', `/api/keys/${ids[0]}`, { label: '100%_sure' });
    for (const [q, found] of [['%25', 1], ['_', 1], ['0%25_S', 1], ['%25s', 0], ['team_4', 0]]) assert.equal((await pool.admin('GET', `/api/keys?q=${q}`)).total, found, q);
    await pool.admin('PATCH', `/api/keys/${ids[0]}`, { group: '50%_off' });
    assert.equal((await pool.admin('GET', '/api/keys?group_prefix=50%25_')).total, 1);
    assert.equal((await pool.admin('GET', '/api/keys?group_prefix=%25')).total, 0);
    const { id } = await pool.admin('POST', '/api/tokens', { name: 'Discount_10%' });
    for (const [q, found] of [['t_10%25', 1], ['_10', 1], ['%25_', 0], ['WEBSITE 4', 29], [id, 1]]) assert.equal((await pool.admin('GET', `/api/tokens?q=${q}`)).total, found, q);
  });

  test('keys are switched by the thousand', async () => {
    const { ids } = await pool.admin('GET', '/api/keys/ids?group_prefix=org-01');
    assert.equal(ids.length, 1_000);
    const { changed } = await pool.admin('POST', '/api/keys/enable', { ids, enabled: false });
    assert.equal(changed, 1_000);
    assert.equal((await pool.admin('GET', '/api/keys?group_prefix=org-01&status=disabled')).total, 1_000);
    assert.deepEqual(await pool.admin('POST', '/api/keys/enable', { ids: ids.slice(0, 3), enabled: true }), { changed: 3 });
  });
});
