// The figures as a table, on the terminal and in docs/benchmarks.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { inRoot } from '../scripts/lib/paths.mjs';
import { UserError } from '../scripts/lib/run.mjs';
import { LOADS } from './measure.mjs';
import { median, quantile, short } from './numbers.mjs';

/** What is aimed at; see docs/benchmarks.md. */
const AIMS = { 'whole': 0.55, 'chunks-500': 0.7, gzipKb: 450 };

const DOCUMENT = inRoot('docs', 'benchmarks.md');
const BEGIN = '<!-- written by npm run bench -- --write: begin -->';
const END = '<!-- end -->';
const TITLES = { direct: 'direct', passthrough: 'pass-through', rondo: 'Rondo', 'by-hand': 'pass-through, configured by hand' };

/** @returns {{wasm: number, wasm_gzip: number, js: number, js_gzip: number}} bytes of the built Worker */
export function wasmSize(dir) {
  const sizes = (file) => {
    const bytes = readFileSync(join(dir, file));
    return [bytes.length, gzipSync(bytes, { level: 9 }).length];
  };
  const [wasm, wasm_gzip] = sizes('index_bg.wasm');
  const [js, js_gzip] = sizes('index.js');
  return { wasm, wasm_gzip, js, js_gzip };
}

const row = (cells) => `| ${cells.join(' | ')} |`;
const rows = (head, body) => [row(head), row(head.map(() => '---')), ...body.map(row)].join('\n');

// Of each round the ratio to the pass-through of the same round; of these the median.
function ratio(rounds, target, field) {
  const floor = new Map(rounds.filter((round) => round.target === 'passthrough').map((round) => [round.round, round[field]]));
  return rounds.filter((round) => round.target === target).map((round) => round[field] / floor.get(round.round));
}

function loadTable(loads) {
  const body = [];
  for (const { name, title } of LOADS) {
    const rounds = loads[name];
    if (!rounds) continue;
    for (const target of new Set(rounds.map((round) => round.target))) {
      const own = rounds.filter((round) => round.target === target);
      const of = (field) => median(own.map((round) => round[field]));
      const ratios = ratio(rounds, target, 'per_second');
      const cpu = target === 'direct' ? '–' : short(of('cpu_ms'));
      const cpuRatio = target === 'direct' ? '–' : short(1 / median(ratio(rounds, target, 'cpu_ms')));
      const spread = `${short(Math.min(...ratios))}–${short(Math.max(...ratios))}`;
      const isFloor = target === 'passthrough';
      const aim = target === 'rondo' && AIMS[name] ? `≥ ${AIMS[name]}` : '';
      body.push([title, TITLES[target], short(of('per_second')), isFloor ? '1' : `**${short(median(ratios))}**`, isFloor ? '' : spread, cpu, cpuRatio, aim, short(of('p50_ms')), short(of('p99_ms'))]);
    }
  }
  return body.length === 0 ? '' : rows(['load', 'way', 'requests/s', 'of the pass-through', 'least–most', 'CPU ms a request', 'by CPU', 'aim', 'p50 ms', 'p99 ms'], body);
}

function firstByteTable(times) {
  const at = (name, part) => quantile(times[name], part);
  const added = (name, part) => (name === 'direct' ? '' : short(at(name, part) - at('direct', part)));
  const body = Object.keys(times).map((name) => [TITLES[name], short(at(name, 0.5)), added(name, 0.5), short(at(name, 0.99)), added(name, 0.99)]);
  return rows(['one request at a time, stream of 20 chunks', 'first byte p50 ms', 'added', 'p99 ms', 'added'], body);
}

function countTable(counts) {
  const titles = { ...Object.fromEntries(LOADS.map(({ name, title }) => [name, title])), lone: 'lone requests, 0.4 s apart' };
  const per = (one, name) => short((one[name] ?? 0) / one.requests);
  const body = Object.entries(counts).map(([name, one]) => [
    titles[name],
    one.requests.toLocaleString('en-US'),
    per(one, 'worker.object_calls'),
    per(one, 'worker.d1'),
    `${per(one, 'worker.kv_reads')} / ${per(one, 'worker.kv_writes')}`,
    per(one, 'object.sql_rows_written'),
    `${one['object.alarms'] ?? 0} / ${one['object.d1'] ?? 0} / ${one['object.kv_writes'] ?? 0}`,
  ]);
  return rows(['warm requests', 'number', 'object calls each', 'D1 each', 'KV reads / writes each', "the object's own rows written each", "its alarms / D1 statements / KV writes in all, flushing each second"], body);
}

function sizeLine(size) {
  const kb = (bytes) => `${(bytes / 1000).toFixed(0)} KB`;
  return `Worker: ${kb(size.wasm_gzip)} of wasm gzipped (${kb(size.wasm)} plain; aim ≤ ${AIMS.gzipKb} KB gzipped) and ${kb(size.js_gzip)} of JavaScript gzipped.`;
}

/** The aims that this run missed, and by how much. */
function missedLine({ loads, size, counts }) {
  const missed = [];
  for (const { name, title } of LOADS) {
    const got = loads[name] && AIMS[name] && median(ratio(loads[name], 'rondo', 'per_second'));
    if (got < AIMS[name]) missed.push(`${title}: ${short(got)} instead of ${AIMS[name]} (${short((100 * (AIMS[name] - got)) / AIMS[name])} % short)`);
  }
  const gzipKb = size && size.wasm_gzip / 1000;
  if (gzipKb > AIMS.gzipKb) missed.push(`wasm: ${gzipKb.toFixed(0)} KB instead of ${AIMS.gzipKb} KB`);
  for (const one of ['worker.d1', 'worker.kv_reads']) {
    if (Object.values(counts ?? {}).some((count) => count[one] > 0)) missed.push(`${one} is not 0 on warm requests`);
  }
  return missed.length ? `Aims missed: ${missed.join('; ')}.` : 'No aim was missed.';
}

/** The noise that the figures were taken in. */
function noiseLine(loads) {
  const all = Object.values(loads).flat();
  if (all.length === 0) return '';
  const busy = all.map((round) => round.others_busy);
  const upstream = all.filter((round) => round.target !== 'direct').map((round) => round.upstream_busy);
  return `Meanwhile other work used ${short(median(busy))} cores (median; ${short(Math.max(...busy))} at most); the upstream used at most ${short(Math.max(...upstream))} of a core behind a Worker.`;
}

/** @returns {string} everything in Markdown, fit for a terminal too */
export function table(results) {
  const { machine, chosen } = results;
  const { versions } = machine;
  return [
    `${machine.date}, \`${results.command}\`: ${chosen.rounds} rounds of ${chosen.seconds} s at ${chosen.connections} connections, ways in turn, medians.`,
    `${machine.processor}, ${machine.cores} cores, ${machine.memory_gib} GiB, ${machine.system}; workerd ${versions.workerd}, Node ${versions.node}, rustc ${versions.rustc}, worker ${versions.worker}, wrangler ${versions.wrangler}, load by ${versions.load}.`,
    noiseLine(results.loads),
    loadTable(results.loads),
    results.firstByte ? firstByteTable(results.firstByte) : '',
    results.counts ? countTable(results.counts) : '',
    results.size ? sizeLine(results.size) : '',
    missedLine(results),
  ]
    .filter(Boolean)
    .join('\n\n');
}

/** Puts the tables between the marks of docs/benchmarks.md. @returns {string} the file's path */
export function writeDocument(results) {
  const text = readFileSync(DOCUMENT, 'utf8');
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new UserError(`${DOCUMENT} has lost the marks between which the figures go`);
  writeFileSync(DOCUMENT, `${text.slice(0, begin + BEGIN.length)}\n${table(results)}\n${text.slice(end)}`);
  return DOCUMENT;
}
