// Builds the admin page: admin-ui/ into dist/admin, the folder that Cloudflare serves as assets.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { inRoot } from './paths.mjs';
import { readIfThere, UserError } from './run.mjs';

/** The built page; `assets.directory` in wrangler.toml. */
export const adminDir = inRoot('dist', 'admin');
const source = inRoot('admin-ui');
const stamp = inRoot('dist', '.admin-stamp');

/**
 * Bundles each script and stylesheet that index.html names (`src="./src/…"`, `href="./src/…"`)
 * under a name with its hash, so that browsers may keep them for good, and copies `public/`.
 * index.html itself can hold no inline script or style: the page's content policy forbids them.
 * @param {string} wanted digest of the inputs
 * @returns {Promise<boolean>} whether anything had to be built
 */
export async function buildAdmin(wanted) {
  if (readIfThere(stamp) === wanted && existsSync(join(adminDir, 'index.html'))) return false;
  const page = readIfThere(join(source, 'index.html'));
  if (page === undefined) throw new UserError('admin-ui/index.html is missing');
  if (/<script(?![^>]*\bsrc=)[^>]*>|<style[\s>]|\sstyle=|\son[a-z]+=/i.test(page)) {
    throw new UserError(
      'admin-ui/index.html has an inline script or style; the content policy would block it',
    );
  }
  const references = [...page.matchAll(/(?:src|href)="\.\/(src\/[^"]+)"/g)].map((match) => match[1]);
  const { build } = await import('esbuild');
  const result = await build({
    absWorkingDir: source,
    entryPoints: [...new Set(references)],
    bundle: true,
    minify: true,
    format: 'esm',
    splitting: true,
    jsx: 'automatic',
    jsxImportSource: 'preact',
    target: 'es2022',
    charset: 'utf8',
    legalComments: 'none',
    outdir: join(adminDir, 'assets'),
    entryNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    loader: { '.svg': 'file', '.woff2': 'file', '.png': 'file' },
    metafile: true,
    write: false,
    logLevel: 'warning',
  });
  const names = new Map();
  for (const [path, output] of Object.entries(result.metafile.outputs)) {
    // A script that imports a stylesheet has two outputs with one entry point; only the first is named by the page.
    if (output.entryPoint) names.set(output.entryPoint, basename(path));
  }
  const html = page.replace(
    /(src|href)="\.\/(src\/[^"]+)"/g,
    (_, attribute, path) => `${attribute}="/assets/${names.get(path)}"`,
  );
  rmSync(adminDir, { recursive: true, force: true });
  mkdirSync(join(adminDir, 'assets'), { recursive: true });
  if (existsSync(join(source, 'public'))) cpSync(join(source, 'public'), adminDir, { recursive: true });
  for (const file of result.outputFiles)
    writeFileSync(join(adminDir, 'assets', relative(join(adminDir, 'assets'), file.path)), file.contents);
  writeFileSync(join(adminDir, 'index.html'), html);
  writeFileSync(stamp, wanted);
  return true;
}
