// What goes wrong upstream, in every dialect: nothing hangs, an answer is whole or says that it is not, in the client's own form.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startPool, TOKEN } from '../harness/rondo.mjs';
import { askIn, dialects } from './clients/dialects/forms.mjs';

const names = Object.keys(dialects);
const PROMPT = '[[tokens=60 reasoning=0]] Go on.';
const limit = { timeout: 40_000 };

/** Struck once, the next key answers and the client notices nothing. */
const EARLY = [
  { kind: 'status', status: 500 }, { kind: 'status', status: 429, error: 'request_quota_exceeded', retryAfter: 60 },
  { kind: 'reset-before-headers' }, { kind: 'reset-after-headers' }, { kind: 'wrong-content-type', contentType: 'text/html', body: '<html>' },
];
/** These strike streams alone. */
const EARLY_IN_STREAM = [{ kind: 'error-event' }, { kind: 'garbage' }];
/** Begun, it can't be begun again. */
const LATE = [
  { kind: 'reset-mid-stream', afterChunks: 8 }, { kind: 'reset-mid-frame', afterChunks: 8 }, { kind: 'error-event', afterChunks: 8 },
  { kind: 'garbage', afterChunks: 8 }, { kind: 'no-finish' },
];
/** Odd, but nothing is missing. */
const HARMLESS = [{ kind: 'comments-first', count: 5 }, { kind: 'fragment', bytes: 3 }];

/** What the client reads of an answer: its text, and whether it has its end or an error. */
const read = {
  completions(pieces) {
    return {
      text: pieces.map((piece) => piece.choices?.[0]?.text ?? '').join(''),
      ended: pieces.some((piece) => piece.choices?.[0]?.finish_reason),
      error: pieces.find((piece) => piece.error)?.error,
    };
  },
  responses(pieces) {
    const last = pieces.at(-1).response ?? pieces.at(-1);
    const text = (last.output ?? []).flatMap(({ content }) => content ?? []).map((part) => part.text ?? '').join('');
    return { text, ended: last.status === 'completed', error: last.error ?? undefined };
  },
  messages(pieces) {
    const whole = pieces.find((piece) => piece.type === 'message');
    const text = whole ? whole.content.map((block) => block.text ?? '').join('') : pieces.map((piece) => piece.delta?.text ?? '').join('');
    const ended = whole ? whole.stop_reason : pieces.at(-1)?.type === 'message_stop';
    return { text, ended: Boolean(ended), error: pieces.find((piece) => piece.type === 'error')?.error };
  },
  gemini(pieces) {
    return {
      text: pieces.flatMap((piece) => piece.candidates?.[0]?.content?.parts ?? []).map((part) => part.text ?? '').join(''),
      ended: pieces.some((piece) => piece.candidates?.[0]?.finishReason),
      error: pieces.find((piece) => piece.error)?.error,
    };
  },
};

describe('each dialect, when the upstream fails:', () => {
  /** A test with a pool of its own: what fails on every key makes a pool wait for all it asks. */
  const pooled = (title, run) => test(title, limit, async () => {
    const pool = await startPool({ keys: 3, settings: { model_policy: 'passthrough', attempt_budget: 3, max_wait_ms: 0 } });
    try {
      await run(pool);
    } finally {
      await pool.stop();
    }
  });
  let number = 0;

  /** Asks under a fault, for a model of its own: what rests is a key for a model. */
  async function ask(pool, name, stream, spec) {
    number += 1;
    const model = `model-${number}`;
    pool.sim.addModel(model);
    const fault = pool.sim.fault({ ...spec, model });
    const response = await askIn(name, pool.rondo.url, TOKEN, model, PROMPT, { more: { stream } });
    const body = await response.text();
    fault.remove();
    assert.ok(fault.hits > 0 || spec.times === undefined, `${spec.kind} struck nothing: ${body}`);
    const events = body.split('\n').filter((line) => line.startsWith('data: {')).map((line) => JSON.parse(line.slice(6)));
    const streamed = response.headers.get('content-type').startsWith('text/event-stream');
    assert.equal(streamed, stream && response.status === 200);
    return { status: response.status, body, ...(response.status === 200 && read[name](streamed ? events : [JSON.parse(body)])) };
  }
  const whole = ({ status, body, text, ended, error }, spec) => {
    assert.deepEqual([status, ended, error], [200, true, undefined], `${spec.kind}: ${body}`);
    assert.ok(text.length > 150, `${spec.kind}: only ${JSON.stringify(text)}`);
  };

  for (const name of names) {
    const early = [...EARLY.map((spec) => [false, spec]), ...[...EARLY, ...EARLY_IN_STREAM].map((spec) => [true, spec])];

    pooled(`${name}: what fails before its first word on one key is answered by the next`, async (pool) => {
      for (const [stream, spec] of early) whole(await ask(pool, name, stream, { ...spec, times: 1 }), spec);
    });

    pooled(`${name}: what fails on every key is an error in the dialect’s form`, async (pool) => {
      for (const [stream, spec] of early) {
        const { status, body } = await ask(pool, name, stream, spec);
        assert.ok([429, 500, 502, 503, 504, 529].includes(status), `${spec.kind}: ${status} ${body}`);
        const said = JSON.parse(body);
        assert.ok(said.error.message.length > 10, body);
        if (name === 'messages') assert.equal(said.type, 'error');
        if (name === 'gemini') assert.equal(said.error.code, status);
      }
    });

    pooled(`${name}, streamed: what breaks off says so, and has no end`, async (pool) => {
      for (const spec of LATE) {
        const { status, body, ended, error } = await ask(pool, name, true, { ...spec, times: 1 });
        assert.equal(status, 200);
        assert.ok(error?.message.length > 10, `${spec.kind}: ${body}`);
        assert.equal(ended, false, `${spec.kind}: ${body}`);
        assert.doesNotMatch(body, /\[DONE\]/);
        // Else so many failures in a row would be taken for those of the whole upstream.
        for (let n = 0; n < 4; n += 1) whole(await ask(pool, name, true, { kind: 'fragment', bytes: 500 }), spec);
      }
    });

    pooled(`${name}, streamed: what is merely odd comes whole`, async (pool) => {
      for (const spec of HARMLESS) whole(await ask(pool, name, true, { ...spec, times: 1 }), spec);
    });
  }
});
