// The built Worker starts with the bindings of wrangler.toml, and assets and API share one address.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { unstable_getMiniflareWorkerOptions } from 'wrangler';
import { workerOptions } from '../../scripts/lib/config.mjs';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { startWorker } from '../harness/worker.mjs';

describe('the built Worker', () => {
  let rondo;
  before(async () => {
    rondo = await startWorker({ edges: 1 });
  });
  after(() => rondo?.stop());

  test('is alive in every isolate', async () => {
    for (const url of [rondo.url, ...rondo.edges]) {
      const response = await fetch(`${url}/healthz`);
      assert.equal(response.status, 200);
      await response.text();
    }
  });

  test('serves the admin page at / with a content policy that allows no inline code', async () => {
    const response = await rondo.fetch('/');
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^text\/html/);
    const policy = response.headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval/);
    const page = await response.text();
    const script = /<script[^>]+src="([^"]+)"/.exec(page)?.[1];
    const asset = await rondo.fetch(script);
    assert.equal(asset.status, 200);
    assert.match(asset.headers.get('content-type'), /javascript/);
    assert.match(asset.headers.get('cache-control'), /immutable/);
    await asset.text();
  });

  test('answers HEAD / without a body and never serves the page for POST /', async () => {
    const head = await rondo.fetch('/', { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), '');
    const post = await rondo.fetch('/', { method: 'POST', body: '{}' });
    assert.doesNotMatch(post.headers.get('content-type') ?? '', /text\/html/);
    await post.text();
  });

  test('keeps what is stored over a restart, at the same address', async () => {
    const url = rondo.url;
    const db = await rondo.db();
    await db.prepare('CREATE TABLE IF NOT EXISTS harness_probe (value TEXT)').run();
    await db.prepare('INSERT INTO harness_probe VALUES (?)').bind('kept').run();
    await rondo.restart();
    assert.equal(rondo.url, url);
    const row = await (await rondo.db()).prepare('SELECT value FROM harness_probe').first();
    assert.equal(row.value, 'kept');
    assert.equal((await rondo.fetch('/healthz')).status, 200);
  });
});

test('the local run reads wrangler.toml as wrangler itself does', () => {
  const { workerOptions: theirs } = unstable_getMiniflareWorkerOptions(inRoot('wrangler.toml'));
  const ours = workerOptions();
  assert.equal(ours.compatibilityDate, theirs.compatibilityDate);
  assert.deepEqual(ours.compatibilityFlags, theirs.compatibilityFlags);
  assert.deepEqual(Object.keys(ours.d1Databases), Object.keys(theirs.d1Databases));
  assert.deepEqual(Object.keys(ours.kvNamespaces), Object.keys(theirs.kvNamespaces));
  assert.deepEqual(ours.bindings, theirs.bindings);
  assert.deepEqual(ours.assets.routerConfig, theirs.assets.routerConfig);
  assert.equal(ours.assets.directory, theirs.assets.directory);
  assert.equal(ours.assets.binding, theirs.assets.binding);
  for (const [name, object] of Object.entries(theirs.durableObjects)) {
    assert.deepEqual(ours.durableObjects[name], { className: object.className, useSQLite: object.useSQLite });
  }
  assert.deepEqual(Object.keys(ours.durableObjects), Object.keys(theirs.durableObjects));
});
