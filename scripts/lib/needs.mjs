// What some tests need and not every machine has. A test file names it in its first lines:
//   // needs: python      the packages of tests/worker/requirements.txt; run them with `python()`
//   // needs: chromium    start it from `chromium()`
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { inRoot } from './paths.mjs';
import { versionOf } from './run.mjs';

const requirements = 'tests/worker/requirements.txt';
const venv = inRoot('.venv');
const venvPython =
  process.platform === 'win32' ? join(venv, 'Scripts', 'python.exe') : join(venv, 'bin', 'python');

const found = new Map();
const once = (name, look) => {
  if (!found.has(name)) found.set(name, look());
  return found.get(name);
};

/** @returns {string | undefined} a Python that has the client libraries: RONDO_PYTHON, .venv, or the system's */
export const python = () =>
  once('python', () =>
    [process.env.RONDO_PYTHON, venvPython, 'python3', 'python'].find(
      (name) =>
        name &&
        spawnSync(name, ['-c', 'import anthropic, cerebras.cloud.sdk, google.genai, openai'], { stdio: 'ignore' }).status === 0,
    ),
  );

/** @returns {string | undefined} a Chromium or Chrome: RONDO_CHROMIUM, else a usual name or place */
export const chromium = () =>
  once('chromium', () =>
    [
      process.env.RONDO_CHROMIUM,
      'chromium',
      'chromium-browser',
      'google-chrome',
      '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
      '/Applications/Chromium.app/Contents/MacOS/Chromium',
    ]
      .filter(Boolean)
      .map((name) => (name.includes('/') ? existsSync(name) && name : whichIfRuns(name)))
      .find(Boolean),
  );

function whichIfRuns(name) {
  if (process.platform === 'win32' || !versionOf(name)) return undefined;
  const { stdout } = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
  return stdout.trim() || undefined;
}

/** Each need, how to find it, and how to get it. */
export const needs = {
  python: {
    find: python,
    how: `python3 -m venv .venv && .venv/bin/pip install -r ${requirements}`,
  },
  chromium: {
    find: chromium,
    how: 'install chromium (apt-get install chromium), or set RONDO_CHROMIUM to a Chrome',
  },
};
