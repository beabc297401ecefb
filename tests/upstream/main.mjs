// Runs a simulator by itself:
//   node tests/upstream/main.mjs --port 9000 --keys k1,k2 [--control]
import { parseArgs } from 'node:util';
import { createSimulator } from './simulator.mjs';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '9000' },
    host: { type: 'string', default: '127.0.0.1' },
    keys: { type: 'string', default: '' }, // key or key:organisation, comma separated
    models: { type: 'string' }, // ids, comma separated
    limits: { type: 'string', default: 'open' }, // trial, free, paid or open
    'retry-after': { type: 'string', default: 'full' }, // full or need
    'time-factor': { type: 'string', default: '1' },
    'chunk-delay-ms': { type: 'string', default: '0' },
    'record-bodies': { type: 'boolean', default: false },
    control: { type: 'boolean', default: false },
    fast: { type: 'boolean', default: false },
  },
});
const listOf = (text) => text.split(',').map((s) => s.trim()).filter(Boolean);

const sim = await createSimulator({
  port: Number(values.port),
  host: values.host,
  keys: listOf(values.keys).map((entry) => {
    const [key, org] = entry.split(':');
    return { key, org };
  }),
  models: values.models === undefined ? undefined : listOf(values.models),
  limits: values.limits,
  retryAfter: values['retry-after'],
  timeFactor: Number(values['time-factor']),
  chunkDelayMs: Number(values['chunk-delay-ms']),
  recordBodies: values['record-bodies'],
  control: values.control,
  fast: values.fast,
});
console.log(`listening on ${sim.url}`);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await sim.close();
    process.exit(0);
  });
}
