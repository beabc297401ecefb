// The measurements, each over all targets in turn, so that whatever else the machine does meets them alike.
import { setTimeout as sleep } from 'node:timers/promises';
import { say } from '../scripts/lib/run.mjs';
import { Connection, requestBytes } from './client.mjs';
import { COUNTED_ENTRY, takeCounts } from './counted.mjs';
import { load as runLoad } from './load.mjs';
import { childrenSeconds, cpuSeconds, machineSeconds } from './machine.mjs';
import { checkAnswers, setUp, startUpstream, startWorkerd, TOKEN } from './stage.mjs';

const WHOLE_REQUEST_BYTES = 1024;
const WARM_UP_SECONDS = 1;
const COUNTED_FLUSH_MS = 1_000;

/** A chat completion whose body has `bytes` bytes. */
function bodyOf(fields, bytes) {
  const make = (text) => JSON.stringify({ ...fields, messages: [{ role: 'user', content: text }], max_completion_tokens: 500 });
  return make('m'.repeat(Math.max(0, bytes - make('').length)));
}

/** @type {{name: string, title: string, body: string}[]} what the load asks for */
export const LOADS = [
  { name: 'whole', title: '1 KB, not streamed', body: bodyOf({ model: 'bench-20' }, WHOLE_REQUEST_BYTES) },
  { name: 'chunks-20', title: 'stream of 20 chunks', body: bodyOf({ model: 'bench-20', stream: true }, WHOLE_REQUEST_BYTES) },
  { name: 'chunks-500', title: 'stream of 500 chunks', body: bodyOf({ model: 'bench-500', stream: true }, WHOLE_REQUEST_BYTES) },
];

/**
 * @typedef {object} Round
 * @property {string} target
 * @property {number} round
 * @property {number} requests
 * @property {number} failed
 * @property {number} per_second
 * @property {number} p50_ms of the whole answer
 * @property {number} p99_ms
 * @property {number} cpu_ms of the Worker's process for one request
 * @property {number} upstream_busy share of one core that the upstream used
 * @property {number} others_busy cores used by all that is not part of the benchmark
 */

/** Requests a second at so many connections. @returns {Promise<Round[]>} */
export async function measureLoad({ load, targets, upstream, token, rounds, seconds, connections, wrk }) {
  const result = [];
  for (const { url } of targets) await runLoad({ url, body: load.body, token, connections, seconds: WARM_UP_SECONDS, wrk });
  for (let round = 1; round <= rounds; round += 1) {
    for (const target of targets) {
      const before = { worker: target.pid && cpuSeconds(target.pid), upstream: cpuSeconds(upstream.pid), machine: machineSeconds(), own: process.cpuUsage() };
      const children = childrenSeconds(process.pid);
      const figures = await runLoad({ url: target.url, body: load.body, token, connections, seconds, wrk });
      const worker = target.pid ? cpuSeconds(target.pid) - before.worker : 0;
      const upstreamUsed = cpuSeconds(upstream.pid) - before.upstream;
      const own = process.cpuUsage(before.own);
      const used = worker + upstreamUsed + (own.user + own.system) / 1e6 + childrenSeconds(process.pid) - children;
      const machine = machineSeconds();
      result.push({
        target: target.name,
        round,
        requests: figures.requests,
        failed: figures.failed,
        per_second: figures.requests / figures.seconds,
        p50_ms: figures.p50_ms,
        p99_ms: figures.p99_ms,
        cpu_ms: (worker * 1000) / Math.max(1, figures.requests),
        upstream_busy: upstreamUsed / figures.seconds,
        others_busy: Math.max(0, machine.busy - before.machine.busy - used) / figures.seconds,
      });
      say(`${load.name} ${round}/${rounds} ${target.name}: ${Math.round(figures.requests / figures.seconds)} requests/s`);
    }
  }
  return result;
}

/** One request at a time on each target in turn. @returns {Promise<Record<string, number[]>>} milliseconds to the first byte */
export async function measureFirstByte({ targets, token, samples }) {
  const { body } = LOADS.find(({ name }) => name === 'chunks-20');
  const lines = [];
  try {
    for (const { name, url } of targets) lines.push({ name, bytes: requestBytes(url, body, token), connection: await Connection.open(url), times: [] });
    // The first tenth warms up.
    for (let sample = -samples / 10; sample < samples; sample += 1) {
      // Who comes first changes, so that nobody always has the same one before it.
      for (let place = 0; place < lines.length; place += 1) {
        const line = lines[(place + sample + samples) % lines.length];
        const { firstByteMs } = await line.connection.send(line.bytes);
        if (sample >= 0) line.times.push(firstByteMs);
      }
    }
  } finally {
    for (const { connection } of lines) connection.close();
  }
  return Object.fromEntries(lines.map(({ name, times }) => [name, times]));
}

/**
 * What warm requests ask of the Durable Object, D1 and KV, in a run of its own.
 * @returns {Promise<Record<string, Record<string, number>>>} counts of a busy stretch and of lone requests
 */
export async function countCalls({ dir, cleanUp, connections, wrk, rounds }) {
  const upstream = await startUpstream();
  cleanUp.push(() => upstream.stop());
  const stage = await startWorkerd({ upstream: upstream.url, buildDir: dir, entry: COUNTED_ENTRY });
  cleanUp.push(() => stage.stop());
  // Often enough for the short stretches below to hold some flushes.
  await setUp(stage, { flush_interval_ms: COUNTED_FLUSH_MS });
  const { url } = stage.rondo;
  const { origin } = new URL(url);
  await checkAnswers([stage.rondo]);
  const counts = {};
  for (const { name, body } of LOADS) {
    await runLoad({ url, body, token: TOKEN, connections, seconds: WARM_UP_SECONDS, wrk });
    await takeCounts(origin);
    await runLoad({ url, body, token: TOKEN, connections, seconds: Math.min(rounds, 5), wrk });
    // What is still on its way belongs to these requests: reports wait up to 250 ms for company.
    await sleep(500);
    counts[name] = await takeCounts(origin);
  }
  const connection = await Connection.open(url);
  cleanUp.push(() => connection.close());
  const bytes = requestBytes(url, LOADS[0].body, TOKEN);
  for (let lone = 0; lone < 10; lone += 1) {
    await connection.send(bytes);
    await sleep(400);
  }
  counts.lone = await takeCounts(origin);
  return counts;
}
