// A module of the page, for tests that need no browser.
import { build } from 'esbuild';
import { inRoot } from '../../scripts/lib/paths.mjs';

/** @param {string} path under admin-ui/src, such as `keys-input.ts` */
export async function fromPage(path) {
  const { outputFiles } = await build({ entryPoints: [inRoot('admin-ui', 'src', path)], bundle: true, format: 'esm', write: false, logLevel: 'warning' });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}
