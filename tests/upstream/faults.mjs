// Scripted misbehaviour: which requests it strikes, and what is to be done to them.
import { errorFor, errorNamed } from './errors.mjs';

/** Kinds that answer (or refuse to) before anything else is looked at. */
const EARLY = ['status', 'never', 'reset-before-headers'];
/** Kinds that bend an answer which is otherwise sent as usual. */
const LATE = ['reset-after-headers', 'reset-mid-stream', 'reset-mid-frame', 'stall', 'error-event', 'no-done', 'no-finish',
  'garbage', 'wrong-content-type'];
/** Kinds that only slow or decorate, and combine with any other. */
const MILD = ['delay-headers', 'delay-first-chunk', 'slow', 'comments-first', 'fragment'];
const KINDS = [...EARLY, ...LATE, ...MILD];

const INFERENCE = ['/v1/chat/completions', '/v1/completions'];
const FIELDS = ['kind', 'key', 'org', 'model', 'path', 'stream', 'share', 'times', 'skip', 'status', 'error', 'body', 'headers',
  'retryAfter', 'ms', 'afterChunks', 'count', 'bytes', 'contentType', 'event', 'done', 'how'];

const matches = (wanted, value) => wanted === undefined || (Array.isArray(wanted) ? wanted.includes(value) : wanted === value);
function matchesPath(wanted, path) {
  if (wanted === undefined) return INFERENCE.includes(path);
  return wanted.endsWith('*') ? path.startsWith(wanted.slice(0, -1)) : path === wanted;
}

// A small seeded generator: a share of requests is the same requests in every run, and
// falls in step with no rotation.
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `Retry-After` in every form that is met: seconds, fractions, an HTTP date, milliseconds. */
export function retryAfterHeaders(given, nowMs) {
  if (given === undefined) return {};
  const { form = 'seconds', seconds } = typeof given === 'object' ? given : { seconds: given };
  switch (form) {
    case 'seconds': return { 'retry-after': String(Math.ceil(seconds)) };
    case 'fractional': return { 'retry-after': String(seconds) };
    case 'date': return { 'retry-after': new Date(nowMs + seconds * 1000).toUTCString() };
    case 'ms': return { 'retry-after-ms': String(seconds * 1000) };
    case 'both': return { 'retry-after': String(Math.ceil(seconds)), 'retry-after-ms': String(seconds * 1000) };
    default: throw new RangeError(`Retry-After has no form ${form}`);
  }
}

/** The whole answer of a `status` fault. */
export function statusAnswer(fault, nowMs, model) {
  const known = fault.error ? errorNamed(fault.error, model) : errorFor(fault.status, model);
  const body = fault.body ?? known.body ?? known.text;
  const json = typeof body === 'object' && !Buffer.isBuffer(body);
  return {
    status: fault.status ?? known.status,
    headers: {
      'content-type': json ? 'application/json' : 'text/plain; charset=UTF-8',
      ...known.headers, ...retryAfterHeaders(fault.retryAfter, nowMs), ...fault.headers,
    },
    body: json ? JSON.stringify(body) : body,
  };
}

export function createFaults({ seed = 1 } = {}) {
  let faults = [];
  let lastId = 0;
  const random = randomFrom(seed);

  function check(spec) {
    if (!KINDS.includes(spec.kind)) throw new RangeError(`no fault is called ${spec.kind}; there are ${KINDS.join(', ')}`);
    const unknown = Object.keys(spec).filter((name) => !FIELDS.includes(name));
    if (unknown.length > 0) throw new RangeError(`faults have no ${unknown.join(', ')}`);
    if (spec.kind === 'status' && spec.status === undefined && spec.error === undefined) throw new RangeError('a status fault names a status or an error');
    if (spec.error !== undefined) errorNamed(spec.error);
    retryAfterHeaders(spec.retryAfter, 0);
  }

  return {
    /** @returns {{id: number, hits: number, remove(): void}} `hits` counts the requests it struck */
    add(spec) {
      check(spec);
      lastId += 1;
      const fault = { ...spec, id: lastId, seen: 0, hits: 0 };
      faults.push(fault);
      return {
        id: fault.id,
        get hits() {
          return fault.hits;
        },
        remove() {
          faults = faults.filter((f) => f !== fault);
        },
      };
    },
    remove: (id) => {
      faults = faults.filter((f) => f.id !== id);
    },
    clear() {
      faults = [];
    },
    /** The faults that strike this request: all mild ones, and the first of the others. */
    strike(request) {
      const out = { mild: [] };
      for (const fault of faults) {
        const mild = MILD.includes(fault.kind);
        if (!mild && out.main) continue;
        if (!matchesPath(fault.path, request.path) || !matches(fault.key, request.key) || !matches(fault.org, request.org)
          || !matches(fault.model, request.model) || !matches(fault.stream, request.stream)) continue;
        fault.seen += 1;
        if (fault.seen <= (fault.skip ?? 0)) continue;
        if (fault.times !== undefined && fault.hits >= fault.times) continue;
        if (fault.share !== undefined && random() >= fault.share) continue;
        fault.hits += 1;
        if (mild) out.mild.push(fault);
        else out.main = fault;
      }
      const pick = (kind) => out.mild.find((f) => f.kind === kind);
      return {
        early: out.main && EARLY.includes(out.main.kind) ? out.main : undefined,
        late: out.main && LATE.includes(out.main.kind) ? out.main : undefined,
        headersDelayMs: pick('delay-headers')?.ms ?? 0,
        firstChunkDelayMs: pick('delay-first-chunk')?.ms ?? 0,
        chunkDelayMs: pick('slow')?.ms,
        comments: pick('comments-first')?.count ?? (pick('comments-first') ? 1 : 0),
        fragmentBytes: pick('fragment')?.bytes ?? (pick('fragment') ? 7 : 0),
        kinds: [...out.mild, ...(out.main ? [out.main] : [])].map((f) => f.kind),
      };
    },
  };
}
