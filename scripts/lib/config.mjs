// wrangler.toml as Miniflare options: what runs here has the bindings that are deployed, from one file.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { inRoot } from './paths.mjs';

/** @returns {Record<string, any>} wrangler.toml, parsed */
export const readWrangler = () => parse(readFileSync(inRoot('wrangler.toml'), 'utf8'));

/**
 * The Worker's options for Miniflare. wrangler's own translation says the same (a test compares
 * them), but loading wrangler costs a second at every start.
 * @param {Record<string, any>} [config] wrangler.toml, parsed
 * @returns {Record<string, any>} Miniflare `WorkerOptions` without the modules
 */
export function workerOptions(config = readWrangler()) {
  const sqlite = new Set(
    (config.migrations ?? []).flatMap((migration) => migration.new_sqlite_classes ?? []),
  );
  const options = {
    name: config.name,
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags ?? [],
    bindings: { ...config.vars },
    // Local data is filed under the binding's name, never under an id of the account: a deployment may
    // write ids into wrangler.toml, and the local state must not seem empty after it.
    d1Databases: Object.fromEntries((config.d1_databases ?? []).map(({ binding }) => [binding, binding])),
    kvNamespaces: Object.fromEntries((config.kv_namespaces ?? []).map(({ binding }) => [binding, binding])),
    durableObjects: Object.fromEntries(
      (config.durable_objects?.bindings ?? []).map((binding) => [
        binding.name,
        { className: binding.class_name, useSQLite: sqlite.has(binding.class_name) },
      ]),
    ),
  };
  if (config.assets) {
    const { directory, binding, run_worker_first: first, html_handling, not_found_handling } = config.assets;
    const routerConfig = { has_user_worker: true };
    if (typeof first === 'boolean') routerConfig.invoke_user_worker_ahead_of_assets = first;
    else if (first) {
      routerConfig.static_routing = {
        user_worker: first.filter((rule) => !rule.startsWith('!')),
        asset_worker: first.filter((rule) => rule.startsWith('!')).map((rule) => rule.slice(1)),
      };
    }
    options.assets = {
      directory: join(inRoot(), directory),
      binding,
      routerConfig,
      assetConfig: { html_handling, not_found_handling },
    };
  }
  return options;
}
