// A state of the size that Rondo promises: keys, tokens and a month of rollups, made up but in their real shapes.
import { randomBytes } from 'node:crypto';

const run = (db, sql, ...values) => db.prepare(sql).bind(...values).run();

/** The admin password of a filled state. */
export const FILLED_PASSWORD = 'filled for looking';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Keys of one call: what it takes on the paid plan, and what this machine has. */
const BATCH = 10_000;
const MODELS = ['gpt-oss-120b', 'qwen-3-32b', 'llama-3.3-70b', 'zai-glm-4.6'];

/** The nth key; demo keys, which no upstream but the simulator knows. */
export const filledKey = (n) => `csk-demo${String(n).padStart(40, 'x9hfk2p5m8c3v6t4r')}`;

/** What is filled in by default, and how much of it is used by the hour and the minute. */
export const FULL = { keys: 20_000, tokens: 1_000, days: 30, hourKeys: 400, hourTokens: 50, minuteKeys: 100 };

/**
 * Adds keys by the admin API, so that they are sealed, and then labels, groups, weights and states in SQL.
 * @param {(method: string, path: string, body?: unknown) => Promise<any>} admin
 * @param {D1Database} db
 */
export async function fillKeys(admin, db, { keys }, now = Date.now()) {
  for (let first = 0; first < keys; first += BATCH) {
    const input = Array.from({ length: Math.min(BATCH, keys - first) }, (_, n) => filledKey(first + n)).join('\n');
    const { summary } = await admin('POST', '/api/keys/batch', { input });
    if (summary.failed > 0) throw new Error(`keys were refused: ${JSON.stringify(summary)}`);
  }
  // Groups of ten for half of the keys; one in 50 is out of use in one way or another.
  await run(db, `
    UPDATE keys SET
      label = CASE WHEN n.n % 3 = 0 THEN '' ELSE 'Team ' || (n.n % 97) || ' key ' || n.n END,
      quota_group = CASE WHEN n.n % 2 = 0 THEN 'org-' || printf('%04d', n.n / 20) END,
      weight = CASE WHEN n.n % 40 = 0 THEN 5 ELSE 1 END,
      created_at = ?1 - (SELECT COUNT(*) FROM keys) * 60000 + n.n * 60000,
      enabled = n.n % 200 <> 7,
      status = CASE n.n % 200 WHEN 8 THEN 'invalid' WHEN 9 THEN 'suspended' WHEN 10 THEN 'cooling' ELSE 'active' END,
      reason = CASE n.n % 200 WHEN 8 THEN 'refused by the upstream' WHEN 9 THEN 'payment required' WHEN 10 THEN 'quota of ${MODELS[0]}' END,
      until = CASE n.n % 200 WHEN 10 THEN ?1 + 86400000 END
    FROM (SELECT id, row_number() OVER (ORDER BY created_at, id) - 1 AS n FROM keys) n WHERE keys.id = n.id`, now);
  await run(db, "UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE name = 'epoch'");
}

/** Adds client tokens that nobody knows: their digests are of nothing. */
export async function fillTokens(db, { tokens }, now = Date.now()) {
  const rows = Array.from({ length: tokens }, (_, n) => ({
    id: `t_${n.toString(16).padStart(16, '0')}`,
    name: `${['Website', 'Team', 'Build', 'Laptop of'][n % 4]} ${n}`,
    digest: randomBytes(32).toString('base64url'),
    masked: `rk-…${String(n).padStart(4, '0').slice(-4)}`,
    enabled: n % 20 === 3 ? 0 : 1,
    limits: n % 5 === 0 ? { requests_per_minute: 60, tokens_per_day: 1_000_000 } : {},
    at: now - (tokens - n) * MINUTE,
  }));
  for (let first = 0; first < rows.length; first += 2_000) {
    await run(db, `
      INSERT INTO tokens (id, name, digest, masked, enabled, limits, created_at)
      SELECT value ->> 'id', value ->> 'name', value ->> 'digest', value ->> 'masked', value ->> 'enabled',
        value -> 'limits', value ->> 'at' FROM json_each(?1)`, JSON.stringify(rows.slice(first, first + 2_000)));
  }
  await run(db, "UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE name = 'epoch'");
}

/** Times in buckets and errors by kind, as core/src/pool/detail.rs writes them; `r` is the SQL of the requests. */
const DETAIL = (r) => `json_object('e', json_array(${r} / 50, ${r} / 200, 0, ${r} / 400, 0),
  'l', json_object('s', ${r} * 900, 'b', json_array(json_array(11, ${r} / 2), json_array(13, ${r} / 3), json_array(15, ${r} / 9 + 1))),
  'f', json_object('s', ${r} * 200, 'b', json_array(json_array(7, ${r} / 2 + 1), json_array(9, ${r} / 3))))`;

/**
 * One INSERT of rollups for each stretch of time: `ids` is SQL with columns id and busy (the larger, the busier), `most`
 * how many of them, the busiest first.
 */
async function rollups(db, { grain, dim, ids, most, stretch, from, to, detail }) {
  // Written into the text: D1 binds every number as a double, and requests are whole.
  const weight = { minute: 0, hour: 1, day: 8, total: 240 }[grain];
  const times = Math.max(1, Math.ceil((to - from) / stretch));
  const each = Math.max(1, Math.floor(100_000 / Math.max(1, most)));
  for (let first = 0; first < times; first += each) {
    const count = Math.min(each, times - first);
    await run(db, `
      WITH RECURSIVE steps(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM steps WHERE n + 1 < ?4),
      who AS (SELECT id, busy FROM (${ids}) ORDER BY busy DESC, id LIMIT ?3),
      made AS (SELECT id, ?1 + n * ?2 AS at, 1 + busy * ${weight} + (busy * 7919 + n * 104729) % 23 AS r FROM steps, who)
      INSERT INTO usage (grain, dim, id, at, requests, errors, cut, prompt_tokens, completion_tokens, cached_tokens,
        last_used_at, detail)
      SELECT '${grain}', '${dim}', id, at, r, r / 40, r / 90, r * 850, r * 310, r * 200,
        CASE WHEN at = 0 THEN ?5 ELSE at + ?2 - 1 END, ${detail ? DETAIL('r') : 'NULL'}
      FROM made WHERE true ON CONFLICT DO NOTHING`,
      grain === 'total' ? 0 : from + first * stretch, stretch, most, count, to);
  }
}

/**
 * A month of rollups, as the Coordinator would have left them: totals and days of all, hours of the busier ones (all keys
 * by the hour would be 14 million), minutes of the pool for 48 h and of some keys for 6 h.
 * @returns {Promise<number>} how many rows there are
 */
export async function fillUsage(db, { keys, tokens, days, hourKeys, hourTokens, minuteKeys }, now = Date.now()) {
  const start = (stretch, ago) => Math.floor((now - ago) / stretch) * stretch;
  const whole = { from: start(DAY, (days - 1) * DAY), to: now };
  const keyIds = 'SELECT id, row_number() OVER (ORDER BY id) % 17 AS busy FROM keys';
  const tokenIds = 'SELECT id, row_number() OVER (ORDER BY id) % 11 AS busy FROM tokens';
  const modelIds = MODELS.map((id, n) => `SELECT '${id}' AS id, ${(4 - n) * 40} AS busy`).join(' UNION ALL ');
  const poolIds = "SELECT '' AS id, 300 AS busy";
  const dims = [
    { dim: 'key', ids: keyIds, all: keys, hours: hourKeys, detail: false },
    { dim: 'token', ids: tokenIds, all: tokens, hours: hourTokens, detail: true },
    { dim: 'model', ids: modelIds, all: MODELS.length, hours: MODELS.length, detail: true },
    { dim: 'pool', ids: poolIds, all: 1, hours: 1, detail: true },
  ];
  for (const { dim, ids, all, hours, detail } of dims) {
    await rollups(db, { grain: 'total', dim, ids, most: all, stretch: DAY, from: now - DAY, to: now, detail: dim === 'pool' });
    await rollups(db, { grain: 'day', dim, ids, most: all, stretch: DAY, ...whole, detail });
    await rollups(db, { grain: 'hour', dim, ids, most: hours, stretch: HOUR, from: whole.from, to: now, detail });
  }
  await rollups(db, { grain: 'minute', dim: 'pool', ids: poolIds, most: 1, stretch: MINUTE, from: start(MINUTE, 48 * HOUR), to: now, detail: true });
  await rollups(db, { grain: 'minute', dim: 'key', ids: keyIds, most: minuteKeys, stretch: MINUTE, from: start(MINUTE, 6 * HOUR), to: now, detail: false });
  return (await db.prepare('SELECT COUNT(*) AS n FROM usage').first()).n;
}
