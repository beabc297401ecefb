// What the machine is, and what its processes use of it.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, totalmem, type as osType, release } from 'node:os';
import { createRequire } from 'node:module';
import { inRoot } from '../scripts/lib/paths.mjs';
import { versionOf } from '../scripts/lib/run.mjs';
import { wrkVersion } from './load.mjs';

const linux = process.platform === 'linux';
const ticksASecond = linux ? Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' })) : NaN;
const fieldsOf = (text) => text.slice(text.lastIndexOf(')') + 2).split(' ');

/** Seconds of CPU that a process has used so far; NaN where there is no /proc. */
export function cpuSeconds(pid) {
  if (!linux) return NaN;
  const fields = fieldsOf(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return (Number(fields[11]) + Number(fields[12])) / ticksASecond;
}

/** The same of those of its children that have ended. */
export function childrenSeconds(pid) {
  if (!linux) return NaN;
  const fields = fieldsOf(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return (Number(fields[13]) + Number(fields[14])) / ticksASecond;
}

/** Seconds of CPU that everything on the machine has used so far, and what a hypervisor took. */
export function machineSeconds() {
  if (!linux) return { busy: NaN, stolen: NaN };
  const [user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'utf8').split('\n')[0].split(/\s+/).slice(1).map(Number);
  return { busy: (user + nice + system + irq + softirq) / ticksASecond, stolen: steal / ticksASecond };
}

/** The process named `name` that this one started. @returns {number | undefined} */
export function childNamed(name) {
  if (!linux) return undefined;
  // Threads start processes too; each keeps its own list.
  const threads = execFileSync('ls', [`/proc/${process.pid}/task`], { encoding: 'utf8' }).split('\n').filter(Boolean);
  const children = threads.flatMap((thread) => readFileSync(`/proc/${process.pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean));
  return children.map(Number).find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === name);
}

const require = createRequire(import.meta.url);
const packageVersion = (name) => require(`${name}/package.json`).version;
const crateVersion = (name) => new RegExp(`name = "${name}"\\nversion = "([^"]+)"`).exec(readFileSync(inRoot('Cargo.lock'), 'utf8'))?.[1];

/** Everything a reader needs to judge the figures. */
export function describe() {
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    system: `${osType()} ${release()}`,
    versions: {
      node: process.versions.node,
      workerd: packageVersion('workerd'),
      rustc: versionOf('rustc')?.split(' ')[1],
      worker: crateVersion('worker'),
      wrangler: packageVersion('wrangler'),
      load: wrkVersion() ?? 'node',
    },
  };
}
