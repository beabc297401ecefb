// The built Coordinator under a script, for tests of the isolate's side alone: what is asked is recorded, and
// answers are given that need a certain state of the pool.
//
//   const pool = await startPool({ worker: { entry: scripted } });
//   await script(pool, { leases: true });                  // see below
//   const asks = await asksOf(pool);                       // since the last call

/** Entry module. Script: `leases` grants as many as are wanted; `learn` marks them; `allowance` goes with each answer;
 *  `excludeFrom` is the number of excluded models from which on they are heeded. */
export const scripted = `
  import worker, { Coordinator as Real } from './index.js';
  export * from './index.js';
  export default worker;
  let script = {};
  let asks = [];
  export class Coordinator extends Real {
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === '/test/script') {
        script = await request.json();
        return new Response('set');
      }
      if (pathname === '/test/asks') {
        const taken = asks;
        asks = [];
        return Response.json(taken);
      }
      if (pathname !== '/ask') return super.fetch(request);
      const real = (message) =>
        super.fetch(new Request('http://coordinator/ask', { method: 'POST', body: JSON.stringify(message) }));
      const ask = JSON.parse(request.headers.get('x-ask') ?? (await request.text()));
      const { want, settles: _, renews: __, ...plain } = ask;
      const given = [];
      asks.push({ at: Date.now(), ask, given });
      if (!want) return real(ask);
      const one = { ...want, count: 1 };
      if ((want.exclude_models ?? []).length < script.excludeFrom) one.exclude_models = [];
      const first = await real({ ...ask, want: one });
      if (first.status !== 200) return first;
      const answer = await first.json();
      const grants = answer.outcome?.grants ?? [];
      while (script.leases && grants.length > 0 && grants.length < want.count) {
        const more = (await (await real({ ...plain, want: one })).json()).outcome?.grants ?? [];
        if (more.length === 0) break;
        grants.push(...more);
      }
      if (script.learn) grants.forEach((grant) => { grant.learn = true; });
      if (script.allowance) answer.allowance = script.allowance;
      given.push(...grants.map(({ id }) => String(id)));
      return new Response(JSON.stringify(answer));
    }
  }`;

/** Sets what the object does from now on. */
export async function script(pool, what) {
  await pool.rondo.coordinator('/test/script', { method: 'POST', body: JSON.stringify(what) });
}

/** The asks since this was last called: `{ at, ask, given }`, `given` being the numbers of the grants. */
export async function asksOf(pool) {
  return (await pool.rondo.coordinator('/test/asks')).json();
}
