// How to point tools at this Rondo: what each needs, filled in with the address and a token.

export type Given = { origin: string; token: string; model: string };
export type Guide = {
  id: string;
  name: string;
  /** Of the code block; for its label only. */
  kind: 'shell' | 'python' | 'javascript' | 'env' | 'json' | 'toml' | 'yaml';
  lines: (given: Given) => string;
};

/** Base URL for clients that speak OpenAI's API. */
export const openaiBase = (origin: string) => `${origin}/v1`;
/** Base URL for the Cerebras SDKs, which add `/v1` themselves. */
export const cerebrasBase = (origin: string) => origin;
/** What stands for a token that is not at hand. */
export const TOKEN_PLACEHOLDER = 'rk-…';

export const guides: Guide[] = [
  {
    id: 'curl',
    name: 'curl',
    kind: 'shell',
    lines: ({ origin, token, model }) => `curl ${openaiBase(origin)}/chat/completions \\
  -H 'authorization: Bearer ${token}' \\
  -H 'content-type: application/json' \\
  -d '{"model":"${model}","stream":true,"messages":[{"role":"user","content":"Hello"}]}'`,
  },
  {
    id: 'openai-python',
    name: 'OpenAI SDK (Python)',
    kind: 'python',
    lines: ({ origin, token, model }) => `from openai import OpenAI

client = OpenAI(base_url="${openaiBase(origin)}", api_key="${token}")
answer = client.chat.completions.create(
    model="${model}",
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)`,
  },
  {
    id: 'openai-js',
    name: 'OpenAI SDK (JavaScript)',
    kind: 'javascript',
    lines: ({ origin, token, model }) => `import OpenAI from 'openai';

const client = new OpenAI({ baseURL: '${openaiBase(origin)}', apiKey: '${token}' });
const answer = await client.chat.completions.create({
  model: '${model}',
  messages: [{ role: 'user', content: 'Hello' }],
});
console.log(answer.choices[0].message.content);`,
  },
  {
    id: 'env',
    name: 'Environment',
    kind: 'env',
    lines: ({ origin, token }) => `OPENAI_BASE_URL=${openaiBase(origin)}
OPENAI_API_KEY=${token}`,
  },
];
