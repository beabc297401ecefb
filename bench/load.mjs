// Load on one address for some seconds: by wrk, else by this file as a process of its own.
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { isMain } from '../scripts/lib/paths.mjs';
import { UserError } from '../scripts/lib/run.mjs';
import { Connection, requestBytes } from './client.mjs';
import { quantile } from './numbers.mjs';

/** Said once when wrk is missing. */
export const HOW_TO_GET_WRK = 'apt-get install wrk, or brew install wrk';

/** @returns {string | undefined} what wrk calls itself, or undefined where there is none */
export function wrkVersion() {
  // It prints its version together with an exit code of 1.
  const { stdout, stderr, error } = spawnSync('wrk', ['--version'], { encoding: 'utf8' });
  return error ? undefined : `${stdout}${stderr}`.split('\n')[0].replace(/ Copyright.*/, '').trim();
}

/**
 * @typedef {object} Figures
 * @property {number} requests answered, good or bad
 * @property {number} seconds
 * @property {number} bytes
 * @property {number} failed connection errors, timeouts and statuses of 400 and more
 * @property {number} p50_ms latency of the whole answer
 * @property {number} p99_ms
 */

/**
 * @param {{url: string, body: string, token: string, connections: number, seconds: number, wrk: boolean}} load
 * @returns {Promise<Figures>}
 */
export async function load({ url, body, token, connections, seconds, wrk }) {
  const script = fileURLToPath(new URL('wrk.lua', import.meta.url));
  const [command, args] = wrk
    ? ['wrk', ['--threads', '1', '--connections', String(connections), '--duration', `${seconds}s`, '--timeout', '20s', '--script', script, url]]
    : [process.execPath, [fileURLToPath(import.meta.url), url, String(connections), String(seconds)]];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, BENCH_BODY: body, BENCH_TOKEN: token } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  const line = /^FIGURES (.*)$/m.exec(output);
  if (!line) throw new UserError(`${command} gave no figures for ${url}:\n${output}`);
  return JSON.parse(line[1]);
}

async function loadFromHere(url, connections, seconds) {
  const bytes = requestBytes(url, process.env.BENCH_BODY ?? '', process.env.BENCH_TOKEN ?? '');
  const times = [];
  let [failed, received] = [0, 0];
  const begun = performance.now();
  const until = begun + seconds * 1000;
  const one = async () => {
    let connection;
    while (performance.now() < until) {
      try {
        connection ??= await Connection.open(url);
        const { status, body, totalMs } = await connection.send(bytes);
        times.push(totalMs);
        received += body.length;
        if (status >= 400) failed += 1;
      } catch {
        failed += 1;
        connection?.close();
        connection = undefined;
      }
    }
    connection?.close();
  };
  await Promise.all(Array.from({ length: connections }, one));
  const elapsed = (performance.now() - begun) / 1000;
  return { requests: times.length, seconds: elapsed, bytes: received, failed, p50_ms: quantile(times, 0.5), p99_ms: quantile(times, 0.99) };
}

if (isMain(import.meta.url)) {
  const [url, connections, seconds] = process.argv.slice(2);
  console.log(`FIGURES ${JSON.stringify(await loadFromHere(url, Number(connections), Number(seconds)))}`);
}
