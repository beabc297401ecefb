// What a deployment would upload, checked by wrangler itself, without an account and without a network.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from '../../scripts/lib/build.mjs';
import { readWrangler } from '../../scripts/lib/config.mjs';
import { npmBin, root } from '../../scripts/lib/paths.mjs';

/** The free plan's limit for a Worker, compressed: https://developers.cloudflare.com/workers/platform/limits/ */
const FREE_PLAN_BYTES = 3 * 1024 * 1024;

describe('a deployment', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rondo-deploy-'));
  let output;
  before(async () => {
    await build({ quiet: true, mode: process.env.RONDO_BUILD === 'skip' ? 'skip' : 'release' });
    const { stdout, stderr } = await promisify(execFile)(
      npmBin('wrangler'),
      ['deploy', '--dry-run', '--outdir', join(folder, 'out')],
      {
        cwd: root,
        env: {
          ...process.env,
          HOME: folder,
          XDG_CONFIG_HOME: folder,
          CI: '1',
          NO_COLOR: '1',
          WRANGLER_SEND_METRICS: 'false',
          RONDO_BUILD: 'skip',
        },
      },
    );
    output = stdout + stderr;
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('passes a dry run with every binding that the Worker reads', () => {
    for (const binding of [
      'COORDINATOR (Coordinator)',
      'SNAPSHOT',
      'DB (rondo)',
      'ASSETS',
      'LOCATION_HINT',
    ]) {
      assert.ok(output.includes(`env.${binding}`), `${binding} is not in:\n${output}`);
    }
    assert.match(output, /--dry-run: exiting now/);
    assert.doesNotMatch(output, /WARNING|ERROR/);
  });

  test('fits into the free plan', () => {
    const files = readdirSync(join(folder, 'out')).filter((name) => /\.(js|wasm)$/.test(name));
    assert.ok(
      files.some((name) => name.endsWith('.wasm')),
      `no wasm in ${files}`,
    );
    const size = files.reduce(
      (sum, name) => sum + gzipSync(readFileSync(join(folder, 'out', name))).length,
      0,
    );
    assert.ok(size < FREE_PLAN_BYTES, `${size} bytes compressed`);
  });

  test('keeps URLs out of the invocation logs and ids of somebody’s account out of the sources', () => {
    const config = readWrangler();
    assert.equal(config.observability.logs.invocation_logs, false);
    assert.deepEqual(
      config.d1_databases.map((d1) => d1.database_id),
      [undefined],
    );
    assert.deepEqual(
      config.kv_namespaces.map((kv) => kv.id),
      [undefined],
    );
  });

  test('uses no runtime newer than the one that is tested', () => {
    const { version } = JSON.parse(
      readFileSync(join(root, 'node_modules', 'workerd', 'package.json'), 'utf8'),
    );
    const [, year, month, day] = /^1\.(\d{4})(\d{2})(\d{2})\./.exec(version);
    assert.ok(readWrangler().compatibility_date <= `${year}-${month}-${day}`);
  });
});
