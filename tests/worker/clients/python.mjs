// The Python clients: one process of stainless.py (or of a script like it) each, a line for each task.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const TASK_LIMIT_MS = 30_000;
const SCRIPT = new URL('./stainless.py', import.meta.url);

/**
 * @param {string} python that has the packages
 * @param {string} name of the client, as the script calls it
 * @param {URL} [script]
 * @returns {{chat: Function, models: Function, version: Promise<string>, stop: () => Promise<void>}}
 */
export function pythonClient(python, name, script = SCRIPT) {
  // Nothing of the surroundings: a proxy or an address set there would be a changed client.
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, PYTHONUNBUFFERED: '1', PYTHONDONTWRITEBYTECODE: '1' };
  const child = spawn(python, [fileURLToPath(script), name], { env, stdio: ['pipe', 'pipe', 'pipe'] });
  const waiting = [];
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    complaints = (complaints + text).slice(-4000);
  });
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.resolve(JSON.parse(line)));
  const ended = new Promise((resolve) => {
    child.once('close', resolve);
    child.once('error', resolve);
  });
  let over = false;
  ended.then(() => {
    over = true;
    for (const one of waiting.splice(0)) one.reject(new Error(`the Python client has ended: ${complaints}`));
  });
  // A write to a process that is gone is told by `ended`.
  child.stdin.on('error', () => {});

  const next = () => new Promise((resolve, reject) => {
    if (over) reject(new Error(`the Python client has ended: ${complaints}`));
    else waiting.push({ resolve, reject });
  });
  const version = next().then((first) => first.version);
  version.catch(() => {});
  const tell = (task) => {
    const outcome = next();
    child.stdin.write(`${JSON.stringify(task)}\n`);
    // One that hangs would hold up all that follow: then they fail at once.
    const late = setTimeout(() => child.kill('SIGKILL'), TASK_LIMIT_MS);
    return outcome.finally(() => clearTimeout(late));
  };
  return {
    chat: tell,
    models: (task) => tell({ ...task, models: true }),
    version,
    stop: async () => {
      child.stdin.end();
      const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(late);
    },
  };
}
