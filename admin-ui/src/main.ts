// The page at `/`: what this is, whether it can serve, where the API is. Everything shown is set as text.
import { language, texts } from './texts.ts';

const element = (id: string): HTMLElement => {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found;
};
const show = (id: string, text: string) => {
  element(id).textContent = text;
};

function describe() {
  document.documentElement.lang = language;
  const { origin } = location;
  show('what', texts.what);
  show('state-title', texts.state);
  show('state-text', texts.asking);
  show('clients-title', texts.clients);
  show('openai-name', texts.openai);
  show('openai-base', `${origin}/v1`);
  show('cerebras-name', texts.cerebras);
  show('cerebras-base', origin);
  show('token-name', texts.token);
  show('token-text', texts.tokenText);
  show('admin-title', texts.admin);
  show('notice', texts.notice);
  show(
    'curl',
    `curl ${origin}/v1/chat/completions \\
  -H 'authorization: Bearer rk-…' -H 'content-type: application/json' \\
  -d '{"model":"gpt-oss-120b","stream":true,"messages":[{"role":"user","content":"Hello"}]}'`,
  );
}

type Health = { ready: boolean; detail?: string; missing?: { name: string; remedy: string }[]; error?: string };

/** What the Worker says of itself, and what to do about it; its remedies are English, as everywhere in the API. */
async function health() {
  try {
    const response = await fetch('/health');
    const said: Health = await response.json();
    element('dot').dataset.state = said.ready ? 'ready' : 'waiting';
    show('state-text', said.ready ? texts.ready : texts.notReady);
    const remedies = (said.missing ?? []).map((part) => `${part.name}: ${part.remedy}`);
    show('remedy', said.ready ? '' : [...remedies, said.detail ?? ''].filter(Boolean).join(' '));
  } catch {
    element('dot').dataset.state = 'silent';
    show('state-text', texts.silent);
  }
}

async function account() {
  const { origin } = location;
  let hasPassword = false;
  try {
    const response = await fetch('/api/auth/status');
    const said: { has_password?: boolean; demo?: boolean } = response.ok ? await response.json() : {};
    hasPassword = said.has_password === true;
    element('demo').hidden = said.demo !== true;
  } catch {
    // Said by `health` already.
  }
  const call = hasPassword ? 'login' : 'setup';
  const body = hasPassword ? '{"password":"…"}' : '{"password":"…","setup_code":"…"}';
  show('admin-text', hasPassword ? texts.adminThen : texts.adminFirst);
  show('setup', `curl ${origin}/api/auth/${call} -H 'content-type: application/json' \\\n  -d '${body}'`);
}

describe();
await Promise.all([health(), account()]);
document.documentElement.dataset.loaded = 'true';
