// Where things are. Nothing here may import an npm package: setup runs before `npm ci`.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's root folder. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** @param {...string} parts @returns {string} an absolute path inside the project */
export const inRoot = (...parts) => join(root, ...parts);

const exe = process.platform === 'win32' ? '.exe' : '';

/** Command-line tools built or downloaded by setup, pinned exactly, inside the project. */
export const toolsDir = inRoot('.tools');
/** @param {string} name @returns {string} the path of a tool in `.tools/bin` */
export const tool = (name) => join(toolsDir, 'bin', name + exe);
/** @param {string} name @returns {string} the path of a command that npm installed */
export const npmBin = (name) => inRoot('node_modules', '.bin', name + (exe ? '.cmd' : ''));

/** True when `url` (an `import.meta.url`) is the script that Node was started with. */
export const isMain = (url) => process.argv[1] !== undefined && fileURLToPath(url) === process.argv[1];
