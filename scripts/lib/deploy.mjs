// A deployment, step by step. wrangler, fetch and time come in as arguments, so that a test can
// play a whole deployment without an account.
import { randomBytes } from 'node:crypto';
import { UserError } from './run.mjs';

/** How long a new Worker's address may take to answer everywhere. */
const READY_MS = 120_000;
const POLL_MS = 2_000;
const PROBE_MS = 15_000;

/**
 * @typedef {object} Tools
 * @property {(args: string[], options?: {input?: string, show?: boolean}) => Promise<{code: number, output: string, targets?: string[]}>} wrangler
 *   runs one wrangler command; `show` lets the user see it; `targets` are the addresses that a
 *   deployment reported
 * @property {typeof fetch} fetch
 * @property {(ms: number) => Promise<void>} sleep
 * @property {() => number} now milliseconds
 * @property {(text: string) => void} print for results
 */

/**
 * Deploys, makes the secrets that are missing, and waits until the Worker is ready.
 * @param {Tools} tools
 * @returns {Promise<string | undefined>} the address, when wrangler told one
 * @throws {UserError} saying what to do
 */
export async function deploy(tools) {
  await checkLogin(tools);
  const before = await secretNames(tools);
  // Making a new key beside a filled database would leave every stored key unreadable.
  if (before && !before.includes('ENCRYPTION_KEY') && (await holdsSealedKeys(tools))) {
    throw new UserError(
      'the database holds keys sealed under an ENCRYPTION_KEY that the Worker no longer has.\n' +
        'Put the same one back: npx wrangler secret put ENCRYPTION_KEY\n' +
        '(If it is lost, so are the keys: delete the database and begin anew.)',
    );
  }
  const deployed = await tools.wrangler(['deploy'], { show: true });
  if (deployed.code !== 0) throw new UserError('wrangler deploy failed; its own message is above');
  await makeSecrets(tools, before ?? []);
  const url = addressOf(deployed);
  if (!url) {
    tools.print(
      'Deployed. wrangler told no address (workers_dev is off and there is no route?), so nothing was checked.',
    );
    return undefined;
  }
  const state = await waitUntilReady(tools, url);
  tools.print(`Rondo is at ${url}${state === 'no keys' ? ` and waits for its first key: ${url}/` : ''}`);
  return url;
}

async function checkLogin({ wrangler }) {
  // `--json` makes wrangler's exit code tell.
  const { code } = await wrangler(['whoami', '--json']);
  if (code !== 0) {
    throw new UserError(
      'wrangler is not logged in: run `npx wrangler login`, or set CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID',
    );
  }
}

/** @returns {Promise<string[] | undefined>} undefined when there is no such Worker yet */
async function secretNames({ wrangler }) {
  const { code, output } = await wrangler(['secret', 'list', '--format', 'json']);
  if (code !== 0) {
    if (/10007|not found|does not exist/i.test(output)) return undefined;
    throw new UserError(`wrangler secret list failed:\n${output.trim()}`);
  }
  try {
    return JSON.parse(output.slice(output.indexOf('['))).map((secret) => secret.name);
  } catch {
    throw new UserError(`wrangler secret list answered with no list:\n${output.trim()}`);
  }
}

async function holdsSealedKeys({ wrangler }) {
  const { code, output } = await wrangler([
    'd1',
    'execute',
    'DB',
    '--remote',
    '--json',
    '--command',
    "SELECT count(*) AS sealed FROM meta WHERE name = 'wrapped_data_key'",
  ]);
  // No such database or table: nothing is sealed.
  return code === 0 && /"sealed":\s*[1-9]/.test(output);
}

/** Through stdin: a secret on a command line is seen by every process of the machine. */
async function makeSecrets({ wrangler, print }, existing) {
  const made = {};
  if (!existing.includes('ENCRYPTION_KEY')) made.ENCRYPTION_KEY = randomBytes(32).toString('base64');
  if (!existing.includes('SETUP_TOKEN')) made.SETUP_TOKEN = randomBytes(24).toString('base64url');
  if (Object.keys(made).length === 0) return;
  const { code, output } = await wrangler(['secret', 'bulk'], { input: JSON.stringify(made) });
  if (code !== 0)
    throw new UserError(
      `the Worker is deployed, but its secrets could not be set; run this again.\n${output.trim()}`,
    );
  // Printed after they are set: what is printed counts. Cloudflare never shows them again.
  if (made.ENCRYPTION_KEY)
    print(`ENCRYPTION_KEY (keep it; a restore on another Worker needs it): ${made.ENCRYPTION_KEY}`);
  if (made.SETUP_TOKEN) print(`Setup code: ${made.SETUP_TOKEN}`);
}

function addressOf({ output, targets }) {
  const target =
    targets?.find((text) => /^(https:\/\/)?[\w.-]+\.[a-z]+/i.test(text)) ??
    /https:\/\/[\w.-]+\.workers\.dev/.exec(output)?.[0];
  if (!target) return undefined;
  // A custom domain or route comes with a remark behind it, or with a path pattern.
  const host = target.replace(/^https:\/\//, '').split(/[\s/(]/)[0];
  return `https://${host}`;
}

/**
 * The Coordinator migrates the schema at its first start, which this waits for.
 * @returns {Promise<'ready' | 'no keys'>}
 */
async function waitUntilReady({ fetch, sleep, now, print }, url) {
  print(`Waiting for ${url}/readyz`);
  const end = now() + READY_MS;
  let last = 'no answer';
  for (;;) {
    try {
      const response = await fetch(`${url}/readyz`, {
        signal: AbortSignal.timeout(PROBE_MS),
        redirect: 'manual',
      });
      const body = await response.text();
      if (response.status === 200) return 'ready';
      if (response.status === 503 && onlyKeysMissing(body)) return 'no keys';
      last = `${response.status} ${body.slice(0, 500)}`;
    } catch (error) {
      last = error.cause?.message ?? error.message;
    }
    if (now() >= end)
      throw new UserError(`deployed, but ${url}/readyz is not ready after ${READY_MS / 1000} s: ${last}`);
    await sleep(POLL_MS);
  }
}

/**
 * Whether the only thing that isn't ready is that there is no usable key, which a first deployment
 * can't have.
 * @param {string} body of a 503 from /readyz
 */
export function onlyKeysMissing(body) {
  try {
    const { failing } = JSON.parse(body);
    return Array.isArray(failing) && failing.length === 1 && failing[0] === 'keys';
  } catch {
    return false;
  }
}
