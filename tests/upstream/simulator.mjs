// A stand-in for the Cerebras Inference API on loopback. See README.md.
import { createServer } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { envelopeOf, framesOf, maxCompletionOf, planChat, planCompletions, wholeAnswer } from './answers.mjs';
import { createCatalog } from './catalog.mjs';
import { createClock } from './clock.mjs';
import { handleControl } from './control.mjs';
import * as errors from './errors.mjs';
import { createFastServer } from './fast.mjs';
import { createFaults, statusAnswer } from './faults.mjs';
import { Limiter, PromptCache, limitsOf } from './limiter.mjs';
import { decodeMsgpack } from './msgpack.mjs';
import { createRecorder } from './record.mjs';
import { Reply, sendStream, sendWhole, sendWholeBent } from './send.mjs';
import { countPrompt } from './tokens.mjs';
import { validateChat, validateCompletions, validateForModel } from './validate.mjs';

export { promptOf } from './tokens.mjs';
export { PRESETS } from './limiter.mjs';

const BODY_LIMIT = 16 * 1024 * 1024;
const JSON_TYPE = { 'content-type': 'application/json' };
const STREAM_TYPE = { 'content-type': 'text/event-stream; charset=utf-8' };
const MSGPACK = ['application/vnd.msgpack', 'application/msgpack', 'application/x-msgpack'];
const FORMATS = ['default', 'openrouter', 'huggingface'];
/** What the edge in front of the service adds to every answer. */
const EDGE_HEADERS = {
  'referrer-policy': 'strict-origin-when-cross-origin',
  'strict-transport-security': 'max-age=3600; includeSubDomains',
  'alt-svc': 'h3=":443"; ma=86400',
  server: 'cloudflare',
};

/**
 * Starts a simulator.
 * @param {object} [options]
 * @param {number} [options.port] 0 for any free one
 * @param {string} [options.host]
 * @param {(string|{key: string, org?: string, limits?: string|object})[]} [options.keys] each key is its own organisation unless it names one
 * @param {Object<string, string|object>} [options.orgs] limits by organisation: a preset's name, `{requests, uncached, tokens}`, or `{models: {id: limits}, default: limits}`
 * @param {string|object} [options.limits] of organisations that name none; `open` by default
 * @param {(string|object)[]} [options.models] instead of the usual catalog
 * @param {number} [options.timeFactor] how many times as fast limits, caches and dates run; delays stay real
 * @param {boolean} [options.realSeconds] divide stated waits by the factor, for a client that lives in real time
 * @param {'full'|'need'} [options.retryAfter] on a quota 429: until the bucket is full (as seen live) or until the request fits
 * @param {number} [options.chunkDelayMs] real pause after each chunk
 * @param {boolean} [options.promptCache] count repeated prompt prefixes as cached (default true)
 * @param {boolean} [options.recordBodies] keep request bodies and the exact bytes of answers
 * @param {boolean} [options.control] serve `/__sim/`
 * @param {boolean} [options.fast] the benchmark's upstream: no checks, limits or records
 * @param {number} [options.seed] of the shares of faults
 */
export async function createSimulator(options = {}) {
  const { port = 0, host = '127.0.0.1' } = options;
  if (options.fast) return createFastServer({ port, host, chunkDelayMs: options.chunkDelayMs ?? 0, control: options.control });

  const clock = createClock(options.timeFactor ?? 1);
  const catalog = createCatalog(options.models);
  const faults = createFaults({ seed: options.seed });
  const recorder = createRecorder({ recordBodies: options.recordBodies });
  const keys = new Map();
  const orgLimits = new Map();
  let buckets = new Map(); // `org\nmodel` -> Limiter
  let caches = new Map(); // `org\nmodel` -> PromptCache

  function setLimits(org, limits) {
    for (const own of limits?.models ? [...Object.values(limits.models), limits.default] : [limits]) limitsOf(own);
    orgLimits.set(org, limits);
    for (const name of [...buckets.keys()]) if (name.startsWith(`${org}\n`)) buckets.delete(name);
  }
  function addKey(key, { org = key, limits } = {}) {
    keys.set(key, { org, revoked: false });
    if (limits !== undefined) setLimits(org, limits);
  }
  function setRevoked(key, revoked) {
    if (!keys.has(key)) throw new RangeError('no such key');
    keys.get(key).revoked = revoked;
  }
  function limiterOf(org, model) {
    const name = `${org}\n${model}`;
    if (!buckets.has(name)) {
      const given = orgLimits.get(org) ?? options.limits;
      const own = given?.models ? given.models[model] ?? given.default : given;
      buckets.set(name, new Limiter(limitsOf(own), clock.now()));
    }
    return buckets.get(name);
  }
  function cachedTokens(org, body, tokens) {
    if (options.promptCache === false || tokens < PromptCache.BLOCK) return 0;
    const name = `${org}\n${body.model}`;
    if (!caches.has(name)) caches.set(name, new PromptCache());
    const text = JSON.stringify(body.tools ?? '') + JSON.stringify(body.messages ?? body.prompt);
    return caches.get(name).match(clock.now(), text, tokens);
  }

  setLimits('', options.limits);
  for (const [org, limits] of Object.entries(options.orgs ?? {})) setLimits(org, limits);
  for (const entry of options.keys ?? []) {
    if (typeof entry === 'string') addKey(entry);
    else addKey(entry.key, entry);
  }

  function refuse(reply, { status, body, text, headers }) {
    reply.record.code = body?.code;
    const type = body ? JSON_TYPE : { 'content-type': 'text/plain; charset=UTF-8' };
    sendWhole(reply, status, { ...EDGE_HEADERS, ...type, ...headers }, body ? JSON.stringify(body) : text);
  }

  // Undefined when the request may go on.
  function refusedAt(req, record) {
    if (/^Python-urllib\//.test(req.headers['user-agent'] ?? '')) return errors.bannedAgent();
    if (record.key === undefined) return errors.notAuthenticated();
    const known = keys.get(record.key);
    if (!known || known.revoked) return errors.wrongKey();
    record.org = known.org;
    return undefined;
  }

  const goneAnswer = (gone, id) => (gone === 'model_archived' ? errors.modelArchived(id) : errors.modelNotFound(id));

  function answerModels(reply, req, path, query) {
    const open = path.startsWith('/public/');
    const refusal = open ? undefined : refusedAt(req, reply.record);
    if (refusal) return refuse(reply, refusal);
    const format = new URLSearchParams(query).get('format') ?? 'default';
    if (!FORMATS.includes(format)) return refuse(reply, errors.wrongFormat(`query.format: Input should be ${FORMATS.map((f) => `'${f}'`).join(', ')}`));
    const prefix = open ? '/public/v1/models' : '/v1/models';
    const full = open || format !== 'default';
    if (path === prefix) return refuseNot(reply, catalog.list(full));
    const id = safeDecode(path.slice(prefix.length + 1));
    const entry = catalog.entry(id, full);
    return entry ? refuseNot(reply, entry) : refuse(reply, errors.modelNotFound(id));
  }
  const refuseNot = (reply, body) => sendWhole(reply, 200, { ...EDGE_HEADERS, ...JSON_TYPE }, JSON.stringify(body));

  async function answerInference(reply, req, path, bytes) {
    const { record } = reply;
    const { body, problem } = parseBody(req.headers, bytes);
    record.model = typeof body?.model === 'string' ? body.model : undefined;
    record.stream = body?.stream === true;
    record.org = keys.get(record.key)?.org;
    const strike = faults.strike({ path, key: record.key, org: record.org, model: record.model, stream: record.stream });
    record.faults = strike.kinds;
    recorder.received(record);
    await reply.wait(strike.headersDelayMs);
    if (strike.early) return answerEarly(reply, strike.early);

    const chat = path === '/v1/chat/completions';
    let refusal = refusedAt(req, record) ?? problem ?? (chat ? validateChat : validateCompletions)(body);
    if (refusal) return refuse(reply, refusal);
    const { model, gone } = catalog.find(body.model);
    if (gone) return refuse(reply, goneAnswer(gone, body.model));
    const promptTokens = countPrompt(body);
    const maxCompletion = maxCompletionOf(body);
    refusal = validateForModel(body, model) ?? fits(model, promptTokens, maxCompletion);
    if (refusal) return refuse(reply, refusal);

    const limiter = limiterOf(record.org, body.model);
    const admitted = limiter.admit(clock.now(), promptTokens, maxCompletion);
    const pace = options.realSeconds ? clock.factor : 1;
    if (!admitted.ok) return refuse(reply, quotaAnswer(admitted, limiter, pace));

    const cached = cachedTokens(record.org, body, promptTokens);
    const plan = (chat ? planChat : planCompletions)(body, model);
    const envelope = envelopeOf(plan, { model: body.model, nowMs: clock.now(), promptTokens, cachedTokens: cached });
    record.promptTokens = promptTokens;
    record.cachedTokens = cached;
    record.completionTokens = plan.completionTokens;
    const headers = {
      ...EDGE_HEADERS, ...(body.stream ? STREAM_TYPE : JSON_TYPE), 'inference-id': envelope.id, 'cf-ray': rayId(record.id),
      ...limiter.headers(clock.now(), pace),
    };
    try {
      const chunkDelayMs = strike.chunkDelayMs ?? plan.delayMs ?? options.chunkDelayMs ?? 0;
      if (body.stream) await sendStream(reply, headers, framesOf(plan, envelope), { chunkDelayMs, strike });
      else await sendWholeBent(reply, headers, JSON.stringify(wholeAnswer(plan, envelope)), plan.completionTokens, strike);
    } finally {
      // An answer cut short used what had been written by then; a whole one, all of it.
      const completion = body.stream ? record.sentTokens : plan.completionTokens;
      limiter.settle(clock.now(), admitted.reserved, { prompt: promptTokens, cached, completion });
    }
  }

  function quotaAnswer({ metric, window, waitMs, resetMs }, limiter, pace) {
    const known = metric === 'requests' ? errors.requestQuota(window) : errors.tokenQuota(window);
    const ms = options.retryAfter === 'need' && Number.isFinite(waitMs) ? waitMs : Math.max(resetMs, Number.isFinite(waitMs) ? waitMs : 1);
    return { ...known, headers: { ...limiter.headers(clock.now(), pace), 'retry-after': String(Math.max(1, Math.ceil(ms / 1000 / pace))) } };
  }

  function answerEarly(reply, fault) {
    if (fault.kind === 'never') return reply.closed;
    if (fault.kind === 'reset-before-headers') return reply.cut(fault.how);
    const { status, headers, body } = statusAnswer(fault, clock.now(), reply.record.model);
    try {
      reply.record.code = JSON.parse(body).code;
    } catch {
      // A body of another form has no code.
    }
    return sendWhole(reply, status, { ...EDGE_HEADERS, ...headers }, body);
  }

  async function handle(req, res) {
    const mark = req.url.indexOf('?');
    const path = mark < 0 ? req.url : req.url.slice(0, mark);
    const query = mark < 0 ? '' : req.url.slice(mark + 1);
    if (options.control && path.startsWith('/__sim/')) return handleControl(sim, req, res, path, await readBody(req));
    const record = recorder.open(req, path, query);
    const reply = new Reply(res, record, recorder);
    record.key = bearerOf(req.headers.authorization);
    const bytes = await readBody(req);
    if (bytes === undefined && !reply.open) return undefined;
    record.bodyBytes = bytes?.length ?? 0;
    if (recorder.recordBodies) record.body = bytes;
    const isInference = path === '/v1/chat/completions' || path === '/v1/completions';
    if (bytes === undefined) {
      recorder.received(record);
      return refuse(reply, { ...errors.tooLarge(), headers: { connection: 'close' } });
    }
    if (isInference && req.method === 'POST') return answerInference(reply, req, path, bytes);

    record.org = keys.get(record.key)?.org;
    const strike = faults.strike({ path, key: record.key, org: record.org, stream: false });
    record.faults = strike.kinds;
    recorder.received(record);
    await reply.wait(strike.headersDelayMs);
    if (strike.early) return answerEarly(reply, strike.early);
    const isModels = /^(\/public)?\/v1\/models(\/.+)?$/.test(path);
    if (!isInference && !isModels && path !== '/v1/tcp_warming') return sendWhole(reply, 404, { ...EDGE_HEADERS, 'content-type': 'text/plain' });
    if (isInference || req.method !== 'GET') return refuse(reply, errors.methodNotAllowed());
    if (isModels) return answerModels(reply, req, path, query);
    return sendWhole(reply, 200, { ...EDGE_HEADERS, 'content-type': 'text/plain' });
  }

  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 30_000, maxHeaderSize: 64 * 1024, noDelay: true }, (req, res) => {
    handle(req, res).catch((error) => {
      // A fault of the simulator itself must not look like a scripted one.
      console.error('simulator:', error);
      res.destroy(error);
    });
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, host, resolve));

  const sim = {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${server.address().port}`,
    clock,
    addKey,
    setLimits,
    revoke: (key) => setRevoked(key, true),
    restore: (key) => setRevoked(key, false),
    addModel: (model) => catalog.add(model),
    retire: (model, code, listing) => catalog.retire(model, code, listing),
    unretire: (model) => catalog.unretire(model),
    fault: (spec) => faults.add(spec),
    removeFault: (id) => faults.remove(id),
    clearFaults: () => faults.clear(),
    /** `{ 'requests-minute': {limit, remaining, resetMs}, … }` as the service sees them now. */
    buckets: (org, model) => limiterOf(org, model).state(clock.now()),
    /** Full buckets and empty prompt caches again. */
    refill() {
      buckets = new Map();
      caches = new Map();
    },
    records: recorder.records,
    publicRecords: recorder.publicRecords,
    get active() {
      return recorder.active;
    },
    resetRecords: () => recorder.reset(),
    counts: () => recorder.counts(),
    waitFor: (predicate, wait) => recorder.waitFor(predicate, wait),
    close: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
  return sim;
}

function bearerOf(header) {
  const found = /^Bearer +(\S+)\s*$/i.exec(header ?? '');
  return found?.[1];
}

function safeDecode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const rayId = (n) => `${(0x9a000000 + n).toString(16)}00000000-CDG`.slice(0, 20);

/** The whole body, or undefined when it is too large or the client left while sending it. */
function readBody(req) {
  return new Promise((resolve) => {
    const parts = [];
    let size = 0;
    req.on('data', (part) => {
      size += part.length;
      if (size > BODY_LIMIT) {
        parts.length = 0;
        resolve(undefined);
      } else parts.push(part);
    });
    req.on('end', () => resolve(size > BODY_LIMIT ? undefined : Buffer.concat(parts)));
    req.on('error', () => resolve(undefined));
    req.on('close', () => resolve(undefined));
  });
}

function parseBody(headers, bytes) {
  const type = (headers['content-type'] ?? 'application/json').split(';')[0].trim().toLowerCase();
  try {
    const plain = headers['content-encoding'] === 'gzip' ? gunzipSync(bytes, { maxOutputLength: BODY_LIMIT }) : bytes;
    if (MSGPACK.includes(type)) return { body: decodeMsgpack(plain) };
    if (type !== 'application/json') return { problem: errors.unsupportedType() };
    return { body: JSON.parse(plain.toString('utf8')) };
  } catch (error) {
    if (error.code === 'ERR_BUFFER_TOO_LARGE') return { problem: errors.tooLarge() };
    return { problem: errors.wrongFormat('body: Invalid JSON') };
  }
}

function fits(model, promptTokens, maxCompletion = 0) {
  const length = promptTokens + Math.min(maxCompletion, model.maxOutput);
  return length > model.context ? errors.contextLength(length, model.context) : undefined;
}
