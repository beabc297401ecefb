// Runs a script as a process group of its own. A Ctrl-C in a terminal goes to the whole foreground
// group: without this it would end workerd before anything could be flushed.
import { spawn } from 'node:child_process';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** A little less than the five seconds that a stop may take. */
const KILL_AFTER_MS = 4_500;
const ORPHAN_CHECK_MS = 250;

/**
 * In the parent: starts `script` and passes signals on; a second one, or too long a stop, kills it.
 * @param {string} script
 * @param {string[]} args
 * @returns {Promise<number>} its exit code
 */
export function supervise(script, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], {
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    let asked = false;
    let timer;
    const kill = () => {
      try {
        process.kill(process.platform === 'win32' ? child.pid : -child.pid, 'SIGKILL');
      } catch {
        // It is gone already.
      }
    };
    const pass = () => {
      if (asked) return kill();
      asked = true;
      timer = setTimeout(kill, KILL_AFTER_MS);
      if (child.connected) child.send('stop');
    };
    for (const signal of SIGNALS) process.on(signal, pass);
    // npm passes SIGTERM to the shell between it and us, and not every shell passes it on. Without npm
    // a parent may leave as it likes: `node scripts/start.mjs &` goes on.
    const parent = process.ppid;
    const orphanCheck =
      process.env.npm_lifecycle_event &&
      setInterval(() => process.ppid !== parent && !asked && pass(), ORPHAN_CHECK_MS);
    child.once('error', reject);
    child.once('exit', (code) => {
      clearTimeout(timer);
      clearInterval(orphanCheck);
      for (const signal of SIGNALS) process.off(signal, pass);
      resolve(code ?? (asked ? 0 : 1));
    });
  });
}

/**
 * In the child: calls `stop` once, when the parent asks, is gone, or a signal comes; then exits.
 * Takes the signals from Miniflare, whose own handler would exit at once.
 * @param {() => Promise<void>} stop
 */
export function stopWhenAsked(stop) {
  let stopping = false;
  const once = async () => {
    if (stopping) return;
    stopping = true;
    await stop().catch((error) => process.stderr.write(`${error?.stack ?? error}\n`));
    process.exit(0);
  };
  for (const signal of SIGNALS) {
    process.removeAllListeners(signal);
    process.on(signal, once);
  }
  process.removeAllListeners('message');
  process.on('message', (message) => message === 'stop' && once());
  // Listening must not keep a process alive that failed to start.
  process.channel?.unref();
  process.on('disconnect', once);
}
