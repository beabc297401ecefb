// What each dialect costs beside the native pump: node bench/dialects.mjs [--rounds 5] [--seconds 3] [--built FOLDER]
// The same answer of the upstream, as a stream of 500 chunks and whole, through one workerd; ways in turn. Told is
// workerd's processor time: for a request, and, of a stream, for one chunk.
import { parseArgs } from 'node:util';
import { build } from '../scripts/lib/build.mjs';
import { runMain, say } from '../scripts/lib/run.mjs';
import { wrkVersion } from './load.mjs';
import { measureLoad } from './measure.mjs';
import { median } from './numbers.mjs';
import { setUp, startUpstream, startWorkerd, TOKEN } from './stage.mjs';

const CHUNKS = 500;
const MODEL = `bench-${CHUNKS}`;
const TEXT = 'm'.repeat(900);
const MOST = 500;
const messages = [{ role: 'user', content: TEXT }];

/** Each dialect's way to ask for the same. */
const DIALECTS = {
  chat: { path: () => '/v1/chat/completions', body: { model: MODEL, messages, max_completion_tokens: MOST } },
  completions: { path: () => '/v1/completions', body: { model: MODEL, prompt: TEXT, max_tokens: MOST } },
  responses: { path: () => '/v1/responses', body: { model: MODEL, input: TEXT, max_output_tokens: MOST } },
  messages: { path: () => '/v1/messages', body: { model: MODEL, messages, max_tokens: MOST } },
  gemini: {
    path: (stream) => `/v1beta/models/${MODEL}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
    body: { contents: [{ role: 'user', parts: [{ text: TEXT }] }], generationConfig: { maxOutputTokens: MOST } },
  },
};

await runMain(async () => {
  const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '3' }, built: { type: 'string' } } });
  const dir = values.built ?? (await build({ mode: 'release', quiet: true })).dir;
  const upstream = await startUpstream();
  const stage = await startWorkerd({ upstream: upstream.url, buildDir: dir });
  try {
    await setUp(stage);
    const base = new URL(stage.rondo.url).origin;
    const rounds = {};
    for (let round = 0; round < Number(values.rounds); round += 1) {
      for (const stream of [true, false]) {
        for (const [name, { path, body }] of Object.entries(DIALECTS)) {
          const load = { name: `${name} ${stream ? 'stream' : 'whole'}`, body: JSON.stringify(stream && name !== 'gemini' ? { ...body, stream } : body) };
          const targets = [{ name, url: base + path(stream), pid: stage.rondo.pid }];
          const [figures] = await measureLoad({ load, targets, upstream, token: TOKEN, rounds: 1, seconds: Number(values.seconds), connections: 16, wrk: wrkVersion() !== undefined });
          if (figures.failed) say(`${load.name}: ${figures.failed} failed`);
          (rounds[load.name] ??= []).push(figures);
        }
      }
    }
    const of = (name, figure) => median(rounds[name].map((round) => round[figure]));
    console.log('| dialect | CPU ms a stream | µs a chunk | beside the pump, µs | CPU ms a whole answer | beside chat, ms |\n| --- | --- | --- | --- | --- | --- |');
    for (const name of Object.keys(DIALECTS)) {
      const [stream, whole] = [of(`${name} stream`, 'cpu_ms'), of(`${name} whole`, 'cpu_ms')];
      const more = stream - of('chat stream', 'cpu_ms');
      console.log(`| ${name} | ${stream.toFixed(1)} | ${((stream / CHUNKS) * 1_000).toFixed(1)} | ${((more / CHUNKS) * 1_000).toFixed(1)} | ${whole.toFixed(2)} | ${(whole - of('chat whole', 'cpu_ms')).toFixed(2)} |`);
    }
  } finally {
    await stage.stop();
    await upstream.stop();
  }
});
