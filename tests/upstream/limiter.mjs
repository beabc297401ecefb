// Rate limits of one organisation and one model, as the service keeps them: token buckets
// with continuous refill. Admission reserves the prompt and the largest possible answer,
// and what really happened is settled afterwards. Times are milliseconds, given by the caller.

const WINDOW_MS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };
const WINDOWS = Object.keys(WINDOW_MS);

/** Reserved for the answer when the request names no limit, and the most ever reserved. */
export const RESERVE_CAP = 16_384;

// Checked in this order; the first that lacks room is the one the refusal names.
const METRICS = ['requests', 'uncached', 'tokens'];

/** Named sets of limits. `{metric: {window: n}}`; `uncached` counts no cached prompt tokens. */
export const PRESETS = {
  trial: { requests: { minute: 5, hour: 150, day: 2400 }, uncached: { minute: 30_000 }, tokens: { minute: 90_000, hour: 1_000_000, day: 1_000_000 } },
  free: { requests: { minute: 30, hour: 900, day: 14_400 }, tokens: { minute: 64_000, hour: 1_000_000, day: 1_000_000 } },
  paid: { requests: { minute: 1000 }, uncached: { minute: 1_000_000 }, tokens: { minute: 3_000_000 } },
  open: { requests: { minute: 1_000_000, hour: 60_000_000, day: 1_000_000_000 }, tokens: { minute: 1e9, hour: 6e10, day: 1e12 } },
};

/** A preset's name or an object of that form; anything else is refused here, not at the first request. */
export function limitsOf(given = 'open') {
  const limits = typeof given === 'string' ? PRESETS[given] : given;
  if (!limits) throw new RangeError(`no preset of limits is called ${given}`);
  for (const [metric, windows] of Object.entries(limits)) {
    if (!METRICS.includes(metric)) throw new RangeError(`limits know ${METRICS.join(', ')}, not ${metric}`);
    for (const [window, n] of Object.entries(windows)) {
      if (!WINDOW_MS[window] || !(n > 0)) throw new RangeError(`not a limit: ${metric} ${window} ${n}`);
    }
  }
  return limits;
}

// The level is kept in units of 1/window, so that refill and cost are whole numbers.
class Bucket {
  constructor(metric, window, limit, now) {
    this.metric = metric;
    this.window = window;
    this.limit = limit;
    this.span = WINDOW_MS[window];
    this.level = limit * this.span;
    this.at = now;
  }

  refill(now) {
    this.level = Math.min(this.limit * this.span, this.level + Math.max(0, now - this.at) * this.limit);
    this.at = Math.max(this.at, now);
  }

  /** Milliseconds until `cost` fits; Infinity if it never can. */
  waitFor(cost) {
    if (cost > this.limit) return Infinity;
    return Math.max(0, (cost * this.span - this.level) / this.limit);
  }

  spend(cost) {
    this.level = Math.min(this.limit * this.span, this.level - cost * this.span);
  }

  get remaining() {
    return Math.max(0, Math.floor(this.level / this.span));
  }

  /** Milliseconds until the bucket is full again. */
  get resetMs() {
    return (this.limit * this.span - this.level) / this.limit;
  }
}

export class Limiter {
  constructor(limits, now) {
    this.buckets = [];
    for (const metric of METRICS) {
      for (const window of WINDOWS) {
        const limit = limits[metric]?.[window];
        if (limit) this.buckets.push(new Bucket(metric, window, limit, now));
      }
    }
  }

  /**
   * Reserves room for a request, or takes nothing and says which bucket lacked it.
   * @param {number} prompt estimated prompt tokens
   * @param {number} [maxCompletion] what the request allows; absent means the cap
   * @returns {{ok: true, reserved: number} | {ok: false, metric: string, window: string, waitMs: number, resetMs: number}}
   */
  admit(now, prompt, maxCompletion = RESERVE_CAP) {
    const reserved = prompt + Math.min(maxCompletion, RESERVE_CAP);
    for (const bucket of this.buckets) {
      bucket.refill(now);
      const waitMs = bucket.waitFor(bucket.metric === 'requests' ? 1 : reserved);
      if (waitMs > 0) return { ok: false, metric: bucket.metric, window: bucket.window, waitMs, resetMs: bucket.resetMs };
    }
    for (const bucket of this.buckets) bucket.spend(bucket.metric === 'requests' ? 1 : reserved);
    return { ok: true, reserved };
  }

  /** Gives back what was reserved and takes what was used; a level may go below nothing. */
  settle(now, reserved, { prompt, cached = 0, completion }) {
    for (const bucket of this.buckets) {
      if (bucket.metric === 'requests') continue;
      bucket.refill(now);
      bucket.spend(prompt + completion - (bucket.metric === 'uncached' ? cached : 0) - reserved);
    }
  }

  /** `{ 'requests-minute': { limit, remaining, resetMs }, … }` of every bucket. */
  state(now) {
    return Object.fromEntries(this.buckets.map((bucket) => {
      bucket.refill(now);
      return [`${bucket.metric}-${bucket.window}`, { limit: bucket.limit, remaining: bucket.remaining, resetMs: bucket.resetMs }];
    }));
  }

  /**
   * The `x-ratelimit-*` headers. There is one `tokens-minute` in them: where an uncached
   * bucket exists it is that one, and the total bucket is not shown (a trial key shows 30000).
   */
  headers(now, factor = 1) {
    const out = {};
    for (const bucket of this.buckets) {
      bucket.refill(now);
      if (bucket.metric === 'tokens' && out[`x-ratelimit-limit-tokens-${bucket.window}`]) continue;
      const name = `${bucket.metric === 'requests' ? 'requests' : 'tokens'}-${bucket.window}`;
      out[`x-ratelimit-limit-${name}`] = String(bucket.limit);
      out[`x-ratelimit-remaining-${name}`] = String(bucket.remaining);
      out[`x-ratelimit-reset-${name}`] = String(bucket.resetMs / 1000 / factor);
    }
    return out;
  }
}

/** Prompt prefixes an organisation has sent of late: 128-token blocks, five minutes. */
export class PromptCache {
  static TTL_MS = 300_000;
  static BLOCK = 128;
  static #STEP = 128; // characters between two remembered prefixes
  static #MOST = 20_000;
  #seen = new Map();

  /** Cached tokens of this prompt (a multiple of 128, never all of it), which it is then added to. */
  match(now, text, tokens) {
    if (tokens < PromptCache.BLOCK) return 0;
    let hash = 0;
    let matched = 0;
    let unbroken = true;
    for (let i = 0; i < text.length; i += 1) {
      hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
      if ((i + 1) % PromptCache.#STEP !== 0 && i + 1 !== text.length) continue;
      const name = hash * 2 ** 20 + ((i + 1) % 2 ** 20);
      unbroken &&= (this.#seen.get(name) ?? -Infinity) >= now;
      if (unbroken) matched = i + 1;
      this.#seen.delete(name);
      this.#seen.set(name, now + PromptCache.TTL_MS);
    }
    for (const oldest of this.#seen.keys()) {
      if (this.#seen.size <= PromptCache.#MOST) break;
      this.#seen.delete(oldest);
    }
    const blocks = Math.floor(((matched / text.length) * tokens) / PromptCache.BLOCK);
    return PromptCache.BLOCK * Math.min(blocks, Math.floor((tokens - 1) / PromptCache.BLOCK));
  }
}
