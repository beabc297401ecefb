// The entry module of a counting run: the built Worker with every call of a binding counted. `GET /__counts`
// gives the counts since the last time. Never part of a timed run.

/** Takes the place of the Worker's entry module. */
export const COUNTED_ENTRY = `
import worker, { Coordinator as Real } from './index.js';
export * from './index.js';

const counts = {};
const count = (name, by = 1) => { counts[name] = (counts[name] ?? 0) + by; };

// Methods run on the real object; what else is read comes from it too.
const watched = (target, methods) => new Proxy(target, {
  get(_, name) {
    const value = target[name];
    if (typeof value !== 'function' || name === 'constructor') return value;
    return methods[name] ? (...args) => methods[name](target, ...args) : value.bind(target);
  },
});

const statements = new WeakMap();
const statement = (real, who) => {
  const run = (name) => (target, ...args) => { count(who + '.d1'); return target[name](...args); };
  const proxy = watched(real, {
    bind: (target, ...args) => statement(target.bind(...args), who),
    all: run('all'), run: run('run'), first: run('first'), raw: run('raw'),
  });
  statements.set(proxy, real);
  return proxy;
};
const database = (real, who) => watched(real, {
  prepare: (target, sql) => statement(target.prepare(sql), who),
  exec: (target, sql) => { count(who + '.d1'); return target.exec(sql); },
  batch: (target, list) => { count(who + '.d1', list.length); return target.batch(list.map((one) => statements.get(one) ?? one)); },
});
const namespace = (real, who) => watched(real, Object.fromEntries(
  ['get', 'getWithMetadata', 'list', 'put', 'delete'].map((name) => [name, (target, ...args) => {
    count(who + (name === 'put' || name === 'delete' ? '.kv_writes' : '.kv_reads'));
    return target[name](...args);
  }])));
const stub = (real, who) => watched(real, { fetch: (target, ...args) => { count(who + '.object_calls'); return target.fetch(...args); } });
const objects = (real, who) => watched(real, {
  get: (target, ...args) => stub(target.get(...args), who),
  getByName: (target, ...args) => stub(target.getByName(...args), who),
});
// The Worker and the object get the same environment; each has its own counts.
const wrapped = { worker: new WeakMap(), object: new WeakMap() };
const environment = (env, who) => {
  if (!wrapped[who].has(env)) {
    wrapped[who].set(env, { ...env, DB: database(env.DB, who), SNAPSHOT: namespace(env.SNAPSHOT, who), COORDINATOR: objects(env.COORDINATOR, who) });
  }
  return wrapped[who].get(env);
};

const fetched = globalThis.fetch;
globalThis.fetch = (...args) => { count('fetches'); return fetched(...args); };

// The entry point is a class behind a proxy; a subclass of it is one too.
export default class extends worker {
  constructor(context, env) {
    super(context, environment(env, 'worker'));
  }
  fetch(request) {
    if (request.url.endsWith('/__counts')) {
      const answer = Response.json(counts);
      for (const name of Object.keys(counts)) delete counts[name];
      return answer;
    }
    count('requests');
    return super.fetch(request);
  }
}

let storageWatched = false;
const watchStorage = (storage) => {
  if (storageWatched) return;
  storageWatched = true;
  const sql = Object.getPrototypeOf(storage.sql);
  const { exec } = sql;
  sql.exec = function (...args) {
    const cursor = exec.apply(this, args);
    count('object.sql');
    count('object.sql_rows_written', cursor.rowsWritten);
    return cursor;
  };
};

export class Coordinator extends Real {
  constructor(state, env) {
    watchStorage(state.storage);
    super(state, environment(env, 'object'));
  }
  async alarm(...args) {
    count('object.alarms');
    return super.alarm(...args);
  }
}
`;

/** Takes the counts since the last time. @param {string} origin of Rondo @returns {Promise<Record<string, number>>} */
export async function takeCounts(origin) {
  const response = await fetch(`${origin}/__counts`);
  return response.json();
}
