// Builds the Worker (Rust to wasm) and the admin page, each only when its inputs changed.
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildAdmin } from './admin.mjs';
import { inRoot, npmBin, root, tool } from './paths.mjs';
import { mustRun, readIfThere, say, UserError, withLock } from './run.mjs';
import { toolVersions } from './tools.mjs';
import { withoutNames, withoutRepeats } from './wasm.mjs';

/**
 * How the Worker is built. `release` is what is deployed. `fast` is the same code without wasm-opt
 * (some seconds less). `dev` is unoptimised, with debug assertions: rebuilds take seconds.
 * @type {Record<string, {args: string[], out: string}>}
 */
const modes = {
  release: { args: ['--release'], out: inRoot('build') },
  fast: { args: ['--release', '--no-opt'], out: inRoot('target', 'worker', 'fast') },
  dev: { args: ['--dev', '--no-opt'], out: inRoot('target', 'worker', 'dev') },
};

/** Everything the Worker's build reads; a change in any of these makes it stale. */
export const workerInputs = [
  'Cargo.toml',
  'Cargo.lock',
  'rust-toolchain.toml',
  'src',
  'core/Cargo.toml',
  'core/src',
  'migrations',
];
/** The same for the admin page. */
export const adminInputs = ['admin-ui'];

/**
 * A digest over names and contents. Contents, not times: a fresh clone and a switched branch have
 * new times and old contents.
 * @param {string[]} paths relative to the root; folders are walked
 * @param {...string} salt options that the result depends on as well
 */
export function digest(paths, ...salt) {
  const hash = createHash('sha256').update(salt.join('\0'));
  const visit = (path) => {
    hash.update(`\0${path}\0`).update(readFileSync(inRoot(path)));
  };
  for (const path of paths) {
    if (!existsSync(inRoot(path))) continue;
    walk(path, visit);
  }
  return hash.digest('hex');
}

function walk(path, visit) {
  let entries;
  try {
    entries = readdirSync(inRoot(path), { withFileTypes: true });
  } catch (error) {
    if (error.code !== 'ENOTDIR') throw error;
    visit(path);
    return;
  }
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name === 'node_modules' || entry.name.startsWith('.#') || entry.name.endsWith('~')) continue;
    const inner = `${path}/${entry.name}`;
    if (entry.isDirectory()) walk(inner, visit);
    else if (entry.isFile()) visit(inner);
  }
}

/**
 * Builds what is stale.
 * @param {{mode?: 'release' | 'fast' | 'dev' | 'skip', quiet?: boolean}} [options]
 *   `mode` defaults to the variable RONDO_BUILD, else `release`. `skip` builds nothing and takes
 *   what is there: for tests of steps that come after the build.
 * @returns {Promise<{dir: string, built: string[]}>} the folder with `entry.js`, `index.js` and
 *   `index_bg.wasm`, and what had to be built (`worker`, `admin`)
 */
export async function build(options = {}) {
  const mode = options.mode || process.env.RONDO_BUILD || 'release';
  if (mode === 'skip') {
    if (!existsSync(join(modes.release.out, 'entry.js')))
      throw new UserError('RONDO_BUILD=skip, but nothing is built yet: npm run build');
    return { dir: modes.release.out, built: [] };
  }
  if (!modes[mode])
    throw new UserError(`RONDO_BUILD is ${mode}; it can be ${Object.keys(modes).join(', ')} or skip`);
  const versions = JSON.stringify(toolVersions());
  const current = (name) =>
    readStamp(name) === digest(workerInputs, name, versions) &&
    ['index_bg.wasm', 'entry.js'].every((file) => existsSync(join(modes[name].out, file)));
  const built = [];
  let dir = modes[mode].out;
  // A finished release build is as good for whoever would take less.
  if (mode === 'fast' && current('release')) dir = modes.release.out;
  else if (!current(mode)) {
    await withLock(inRoot('target', 'rondo-build.lock'), async () => {
      if (current(mode)) return;
      const wanted = digest(workerInputs, mode, versions);
      await buildWorker(mode, options.quiet);
      writeFileSync(stampPath(mode), wanted);
      built.push('worker');
    });
  }
  if (await buildAdmin(digest(adminInputs, versions))) built.push('admin');
  return { dir, built };
}

const stampPath = (mode) => join(modes[mode].out, '.stamp');
const readStamp = (mode) => readIfThere(stampPath(mode));

/** What the platform calls, beside what worker-build made. */
export const addEntry = (out) => copyFileSync(inRoot('src', 'entry.js'), join(out, 'entry.js'));

async function buildWorker(mode, quiet) {
  const { args, out } = modes[mode];
  if (!existsSync(tool('worker-build')))
    throw new UserError('the build tools are not installed: npm run setup');
  say(`building the Worker (${mode})`);
  mkdirSync(out, { recursive: true });
  await mustRun('building the Worker', tool('worker-build'), [...args, '--out-dir', out, '--locked'], {
    cwd: root,
    quiet,
    // With these set worker-build downloads nothing.
    env: {
      WASM_BINDGEN_BIN: tool('wasm-bindgen'),
      WASM_OPT_BIN: npmBin('wasm-opt'),
      ESBUILD_BIN: npmBin('esbuild'),
    },
  });
  const index = join(out, 'index.js');
  writeFileSync(index, withoutRepeats(readFileSync(index, 'utf8')));
  addEntry(out);
  if (mode === 'release') {
    const module = join(out, 'index_bg.wasm');
    writeFileSync(module, withoutNames(readFileSync(module)));
  }
}
