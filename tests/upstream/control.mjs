// The control API under /__sim/, for a simulator that runs in its own process.

const encode = (record) => ({
  ...record,
  ...(record.body ? { body: record.body.toString('base64') } : {}),
  ...(record.response ? { response: record.response.toString('base64') } : {}),
});

const HANDLES = new WeakMap(); // simulator -> Map of fault handles by id

const ROUTES = {
  'GET /__sim/records': (sim) => sim.records.map(encode),
  'GET /__sim/counts': (sim) => sim.counts(),
  'GET /__sim/faults': (sim) => [...(HANDLES.get(sim)?.values() ?? [])].map(({ id, hits }) => ({ id, hits })),
  'POST /__sim/faults': (sim, spec) => {
    const handle = sim.fault(spec);
    if (!HANDLES.has(sim)) HANDLES.set(sim, new Map());
    HANDLES.get(sim).set(handle.id, handle);
    return { id: handle.id };
  },
  'DELETE /__sim/faults': (sim) => {
    sim.clearFaults();
    HANDLES.delete(sim);
  },
  'POST /__sim/keys': (sim, { key, ...rest }) => sim.addKey(key, rest),
  'POST /__sim/limits': (sim, { org, limits }) => sim.setLimits(org, limits),
  'POST /__sim/revoke': (sim, { key }) => sim.revoke(key),
  'POST /__sim/restore': (sim, { key }) => sim.restore(key),
  'POST /__sim/models': (sim, { model }) => sim.addModel(model),
  'POST /__sim/retire': (sim, { model, code, listed }) => sim.retire(model, code, { listed }),
  'POST /__sim/unretire': (sim, { model }) => {
    sim.unretire(model);
  },
  'POST /__sim/time': (sim, { factor, advanceMs }) => {
    if (factor !== undefined) sim.clock.setFactor(factor);
    if (advanceMs !== undefined) sim.clock.advance(advanceMs);
  },
  'POST /__sim/reset': (sim) => {
    sim.clearFaults();
    HANDLES.delete(sim);
    sim.resetRecords();
    sim.refill();
  },
};

/** Answers one control request: JSON in, JSON out, 400 with the reason for a bad one. */
export async function handleControl(sim, req, res, path, bytes) {
  const answer = (status, value) => {
    res.writeHead(status, { 'content-type': 'application/json' });
    res.end(JSON.stringify(value ?? { ok: true }));
  };
  const one = /^\/__sim\/faults\/(\d+)$/.exec(path);
  if (one && req.method === 'DELETE') {
    sim.removeFault(Number(one[1]));
    HANDLES.get(sim)?.delete(Number(one[1]));
    return answer(200);
  }
  const route = ROUTES[`${req.method} ${path}`];
  if (!route) return answer(404, { error: 'no such control route' });
  try {
    return answer(200, route(sim, bytes?.length > 0 ? JSON.parse(bytes.toString('utf8')) : {}));
  } catch (error) {
    return answer(400, { error: error.message });
  }
}
