// The benchmark: direct, a JavaScript pass-through and Rondo, side by side on workerd. `npm run bench` builds
// Rondo first; `node bench/main.mjs --built FOLDER` takes what is built there, to compare two builds.
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { inRoot, isMain } from '../scripts/lib/paths.mjs';
import { runMain, say, UserError } from '../scripts/lib/run.mjs';
import { HOW_TO_GET_WRK, wrkVersion } from './load.mjs';
import { describe } from './machine.mjs';
import { countCalls, LOADS, measureFirstByte, measureLoad } from './measure.mjs';
import { table, wasmSize, writeDocument } from './report.mjs';
import { checkAnswers, setUp, startByHand, startUpstream, startWorkerd, TOKEN } from './stage.mjs';

const PARTS = [...LOADS.map((load) => load.name), 'ttfb', 'counts', 'size'];
const USAGE = `npm run bench -- [--quick] [--rounds 7] [--seconds 3] [--connections 16] [--only PART,…]
                 [--check-floor] [--write]
--only         some of ${PARTS.join(', ')}
--check-floor  also the pass-through on a workerd configured by hand, without Miniflare
--write        puts the table into docs/benchmarks.md`;

function number(text, name) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new UserError(`--${name} takes a whole number above 0, not ${text}`);
  return value;
}

function optionsOf(args) {
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        quick: { type: 'boolean', default: false },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        connections: { type: 'string', default: '16' },
        only: { type: 'string' },
        built: { type: 'string' },
        'check-floor': { type: 'boolean', default: false },
        write: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    throw new UserError(`${error.message}\n${USAGE}`);
  }
  const parts = values.only?.split(',') ?? PARTS;
  const strange = parts.find((part) => !PARTS.includes(part));
  if (strange !== undefined) throw new UserError(`--only knows ${PARTS.join(', ')}, not ${strange}`);
  if (values.write && values.only) throw new UserError('--write takes a whole run, without --only');
  return {
    parts,
    rounds: number(values.rounds ?? (values.quick ? '2' : '7'), 'rounds'),
    seconds: number(values.seconds ?? (values.quick ? '1' : '3'), 'seconds'),
    samples: values.quick ? 100 : 1000,
    connections: number(values.connections, 'connections'),
    checkFloor: values['check-floor'],
    write: values.write,
    wrk: wrkVersion() !== undefined,
    built: values.built,
  };
}

/** Runs `work`, then what it left to clean up, last first. */
async function cleanly(work) {
  const cleanUp = [];
  try {
    return await work(cleanUp);
  } finally {
    for (const step of cleanUp.reverse()) await step();
  }
}

async function timed(chosen, dir, results, cleanUp) {
  const upstream = await startUpstream();
  cleanUp.push(() => upstream.stop());
  const stage = await startWorkerd({ upstream: upstream.url, buildDir: dir });
  cleanUp.push(() => stage.stop());
  await setUp(stage);
  const targets = [{ name: 'direct', url: upstream.completions }, stage.passthrough, stage.rondo];
  if (chosen.checkFloor) {
    const byHand = await startByHand(upstream.url);
    cleanUp.push(() => byHand.stop());
    targets.push(byHand);
  }
  await checkAnswers(targets);
  for (const load of LOADS.filter(({ name }) => chosen.parts.includes(name))) {
    results.loads[load.name] = await measureLoad({ load, targets, upstream, token: TOKEN, ...chosen });
  }
  if (chosen.parts.includes('ttfb')) {
    results.firstByte = await measureFirstByte({ targets, token: TOKEN, samples: chosen.samples });
  }
  results.lastLogs = stage.served.logs.slice(-20);
}

/**
 * Measures, prints the table, keeps the raw figures in bench/results/.
 * @param {{buildDir: string, args: string[]}} options `buildDir` holds the built Worker
 * @returns {Promise<number>} the exit code: 1 when a request failed
 */
export async function bench({ buildDir, args }) {
  const chosen = optionsOf(args);
  const dir = chosen.built ?? buildDir;
  if (!dir) throw new UserError('--built FOLDER is missing (npm run bench builds by itself)');
  if (!chosen.wrk) say(`wrk is missing (${HOW_TO_GET_WRK}); a slower load generator in Node takes its place`);
  const command = ['npm run bench', ...(args.length ? ['--', ...args] : [])].join(' ');
  const results = { at: new Date().toISOString(), command, chosen, machine: describe(), loads: {} };
  if (chosen.parts.some((part) => part !== 'counts' && part !== 'size')) await cleanly((cleanUp) => timed(chosen, dir, results, cleanUp));
  if (chosen.parts.includes('counts')) results.counts = await cleanly((cleanUp) => countCalls({ dir, cleanUp, ...chosen }));
  if (chosen.parts.includes('size')) results.size = wasmSize(dir);
  const folder = inRoot('bench', 'results');
  mkdirSync(folder, { recursive: true });
  const file = `${folder}/${results.at.replaceAll(':', '-')}.json`;
  writeFileSync(file, `${JSON.stringify(results, null, 1)}\n`);
  console.log(table(results));
  say(`raw figures: ${file}`);
  const failed = Object.values(results.loads).flat().reduce((sum, round) => sum + round.failed, 0);
  if (failed > 0) {
    say(`${failed} requests failed, so the figures are not good. What the Worker printed last:\n${results.lastLogs.join('\n')}`);
    return 1;
  }
  if (chosen.write) say(`written: ${writeDocument(results)}`);
  return 0;
}

if (isMain(import.meta.url)) await runMain(() => bench({ buildDir: undefined, args: process.argv.slice(2) }));
