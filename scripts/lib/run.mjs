// Running other programs, and saying what happens.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, rmSync, statSync, writeSync, closeSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A failure whose message is all that the user needs; scripts print it without a stack. */
export class UserError extends Error {}

/** Prints one line of progress on stderr, so that stdout stays for results. */
export const say = (text) => process.stderr.write(`${text}\n`);

/**
 * Runs a script's main function: a `UserError` is printed as it is, anything else with its stack.
 * @param {() => Promise<number | void>} main its number becomes the exit code
 */
export async function runMain(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    say(error instanceof UserError ? `rondo: ${error.message}` : (error?.stack ?? String(error)));
    process.exitCode = 1;
  }
}

/**
 * Runs a program to its end with this terminal as its own.
 * @param {string} command
 * @param {string[]} args
 * @param {{cwd?: string, env?: Record<string, string>, input?: string, quiet?: boolean, onOutput?: (text: string) => void}} [options]
 *   `quiet` keeps the output back; `onOutput` gets all of it, also when it is shown
 * @returns {Promise<{code: number, output: string}>} `output` only with `quiet` or `onOutput`
 */
export function run(command, args, options = {}) {
  const captured = options.quiet || options.onOutput;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: [
        options.input === undefined ? 'ignore' : 'pipe',
        captured ? 'pipe' : 'inherit',
        captured ? 'pipe' : 'inherit',
      ],
      shell: process.platform === 'win32' && command.endsWith('.cmd'),
    });
    if (options.input !== undefined) child.stdin.end(options.input);
    let output = '';
    for (const [stream, target] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ]) {
      stream?.setEncoding('utf8');
      stream?.on('data', (text) => {
        output += text;
        options.onOutput?.(text);
        if (!options.quiet) target.write(text);
      });
    }
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code: code ?? (signal ? 130 : 1), output }));
  });
}

/** Like `run`, but a failure is a `UserError` with `what` and, when it was held back, the output. */
export async function mustRun(what, command, args, options = {}) {
  let result;
  try {
    result = await run(command, args, options);
  } catch (error) {
    throw new UserError(`${what} could not be started: ${error.message}`);
  }
  if (result.code !== 0) {
    throw new UserError(
      `${what} failed (exit code ${result.code})${options.quiet ? `:\n${result.output.trimEnd()}` : ''}`,
    );
  }
  return result;
}

/** The first line that `command --version` prints, or undefined when there is no such command. */
export function versionOf(command, args = ['--version']) {
  const result = spawnSync(command, args, { encoding: 'utf8' });
  return result.status === 0 ? (result.stdout || result.stderr).split('\n')[0].trim() : undefined;
}

/** @returns {string | undefined} a file's text, or undefined when it can't be read */
export function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * Runs `work` while holding a lock file, so that two scripts started at the same time don't write
 * the same build. The lock of a process that is gone is taken over.
 * @template T
 * @param {string} path
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(path, work) {
  mkdirSync(dirname(path), { recursive: true });
  for (let told = false; ;) {
    try {
      const handle = openSync(path, 'wx');
      writeSync(handle, String(process.pid));
      closeSync(handle);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (isStale(path)) {
      rmSync(path, { force: true });
      continue;
    }
    if (!told) say(`waiting for another build (${path})`);
    told = true;
    await sleep(200);
  }
  const release = () => rmSync(path, { force: true });
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.off('exit', release);
    release();
  }
}

function isStale(path) {
  const pid = Number(readIfThere(path));
  if (pid > 0) {
    try {
      process.kill(pid, 0);
      return false;
    } catch (error) {
      return error.code === 'ESRCH';
    }
  }
  // Without a number it was created this instant by somebody else, or left behind by a crash.
  try {
    return Date.now() - statSync(path).mtimeMs > 5_000;
  } catch {
    return false;
  }
}
