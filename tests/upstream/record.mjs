// What was received and sent. Times are milliseconds of performance.now(), so that they
// can be compared with the times of a test in the same process.

/**
 * @typedef {object} Exchange one request and its answer
 * @property {number} id
 * @property {string} method
 * @property {string} path without its query
 * @property {string} query
 * @property {object} headers of the request, names in lower case
 * @property {string} [key] the bearer key, known or not
 * @property {string} [org]
 * @property {string} [model]
 * @property {boolean} stream
 * @property {number} bodyBytes as received, still compressed if it came so
 * @property {Buffer} [body] with recordBodies
 * @property {Buffer} [response] the exact bytes of the answer's body written so far, with recordBodies
 * @property {string[]} faults kinds of the faults that struck it
 * @property {number} [status] unset while nothing was answered
 * @property {string} [code] of an error answer
 * @property {number} at wall clock when it came (milliseconds since 1970)
 * @property {number} receivedAt headers were in
 * @property {number} [bodyAt] the body was in
 * @property {number} [firstByteAt] first byte of the answer's body was handed to the system
 * @property {number} [endedAt] the answer was all handed over, or the connection was gone
 * @property {number} promptTokens
 * @property {number} cachedTokens
 * @property {number} completionTokens of the whole answer
 * @property {number} sentTokens completion tokens in the chunks written
 * @property {number} sentChunks
 * @property {number} sentBytes of the answer's body
 * @property {number} heldBack how often writing waited because the client did not read
 * @property {boolean} done `[DONE]` or the whole body was sent
 * @property {boolean} hungUp the client closed before the end
 * @property {number} [hungUpAt]
 */

const RECORDS_KEPT = 50_000;

/** Reads of the public list: whoever watches it does so in its own time, so they are kept apart. */
const isPublic = (path) => path.startsWith('/public/');

export function createRecorder({ recordBodies = false, keep = RECORDS_KEPT } = {}) {
  const records = [];
  const publicRecords = [];
  const waiters = new Set();
  let counts = new Map();
  let lastId = 0;
  let active = 0;

  const countsOf = (key) => {
    if (!counts.has(key)) {
      counts.set(key, { requests: 0, active: 0, maxActive: 0, byStatus: {}, promptTokens: 0, completionTokens: 0, sentTokens: 0, hungUp: 0, faults: 0 });
    }
    return counts.get(key);
  };

  return {
    records,
    publicRecords,
    recordBodies,
    get active() {
      return active;
    },
    open(req, path, query) {
      lastId += 1;
      active += isPublic(path) ? 0 : 1;
      const record = {
        id: lastId, method: req.method, path, query, headers: req.headers, key: undefined, org: undefined, model: undefined, stream: false,
        bodyBytes: 0, faults: [], status: undefined, code: undefined, at: Date.now(), receivedAt: performance.now(), bodyAt: undefined,
        firstByteAt: undefined, endedAt: undefined, promptTokens: 0, cachedTokens: 0, completionTokens: 0, sentTokens: 0, sentChunks: 0,
        sentBytes: 0, heldBack: 0, done: false, hungUp: false, hungUpAt: undefined,
      };
      const list = isPublic(path) ? publicRecords : records;
      list.push(record);
      // In batches, since cutting the front of a long array is dear.
      if (list.length > keep * 1.25) list.splice(0, list.length - keep);
      return record;
    },
    /** The body is in and the key known: from here on it is counted. */
    received(record) {
      record.bodyAt = performance.now();
      if (isPublic(record.path)) return this.changed(record);
      record.counted = countsOf(record.key ?? '');
      record.counted.requests += 1;
      record.counted.active += 1;
      record.counted.maxActive = Math.max(record.counted.maxActive, record.counted.active);
      Object.defineProperty(record, 'counted', { enumerable: false });
      return this.changed(record);
    },
    closed(record) {
      if (record.endedAt !== undefined) return;
      record.endedAt = performance.now();
      active -= isPublic(record.path) ? 0 : 1;
      if (record.counted) {
        const own = record.counted;
        own.active -= 1;
        const status = record.status ?? 'none';
        own.byStatus[status] = (own.byStatus[status] ?? 0) + 1;
        own.promptTokens += record.promptTokens;
        own.completionTokens += record.completionTokens;
        own.sentTokens += record.sentTokens;
        own.hungUp += record.hungUp ? 1 : 0;
        own.faults += record.faults.length > 0 ? 1 : 0;
      }
      this.changed(record);
    },
    /** Something about a record is new: whoever waits for it is told. */
    changed(record) {
      if (waiters.size === 0) return;
      for (const waiter of [...waiters]) waiter(record);
    },
    counts: () => Object.fromEntries([...counts].map(([key, own]) => [key, { ...own, byStatus: { ...own.byStatus } }])),
    reset() {
      records.length = 0;
      publicRecords.length = 0;
      counts = new Map();
    },
    /**
     * The first record for which the predicate holds, now or after one of its next changes
     * (received, first byte, each chunk, end, hang-up). Reads of the public list are looked at only with `open`.
     * @param {(record: Exchange) => boolean} predicate
     */
    waitFor(predicate, { timeoutMs = 10_000, open = false } = {}) {
      const list = open ? publicRecords : records;
      const already = list.find(predicate);
      if (already) return Promise.resolve(already);
      return new Promise((resolve, reject) => {
        const stop = () => {
          clearTimeout(timer);
          waiters.delete(waiter);
        };
        const waiter = (record) => {
          if (isPublic(record.path) !== open) return;
          try {
            if (!predicate(record)) return;
            stop();
            resolve(record);
          } catch (error) {
            stop();
            reject(error);
          }
        };
        const timer = setTimeout(() => {
          stop();
          const last = list.slice(-3).map(({ id, key, path, status, hungUp, sentChunks }) => ({ id, key, path, status, hungUp, sentChunks }));
          reject(new Error(`no record fits within ${timeoutMs} ms; the last of ${list.length}: ${JSON.stringify(last)}`));
        }, timeoutMs);
        waiters.add(waiter);
      });
    },
  };
}
