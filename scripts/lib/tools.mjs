// What a machine needs to build Rondo, and how it gets there. No npm package is imported here,
// since this is what installs them.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { inRoot, root, tool, toolsDir } from './paths.mjs';
import { mustRun, readIfThere, run, say, UserError, versionOf, withLock } from './run.mjs';

/** worker-build and the `worker` crate are released together; Cargo.toml pins the crate. */
const WORKER_BUILD = '0.8.7';
const WASM_TARGET = 'wasm32-unknown-unknown';
const NODE_AT_LEAST = [20, 3];
const DOWNLOAD_HEADERS_MS = 8_000;
const DOWNLOAD_TOTAL_MS = 120_000;

/**
 * The exact versions of the tools that the build calls. wasm-bindgen's command must match the
 * crate of the same name to the last digit, so it is read from Cargo.lock.
 * @returns {{'worker-build': string, 'wasm-bindgen': string}}
 */
export function toolVersions() {
  const lock = readIfThere(inRoot('Cargo.lock')) ?? '';
  const bindgen = /name = "wasm-bindgen"\nversion = "([^"]+)"/.exec(lock.replaceAll('\r', ''))?.[1];
  if (!bindgen)
    throw new UserError(
      'Cargo.lock names no wasm-bindgen; it belongs to the sources: git checkout Cargo.lock',
    );
  return { 'worker-build': WORKER_BUILD, 'wasm-bindgen': bindgen };
}

/**
 * Installs what is missing. Without anything to do it reads three small files and returns.
 * @returns {Promise<string[]>} what was done
 * @throws {UserError} naming each missing prerequisite and how to get it
 */
export async function setup() {
  checkNode();
  const versions = toolVersions();
  const stampPath = join(toolsDir, '.stamp');
  const wanted = createHash('sha256')
    .update(
      JSON.stringify([versions, process.platform, process.arch, readIfThere(inRoot('rust-toolchain.toml'))]),
    )
    .digest('hex');
  const ready = () =>
    readIfThere(stampPath) === wanted && Object.keys(versions).every((name) => existsSync(tool(name)));
  if (ready() && npmMatchesLock()) return [];
  const done = [];
  await withLock(join(toolsDir, '.lock'), async () => {
    if (!ready()) {
      await rust(done);
      for (const [name, version] of Object.entries(versions)) await installTool(name, version, done);
      writeFileSync(stampPath, wanted);
    }
    if (!npmMatchesLock()) {
      say('installing npm packages');
      await mustRun(
        'npm ci',
        process.platform === 'win32' ? 'npm.cmd' : 'npm',
        ['ci', '--no-audit', '--no-fund'],
        { cwd: root, quiet: true },
      );
      done.push('npm packages');
    }
  });
  return done;
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < NODE_AT_LEAST[0] || (major === NODE_AT_LEAST[0] && minor < NODE_AT_LEAST[1])) {
    throw new UserError(
      `Node ${process.versions.node} is too old, ${NODE_AT_LEAST.join('.')} or newer is needed: https://nodejs.org/en/download`,
    );
  }
}

/** True when node_modules holds what package-lock.json asks for (npm keeps its own record there). */
function npmMatchesLock() {
  const [wanted, found] = [inRoot('package-lock.json'), inRoot('node_modules', '.package-lock.json')].map(
    (path) => {
      try {
        return JSON.parse(readIfThere(path) ?? '{}').packages;
      } catch {
        return undefined;
      }
    },
  );
  if (!wanted || !found) return false;
  return (
    Object.entries(wanted).every(
      ([path, entry]) => path === '' || entry.optional || found[path]?.version === entry.version,
    ) && Object.entries(found).every(([path, entry]) => wanted[path]?.version === entry.version)
  );
}

/** Checks for a compiler, Rust and the wasm target; adds what rustup can add. */
async function rust(done) {
  const missing = [];
  if (!versionOf('cargo')) {
    // The message of `cargo` itself tells a missing toolchain from a missing cargo.
    if (versionOf('rustup')) {
      await toolchain(done);
    } else {
      missing.push('Rust (cargo): install rustup from https://rustup.rs, then open a new terminal');
    }
  }
  if (process.platform !== 'win32' && !['cc', 'gcc', 'clang'].some((name) => versionOf(name))) {
    missing.push(
      process.platform === 'darwin'
        ? 'a C compiler, which Rust links with: xcode-select --install'
        : 'a C compiler, which Rust links with: apt-get install build-essential (or gcc from your distribution)',
    );
  }
  if (missing.length > 0)
    throw new UserError(`missing on this machine:\n${missing.map((line) => `  - ${line}`).join('\n')}`);
  const sysroot = versionOf('rustc', ['--print', 'sysroot']);
  if (sysroot && existsSync(join(sysroot, 'lib', 'rustlib', WASM_TARGET, 'lib'))) return;
  if (!versionOf('rustup')) {
    throw new UserError(
      `the Rust here has no target ${WASM_TARGET} and no rustup to add it: install rustup from https://rustup.rs, or your distribution's package for that target`,
    );
  }
  await mustRun(`adding the Rust target ${WASM_TARGET}`, 'rustup', ['target', 'add', WASM_TARGET], {
    cwd: root,
    quiet: true,
  });
  done.push(WASM_TARGET);
}

/** Installs the toolchain that rust-toolchain.toml names, where rustup doesn't do so by itself. */
async function toolchain(done) {
  const channel = /^channel\s*=\s*"([^"]+)"/m.exec(readIfThere(inRoot('rust-toolchain.toml')) ?? '')?.[1];
  if (!channel) throw new UserError('cargo does not run here, and rust-toolchain.toml names no channel');
  say(`installing Rust ${channel}`);
  await mustRun(
    `installing Rust ${channel}`,
    'rustup',
    [
      'toolchain',
      'install',
      channel,
      '--profile',
      'minimal',
      '-c',
      'clippy',
      '-c',
      'rustfmt',
      '-t',
      WASM_TARGET,
    ],
    { quiet: true },
  );
  done.push(`Rust ${channel}`);
}

/** One copy for every clone on this machine: building these takes minutes. */
function cached(name, version) {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(
    base,
    'rondo-tools',
    `${name}-${version}-${process.platform}-${process.arch}`,
    basename(tool(name)),
  );
}

const isVersion = (path, version) =>
  existsSync(path) && (versionOf(path) ?? '').split(' ').at(-1) === version;

async function installTool(name, version, done) {
  const target = tool(name);
  const kept = cached(name, version);
  if (!isVersion(target, version)) {
    if (isVersion(kept, version)) {
      place(kept, target);
      done.push(`${name} ${version} (from ${dirname(kept)})`);
    } else if (name === 'wasm-bindgen' && (await downloadBindgen(version, target))) {
      done.push(`${name} ${version} (downloaded)`);
    } else {
      await cargoInstall(name, version);
      done.push(`${name} ${version} (built)`);
    }
    if (!isVersion(target, version))
      throw new UserError(`${target} does not report version ${version}; remove .tools and try again`);
  }
  if (!existsSync(kept)) {
    try {
      place(target, kept);
    } catch (error) {
      say(`not kept for other clones: ${error.message}`);
    }
  }
}

/** Copies by way of a temporary name: another script must never run half a file. */
function place(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  const temporary = `${to}.${process.pid}`;
  copyFileSync(from, temporary);
  chmodSync(temporary, 0o755);
  renameSync(temporary, to);
}

/** worker-build is published as source only; wasm-bindgen also as binaries, checked by their sums. */
async function downloadBindgen(version, target) {
  const triple = {
    'linux x64': 'x86_64-unknown-linux-musl',
    'linux arm64': 'aarch64-unknown-linux-musl',
    'darwin x64': 'x86_64-apple-darwin',
    'darwin arm64': 'aarch64-apple-darwin',
    'win32 x64': 'x86_64-pc-windows-msvc',
  }[`${process.platform} ${process.arch}`];
  if (!triple) return false;
  const folder = `wasm-bindgen-${version}-${triple}`;
  const url = `https://github.com/wasm-bindgen/wasm-bindgen/releases/download/${version}/${folder}.tar.gz`;
  const temporary = mkdtempSync(join(tmpdir(), 'rondo-'));
  try {
    const [archive, sums] = await Promise.all([download(url), download(`${url}.sha256sum`)]);
    const sum = createHash('sha256').update(archive).digest('hex');
    if (sums.toString('utf8').trim().split(/\s+/)[0] !== sum)
      throw new Error('its checksum differs from the published one');
    writeFileSync(join(temporary, 'archive.tar.gz'), archive);
    const { code, output } = await run('tar', ['-xzf', 'archive.tar.gz'], { cwd: temporary, quiet: true });
    if (code !== 0) throw new Error(`tar: ${output.trim()}`);
    const binary = join(temporary, folder, basename(target));
    if (!isVersion(binary, version)) throw new Error('it does not run here');
    place(binary, target);
    return true;
  } catch (error) {
    say(
      `wasm-bindgen ${version} was not downloaded (${error.cause?.code ?? error.message}); building it instead`,
    );
    return false;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Follows redirects; gives up early when there is no way out, so that the build can begin. */
async function download(url) {
  const controller = new AbortController();
  let timer = setTimeout(() => controller.abort(new Error('no answer in time')), DOWNLOAD_HEADERS_MS);
  try {
    const response = await fetch(url, { signal: controller.signal });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    clearTimeout(timer);
    timer = setTimeout(() => controller.abort(new Error('too slow')), DOWNLOAD_TOTAL_MS);
    return Buffer.from(await response.arrayBuffer());
  } finally {
    clearTimeout(timer);
  }
}

/** Builds a tool from crates.io. Unoptimised: they run for a second, and building them fast matters more. */
async function cargoInstall(name, version) {
  const crate = name === 'wasm-bindgen' ? 'wasm-bindgen-cli' : name;
  // Its defaults are a test runner's TLS stack, which the build has no use for.
  const features = name === 'wasm-bindgen' ? ['--no-default-features'] : [];
  const args = [
    'install',
    crate,
    '--version',
    version,
    '--locked',
    '--debug',
    '--force',
    '--root',
    toolsDir,
    ...features,
  ];
  say(`building ${name} ${version} (once on this machine; takes some minutes)`);
  await mustRun(`cargo ${args.join(' ')}`, 'cargo', args, {
    cwd: root,
    quiet: true,
    env: { CARGO_PROFILE_DEV_DEBUG: '0' },
  });
}
