// Answers of the calls behind Overview and Requests, made up: a busy day that no test has the time to make.
// The shapes are those of docs/admin-api.md; what the running Worker really says is tested beside it.

export const NOW = Date.now();
const MINUTE = 60_000;
const MODELS = ['gpt-oss-120b', 'qwen-3.8-27b'];
const TOKENS = [{ id: 'tok-web', name: 'Website' }, { id: 'tok-ci', name: 'CI <b>runner</b>' }];

/** The same numbers each time, 0 to 1. */
const wave = (n) => (Math.sin(n * 12.9898) * 43758.5453) % 1;
const share = (n) => Math.abs(wave(n));

const group = (name, lasts_s, left, limit, more = {}) => ({
  group: name, name: name.replace(/^group:/, '').replace(/^key:k/, 'csk-…000'), masked: name.startsWith('key:') ? name.replace(/^key:k/, 'csk-…000') : null, model: MODELS[0], keys: 1, window: 'day', counted: 'tokens', left, limit, per_minute: 3_100, lasts_s, ...more,
});

export const overview = (changes = {}) => ({
  at: new Date().toISOString(),
  ready: true,
  demo: false,
  missing: [],
  keys: { total: 27, active: 19, cooling: 4, suspended: 1, invalid: 2, disabled: 1 },
  now: { requests_per_minute: 41.5, tokens_per_minute: 61_240, waiting: 2, under_way: 7 },
  outages: [],
  fuel: {
    quota: {
      lasts_s: 11_520,
      group: 'group:acme',
      name: 'acme',
      groups: [
        group('group:acme', 11_520, 212_000, 1_000_000, { keys: 3 }),
        group('key:k7', 20_300, 480_200, 1_000_000),
        group('key:k9', 32_000, 6_120, 14_400, { counted: 'requests', model: MODELS[1] }),
        group('group:lab', 61_000, 31_000, 60_000, { window: 'hour', keys: 2 }),
        group('key:k2', null, 1_000_000, 1_000_000),
      ],
    },
    cloudflare: {
      estimated: true,
      plan: 'free',
      since: new Date(Math.floor(NOW / 86_400_000) * 86_400_000).toISOString(),
      items: [
        { name: 'requests', used: 41_230, limit: 100_000 },
        { name: 'object_requests', used: 83_100, limit: 100_000 },
        { name: 'rows_written', used: 12_004, limit: 100_000 },
        { name: 'rows_read', used: 310_020, limit: 5_000_000 },
      ],
    },
  },
  ...changes,
});

export const newOverview = () =>
  overview({
    ready: false,
    missing: [{ name: 'keys', remedy: 'add a key on the admin page, or set CEREBRAS_API_KEYS' }],
    keys: { total: 0, active: 0, cooling: 0, suspended: 0, invalid: 0, disabled: 0 },
    now: { requests_per_minute: 0, tokens_per_minute: 0, waiting: 0, under_way: 0 },
    fuel: { quota: { lasts_s: null, group: null, name: null, groups: [] }, cloudflare: null },
  });

function points(from, to, size, scale) {
  const made = [];
  for (let at = Math.floor(from / size) * size; at <= to; at += size) {
    const n = at / size;
    if (share(n) < 0.06) continue;
    const requests = Math.round((20 + 25 * share(n) + 10 * Math.sin(n / 6)) * scale);
    const errors_by = { rate_limited: share(n + 1) > 0.7 ? Math.ceil(requests / 9) : 0, client: share(n + 2) > 0.85 ? 1 : 0, upstream: share(n + 3) > 0.9 ? 2 : 0, unavailable: 0, broken: share(n + 4) > 0.95 ? 1 : 0 };
    const prompt_tokens = requests * 900;
    made.push({
      at: new Date(at).toISOString(), requests, errors: Object.values(errors_by).reduce((a, b) => a + b), cut: share(n) > 0.9 ? 1 : 0, errors_by,
      prompt_tokens, completion_tokens: requests * 340, cached_tokens: Math.round(prompt_tokens * 0.3),
      latency_ms: { p50: Math.round(700 + 300 * share(n)), p95: Math.round(2_100 + 1_900 * share(n + 9)) },
      first_event_ms: { p50: Math.round(140 + 60 * share(n)), p95: Math.round(380 + 500 * share(n + 5)) },
    });
  }
  return made;
}

/** The answer of `/api/stats/series` to `url`. */
export function series(url) {
  const query = new URL(url).searchParams;
  const [from, to, step, by] = ['from', 'to', 'step', 'by'].map((name) => query.get(name));
  const size = { minute: MINUTE, hour: 60 * MINUTE, day: 1_440 * MINUTE }[step];
  const of = (id, name, scale) => ({ id, name, points: points(Date.parse(from), Date.parse(to), size, scale) });
  const all = { model: [of(MODELS[0], null, 0.7), of(MODELS[1], null, 0.3)], token: [of(TOKENS[0].id, TOKENS[0].name, 0.8), of(TOKENS[1].id, TOKENS[1].name, 0.2)] };
  return { from, to, step, by, series: by ? all[by] : [of(null, null, 1)] };
}

const attempt = (n, end, more = {}) => ({
  key: `k${n}`, masked: `csk-…00${10 + n}`, model: MODELS[0], end, status: end === 'ok' ? 200 : 429, duration_ms: 120, first_event_ms: null, grant: `90071992547409${n}1`, ...more,
});

/** The nth story, counted from 1; some fail, wait, are cut. */
export function story(n, changes = {}) {
  const kind = n % 11;
  const failed = kind === 4;
  const wait = kind === 7 || kind === 3 ? 1_240 : 0;
  const attempts = failed
    ? [attempt(1, 'quota'), attempt(2, 'quota'), attempt(3, 'upstream', { status: 502, duration_ms: 310 })]
    : kind === 3
      ? [attempt(1, 'quota'), attempt(5, 'ok', { duration_ms: 940, first_event_ms: 190 })]
      : [attempt(n % 6, 'ok', { duration_ms: 600 + 70 * kind, first_event_ms: 140 + 10 * kind })];
  const sent = attempts.reduce((all, { duration_ms }) => all + duration_ms, 0);
  return {
    seq: n,
    id: `req-${String(n).padStart(5, '0')}`,
    at: new Date(NOW - (200 - n) * 1_700).toISOString(),
    token: kind === 9 ? null : TOKENS[n % 2],
    ...(kind === 9 ? { playground: true } : {}),
    asked: kind === 5 ? 'gpt-4o' : MODELS[0],
    model: MODELS[kind === 6 ? 1 : 0],
    status: failed ? 502 : kind === 8 ? 429 : 200,
    error: failed || kind === 8,
    cut: kind === 10,
    stream: n % 3 > 0,
    usage: { prompt_tokens: failed ? 0 : 800 + n, completion_tokens: failed ? 0 : 300 + n, cached_tokens: failed ? 0 : 256, estimated: kind === 10 },
    wait_ms: wait,
    duration_ms: wait + sent + 14,
    first_event_ms: failed || kind === 8 ? null : wait + sent - (attempts.at(-1)?.duration_ms ?? 0) + 160,
    attempts: kind === 8 ? [] : attempts,
    dialect: kind === 5 ? 'messages' : 'chat',
    notes: kind === 5 ? [{ path: 'metadata', what: 'dropped' }, { path: 'messages.2.content.0.cache_control', what: 'dropped' }, { path: 'thinking', what: 'translated' }] : [],
    ...changes,
  };
}

export const decision = (grant) => ({
  at: new Date(NOW).toISOString(), token: TOKENS[0], asked: MODELS[0], attempt: 2,
  outcome: { kind: 'granted', grant, key: 'k5', masked: 'csk-…0015', model: MODELS[0], delay_ms: 0, reserved: 4_096, more: 0 },
  ahead: 3, candidates: 17, passed_over: 14,
  skipped: [
    { key: 'k1', masked: 'csk-…0011', why: 'quota', until: new Date(NOW + 42_000).toISOString() },
    { key: 'k2', masked: 'csk-…0012', why: 'barred', until: null },
  ],
});

/**
 * Answers the calls of both pages for `page` from `state`, which a test may change at any time:
 * `overview`, `stories` (newest last), `series(url)`, `totals`; a status (number) in place of an answer fails it.
 * `push(story)` sends one by the event stream.
 */
export async function answerFor(page, changes = {}) {
  const stories = Array.from({ length: 130 }, (_, n) => story(n + 1));
  const state = { overview: overview(), stories, series, decisions: (grant) => [decision(grant)], totals: { requests: 120_431, errors: 300, prompt_tokens: 9e7, completion_tokens: 4e7, last_used_at: null }, events: true, asked: [], ...changes };
  const waiting = [];
  let wake = () => {};
  state.push = (one) => {
    state.stories.push(one);
    waiting.push(`id: ${one.seq}\nevent: request\ndata: ${JSON.stringify(one)}\n\n`);
    wake();
  };
  const json = (route, body) =>
    typeof body === 'number'
      ? route.fulfill({ status: body, contentType: 'application/problem+json', body: JSON.stringify({ title: 'x', status: body, detail: body === 404 ? '' : 'made to fail' }) })
      : route.fulfill({ json: body });
  await page.route('**/api/overview', (route) => json(route, typeof state.overview === 'function' ? state.overview() : state.overview));
  await page.route('**/api/stats?*', (route) => json(route, { totals: state.totals, keys: [], models: [], tokens: [], pool: null }));
  await page.route('**/api/stats/series?*', (route) => json(route, typeof state.series === 'function' ? state.series(route.request().url()) : state.series));
  await page.route('**/api/decisions?*', (route) => json(route, typeof state.decisions === 'function' ? { items: state.decisions(new URL(route.request().url()).searchParams.get('grant')), total: 1 } : state.decisions));
  await page.route('**/api/requests?*', (route) => {
    const url = new URL(route.request().url());
    state.asked.push(url.search);
    if (typeof state.stories === 'number') return json(route, state.stories);
    const [limit, before, status, model, token] = ['limit', 'before', 'status', 'model', 'token'].map((name) => url.searchParams.get(name));
    const fits = (one) =>
      (!before || one.seq < Number(before)) && (!model || one.model === model) && (!token || one.token?.id === token) &&
      (!status || (status === 'ok' ? !one.error : status === 'error' ? one.error : one.status === Number(status)));
    return json(route, { items: [...state.stories].reverse().filter(fits).slice(0, Number(limit)), seq: state.stories.at(-1)?.seq ?? 0, kept: state.stories.length });
  });
  let first = true;
  await page.route('**/api/events', async (route) => {
    if (!state.events) return route.abort();
    // Shorter than what the page takes for a loss.
    if (!first && waiting.length === 0) await Promise.race([new Promise((done) => { wake = done; }), new Promise((done) => setTimeout(done, 1_000))]);
    first = false;
    const pulse = `event: pulse\ndata: ${JSON.stringify({ at: new Date().toISOString(), waiting: 2, under_way: 7 })}\n\n`;
    await route.fulfill({ contentType: 'text/event-stream', body: `retry: 50\n\n${pulse}${waiting.splice(0).join('')}` }).catch(() => {});
  });
  return state;
}
