// How to point tools at this Rondo: what each needs, filled in with the address, a token and a model. Pure.

export type Given = { origin: string; token: string; model: string };
export type BlockKind = 'shell' | 'python' | 'javascript' | 'env' | 'json' | 'toml' | 'yaml';
/** Lines to take along. */
export type Block = {
  /** What it is: a file's name, or one of the words that the page has in both languages. */
  what: 'install' | 'code' | 'run' | 'environment' | { file: string };
  kind: BlockKind;
  lines: (given: Given) => string;
};
/** One input of a tool that is set up by hand. */
export type Entry = { name: 'provider' | 'base' | 'url' | 'key' | 'model'; value: string };
export type Guide = {
  id: string;
  name: string;
  group: 'code' | 'agents' | 'apps';
  /** Further words that a search finds it by. */
  words?: string;
  blocks: Block[];
  entries?: (given: Given) => Entry[];
};

/** Base URL for clients that speak OpenAI's API. */
export const openaiBase = (origin: string) => `${origin}/v1`;
/** Base URL for the Cerebras SDKs, and those of Anthropic and Google, which add `/v1` or `/v1beta` themselves. */
export const bareBase = (origin: string) => origin;
/** What stands for a token that is not at hand. */
export const TOKEN_PLACEHOLDER = 'rk-…';

/** A text as a string of Python, JavaScript, JSON, TOML and YAML, which agree on this form. */
const q = (text: string) => JSON.stringify(text);
/** The same in JavaScript's usual quotes. */
const js = (text: string) => `'${text.replace(/[\\']/g, '\\$&')}'`;
/** A text as one word of a POSIX shell. */
const sh = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
/** A value of a `.env` file or an `export`: bare where that is safe. */
const env = (text: string) => (/^[\w.:/…-]+$/.test(text) ? text : sh(text));
const json = (value: unknown) => JSON.stringify(value, null, 2);
const install = (command: string): Block => ({ what: 'install', kind: 'shell', lines: () => command });

export const guides: Guide[] = [
  {
    id: 'curl',
    name: 'curl',
    group: 'code',
    words: 'http rest shell',
    blocks: [
      {
        what: 'run',
        kind: 'shell',
        lines: ({ origin, token, model }) => `curl ${sh(`${openaiBase(origin)}/chat/completions`)} \\
  -H ${sh(`authorization: Bearer ${token}`)} \\
  -H 'content-type: application/json' \\
  -d ${sh(JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: 'Hello' }] }))}`,
      },
    ],
  },
  {
    id: 'openai-python',
    name: 'OpenAI SDK (Python)',
    group: 'code',
    blocks: [
      install('pip install openai'),
      {
        what: 'code',
        kind: 'python',
        lines: ({ origin, token, model }) => `from openai import OpenAI

client = OpenAI(base_url=${q(openaiBase(origin))}, api_key=${q(token)})
answer = client.chat.completions.create(
    model=${q(model)},
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)`,
      },
    ],
  },
  {
    id: 'openai-js',
    name: 'OpenAI SDK (Node)',
    group: 'code',
    words: 'javascript typescript',
    blocks: [
      install('npm install openai'),
      {
        what: 'code',
        kind: 'javascript',
        lines: ({ origin, token, model }) => `import OpenAI from 'openai';

const client = new OpenAI({ baseURL: ${js(openaiBase(origin))}, apiKey: ${js(token)} });
const answer = await client.chat.completions.create({
  model: ${js(model)},
  messages: [{ role: 'user', content: 'Hello' }],
});
console.log(answer.choices[0].message.content);`,
      },
    ],
  },
  {
    id: 'cerebras-python',
    name: 'Cerebras SDK (Python)',
    group: 'code',
    blocks: [
      install('pip install cerebras_cloud_sdk'),
      {
        what: 'code',
        kind: 'python',
        lines: ({ origin, token, model }) => `from cerebras.cloud.sdk import Cerebras

client = Cerebras(base_url=${q(bareBase(origin))}, api_key=${q(token)})
answer = client.chat.completions.create(
    model=${q(model)},
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)`,
      },
    ],
  },
  {
    id: 'cerebras-js',
    name: 'Cerebras SDK (Node)',
    group: 'code',
    words: 'javascript typescript',
    blocks: [
      install('npm install @cerebras/cerebras_cloud_sdk'),
      {
        what: 'code',
        kind: 'javascript',
        lines: ({ origin, token, model }) => `import Cerebras from '@cerebras/cerebras_cloud_sdk';

const client = new Cerebras({ baseURL: ${js(bareBase(origin))}, apiKey: ${js(token)} });
const answer = await client.chat.completions.create({
  model: ${js(model)},
  messages: [{ role: 'user', content: 'Hello' }],
});
console.log(answer.choices[0].message.content);`,
      },
    ],
  },
  {
    id: 'anthropic',
    name: 'Anthropic SDK (Python)',
    group: 'code',
    words: 'claude messages',
    blocks: [
      install('pip install anthropic'),
      {
        what: 'code',
        kind: 'python',
        lines: ({ origin, token, model }) => `from anthropic import Anthropic

client = Anthropic(base_url=${q(origin)}, api_key=${q(token)})
answer = client.messages.create(
    model=${q(model)},
    max_tokens=1024,
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.content[-1].text)`,
      },
    ],
  },
  {
    id: 'genai',
    name: 'Google Gen AI SDK (Python)',
    group: 'code',
    words: 'gemini google',
    blocks: [
      install('pip install google-genai'),
      {
        what: 'code',
        kind: 'python',
        lines: ({ origin, token, model }) => `from google import genai

client = genai.Client(api_key=${q(token)}, http_options={"base_url": ${q(origin)}})
answer = client.models.generate_content(model=${q(model)}, contents="Hello")
print(answer.text)`,
      },
    ],
  },
  {
    id: 'ai-sdk',
    name: 'Vercel AI SDK',
    group: 'code',
    words: 'javascript typescript next ai-sdk',
    blocks: [
      install('npm install ai @ai-sdk/openai-compatible'),
      {
        what: 'code',
        kind: 'javascript',
        lines: ({ origin, token, model }) => `import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText } from 'ai';

const rondo = createOpenAICompatible({ name: 'rondo', baseURL: ${js(openaiBase(origin))}, apiKey: ${js(token)} });
const { text } = await generateText({ model: rondo(${js(model)}), prompt: 'Hello' });
console.log(text);`,
      },
    ],
  },
  {
    id: 'langchain',
    name: 'LangChain',
    group: 'code',
    words: 'python javascript langgraph',
    blocks: [
      install('pip install langchain-openai'),
      {
        what: 'code',
        kind: 'python',
        lines: ({ origin, token, model }) => `from langchain_openai import ChatOpenAI

llm = ChatOpenAI(model=${q(model)}, base_url=${q(openaiBase(origin))}, api_key=${q(token)})
print(llm.invoke("Hello").content)`,
      },
      install('npm install @langchain/openai'),
      {
        what: 'code',
        kind: 'javascript',
        lines: ({ origin, token, model }) => `import { ChatOpenAI } from '@langchain/openai';

const llm = new ChatOpenAI({
  model: ${js(model)},
  apiKey: ${js(token)},
  configuration: { baseURL: ${js(openaiBase(origin))} },
});
console.log((await llm.invoke('Hello')).content);`,
      },
    ],
  },
  {
    id: 'litellm',
    name: 'LiteLLM',
    group: 'code',
    words: 'python proxy',
    blocks: [
      {
        what: 'code',
        kind: 'python',
        lines: ({ origin, token, model }) => `from litellm import completion

answer = completion(
    model=${q(`cerebras/${model}`)},
    api_base=${q(openaiBase(origin))},
    api_key=${q(token)},
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)`,
      },
      {
        what: { file: 'config.yaml' },
        kind: 'yaml',
        lines: ({ origin, token, model }) => `model_list:
  - model_name: ${q(model)}
    litellm_params:
      model: ${q(`cerebras/${model}`)}
      api_base: ${q(openaiBase(origin))}
      api_key: ${q(token)}`,
      },
    ],
  },
  {
    id: 'env',
    name: 'Environment',
    group: 'code',
    words: '.env 环境变量',
    blocks: [
      {
        what: 'environment',
        kind: 'env',
        lines: ({ origin, token }) => `OPENAI_BASE_URL=${env(openaiBase(origin))}
OPENAI_API_KEY=${env(token)}
CEREBRAS_BASE_URL=${env(bareBase(origin))}
CEREBRAS_API_KEY=${env(token)}`,
      },
    ],
  },
  {
    id: 'claude-code',
    name: 'Claude Code',
    group: 'agents',
    words: 'anthropic messages',
    blocks: [
      {
        what: 'environment',
        kind: 'shell',
        lines: ({ origin, token, model }) => `export ANTHROPIC_BASE_URL=${env(origin)}
export ANTHROPIC_AUTH_TOKEN=${env(token)}
export ANTHROPIC_API_KEY=
export ANTHROPIC_MODEL=${env(model)}
export ANTHROPIC_DEFAULT_HAIKU_MODEL=${env(model)}
claude`,
      },
    ],
  },
  {
    id: 'codex',
    name: 'Codex CLI',
    group: 'agents',
    words: 'openai responses',
    blocks: [
      {
        what: { file: '~/.codex/config.toml' },
        kind: 'toml',
        lines: ({ origin, model }) => `model = ${q(model)}
model_provider = "rondo"

[model_providers.rondo]
name = "Rondo"
base_url = ${q(openaiBase(origin))}
env_key = "RONDO_TOKEN"
wire_api = "responses"`,
      },
      { what: 'run', kind: 'shell', lines: ({ token }) => `export RONDO_TOKEN=${env(token)}\ncodex` },
    ],
  },
  {
    id: 'gemini-cli',
    name: 'Gemini CLI',
    group: 'agents',
    words: 'google',
    blocks: [
      { what: { file: '~/.gemini/settings.json' }, kind: 'json', lines: () => json({ security: { auth: { selectedType: 'gemini-api-key' } } }) },
      {
        what: 'run',
        kind: 'shell',
        lines: ({ origin, token, model }) => `export GOOGLE_GEMINI_BASE_URL=${env(origin)}
export GEMINI_API_KEY=${env(token)}
gemini --model ${sh(model)}`,
      },
    ],
  },
  {
    id: 'opencode',
    name: 'opencode',
    group: 'agents',
    blocks: [
      {
        what: { file: 'opencode.json' },
        kind: 'json',
        lines: ({ origin, model }) =>
          json({
            $schema: 'https://opencode.ai/config.json',
            model: `rondo/${model}`,
            provider: {
              rondo: {
                npm: '@ai-sdk/openai-compatible',
                name: 'Rondo',
                options: { baseURL: openaiBase(origin), apiKey: '{env:RONDO_TOKEN}' },
                models: { [model]: { name: model } },
              },
            },
          }),
      },
      { what: 'run', kind: 'shell', lines: ({ token }) => `export RONDO_TOKEN=${env(token)}\nopencode` },
    ],
  },
  {
    id: 'cline',
    name: 'Cline / Roo Code',
    group: 'agents',
    words: 'vs code vscode kilo',
    blocks: [],
    entries: ({ origin, token, model }) => [
      { name: 'provider', value: 'OpenAI Compatible' },
      { name: 'base', value: openaiBase(origin) },
      { name: 'key', value: token },
      { name: 'model', value: model },
    ],
  },
  {
    id: 'continue',
    name: 'Continue',
    group: 'agents',
    words: 'vs code vscode jetbrains',
    blocks: [
      {
        what: { file: '~/.continue/config.yaml' },
        kind: 'yaml',
        lines: ({ origin, token, model }) => `name: Rondo
version: 0.0.1
schema: v1
models:
  - name: ${q(`Rondo ${model}`)}
    provider: openai
    model: ${q(model)}
    apiBase: ${q(openaiBase(origin))}
    apiKey: ${q(token)}
    roles: [chat, edit, apply]`,
      },
    ],
  },
  {
    id: 'open-webui',
    name: 'Open WebUI',
    group: 'apps',
    words: 'chat docker',
    entries: ({ origin, token }) => [
      { name: 'url', value: openaiBase(origin) },
      { name: 'key', value: token },
    ],
    blocks: [
      {
        what: 'run',
        kind: 'shell',
        lines: ({ origin, token }) => `docker run -d -p 3000:8080 -v open-webui:/app/backend/data \\
  -e OPENAI_API_BASE_URL=${env(openaiBase(origin))} \\
  -e OPENAI_API_KEY=${env(token)} \\
  --name open-webui ghcr.io/open-webui/open-webui:main`,
      },
    ],
  },
  {
    id: 'immersive-translate',
    name: 'Immersive Translate',
    group: 'apps',
    words: '沉浸式翻译 browser translation',
    blocks: [],
    entries: ({ origin, token, model }) => [
      { name: 'provider', value: 'OpenAI' },
      { name: 'url', value: `${openaiBase(origin)}/chat/completions` },
      { name: 'key', value: token },
      { name: 'model', value: model },
    ],
  },
];

/** Those that the first run shows: enough to begin with. */
export const firstGuides = guides.filter(({ id }) => ['curl', 'openai-python', 'openai-js', 'env'].includes(id));

/** Guides that have every word of `text` in their name or words. */
export function findGuides(text: string): Guide[] {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  return guides.filter(({ name, words = '', id }) => {
    const own = `${name} ${words} ${id}`.toLowerCase();
    return wanted.every((word) => own.includes(word));
  });
}

/** Whether `value` can be the token that is shown as `masked` (its start and end around `…`). */
export function mayBe(value: string, masked: string): boolean {
  const [start = '', end = ''] = masked.split('…');
  return value.startsWith(start) && value.endsWith(end);
}

/** What is wrong with a pasted token; null when nothing is. A token is visible ASCII without spaces. */
export function tokenProblem(value: string): 'spaces' | 'key' | null {
  if (value === '') return null;
  if (!/^[\x21-\x7e]+$/.test(value)) return 'spaces';
  return value.startsWith('csk-') ? 'key' : null;
}
