// The benchmark's upstream: as little work for a request as a server can do, so that what
// is measured is what stands before it. Plain sockets, prepared bytes, one write a chunk.
//
// `stream: true` in the body and a model like `bench-500` (or a header `x-bench-chunks`)
// give that many chunks; any other body gets about 1 KB of JSON.
import { createServer } from 'node:net';
import { takePieces } from './tokens.mjs';

const HEAD_END = Buffer.from('\r\n\r\n');
const HEAD_LIMIT = 64 * 1024;
const BODY_LIMIT = 16 * 1024 * 1024;
const MOST_CHUNKS = 100_000;
const DEFAULT_CHUNKS = 20;
const PROMPT_TOKENS = 20;

const RATE_HEADERS = ['requests-minute', 'requests-hour', 'requests-day', 'tokens-minute', 'tokens-hour', 'tokens-day']
  .map((name) => `x-ratelimit-limit-${name}: 1000000000\r\nx-ratelimit-remaining-${name}: 999999999\r\nx-ratelimit-reset-${name}: 0.001\r\n`).join('');
const framed = (text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const envelope = 'chatcmpl-00000000-0000-4000-8000-000000000000';
const common = '"created":1787325820,"model":"gpt-oss-120b","system_fingerprint":"fp_4cfabdd6620dc0120785"';
const usage = (completion) => `"usage":{"total_tokens":${PROMPT_TOKENS + completion},"completion_tokens":${completion},"completion_tokens_details":{"accepted_prediction_tokens":0,"rejected_prediction_tokens":0,"reasoning_tokens":0},"prompt_tokens":${PROMPT_TOKENS},"prompt_tokens_details":{"cached_tokens":0}},"time_info":{"queue_time":0.00012,"prompt_time":0.0019,"completion_time":0.00025,"total_time":0.0034,"created":1787325820.337268}`;

const content = takePieces('english', 0, 150).map((p) => p.text).join('');
const wholeBody = `{"id":"${envelope}","choices":[{"finish_reason":"stop","index":0,"message":{"content":${JSON.stringify(content)},"role":"assistant"}}],${common},"object":"chat.completion",${usage(150)}}`;
const WHOLE = Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ninference-id: ${envelope}\r\n${RATE_HEADERS}content-length: ${Buffer.byteLength(wholeBody)}\r\n\r\n${wholeBody}`);
const NOT_FOUND = Buffer.from('HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 0\r\n\r\n');
const modelsBody = '{"object":"list","data":[{"id":"gpt-oss-120b","object":"model","created":0,"owned_by":"Cerebras"}]}';
const MODELS = Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${modelsBody.length}\r\n\r\n${modelsBody}`);
const TOO_LARGE = Buffer.from('HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');

const STREAM_HEAD = Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ninference-id: ${envelope}\r\n${RATE_HEADERS}transfer-encoding: chunked\r\n\r\n`);
const event = (choice, extra = '') => Buffer.from(framed(`data: {"id":"${envelope}","choices":[${choice}],${common},"object":"chat.completion.chunk"${extra}}\n\n`));
const FIRST = event('{"delta":{"role":"assistant"},"index":0}');
const DELTAS = takePieces('english', 0, 64).map((p) => event(`{"delta":{"content":${JSON.stringify(p.text)}},"index":0}`));
const DONE = Buffer.from(`${framed('data: [DONE]\n\n')}0\r\n\r\n`);
const finishes = new Map();
function finishOf(tokens) {
  if (!finishes.has(tokens)) finishes.set(tokens, event('{"delta":{},"finish_reason":"stop","index":0}', `,${usage(tokens)}`));
  return finishes.get(tokens);
}

/** Chunk `i` of `n`: role, one token each, finish with usage; `[DONE]` is one more write. */
const chunkOf = (i, n) => (i === 0 ? FIRST : i === n - 1 ? finishOf(n - 2) : DELTAS[i % DELTAS.length]);

class Connection {
  constructor(socket, server) {
    this.socket = socket;
    this.server = server;
    this.buffer = undefined;
    this.busy = false;
    socket.setNoDelay(true);
    socket.on('data', (data) => {
      this.buffer = this.buffer ? Buffer.concat([this.buffer, data]) : data;
      if (!this.busy) this.next();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      server.sockets.delete(socket);
      if (this.busy) server.counters.aborted += 1;
    });
  }

  // Takes one whole request out of the buffer, if there is one.
  next() {
    const { buffer } = this;
    if (!buffer) return;
    const end = buffer.indexOf(HEAD_END);
    if (end < 0) {
      if (buffer.length > HEAD_LIMIT) this.socket.destroy();
      return;
    }
    const head = buffer.latin1Slice(0, end);
    const start = end + 4;
    let stop = start;
    const length = /\r\ncontent-length: *(\d+)/i.exec(head);
    if (length) stop = start + Number(length[1]);
    else if (/\r\ntransfer-encoding: *chunked/i.test(head)) stop = endOfChunks(buffer, start);
    if (stop - start > BODY_LIMIT || buffer.length - start > BODY_LIMIT + HEAD_LIMIT) {
      this.socket.end(TOO_LARGE);
      return;
    }
    if (stop < 0 || buffer.length < stop) return;
    this.buffer = buffer.length > stop ? buffer.subarray(stop) : undefined;
    this.answer(head, buffer.subarray(start, stop));
  }

  answer(head, body) {
    const { counters } = this.server;
    if (head.startsWith('GET /public/')) {
      // Whoever watches the public list does so in its own time: not what is counted here.
      this.socket.write(head.startsWith('GET /public/v1/models') ? MODELS : NOT_FOUND);
      if (this.buffer) this.next();
      return;
    }
    counters.requests += 1;
    if (head.startsWith('POST /v1/chat/completions')) {
      if (/"stream": ?true/.test(body.latin1Slice())) {
        const asked = /\r\nx-bench-chunks: *(\d+)/i.exec(head) ?? /"model": ?"bench-(\d+)/.exec(body.latin1Slice());
        this.stream(Math.min(MOST_CHUNKS, Math.max(3, asked ? Number(asked[1]) : DEFAULT_CHUNKS)));
        return;
      }
      this.socket.write(WHOLE);
    } else if (head.startsWith('GET /v1/models')) this.socket.write(MODELS);
    else if (this.server.control && head.startsWith('GET /__sim/counts')) {
      const text = JSON.stringify(counters);
      this.socket.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`);
    } else this.socket.write(NOT_FOUND);
    counters.answered += 1;
    if (this.buffer) this.next();
  }

  stream(n) {
    const { socket, server: { counters, chunkDelayMs } } = this;
    this.busy = true;
    let sent = 0;
    socket.write(STREAM_HEAD);
    const step = () => {
      if (socket.destroyed) return;
      if (sent === n) {
        socket.write(DONE);
        this.busy = false;
        counters.answered += 1;
        this.next();
        return;
      }
      const room = socket.write(chunkOf(sent, n));
      sent += 1;
      counters.chunks += 1;
      if (!room) socket.once('drain', step);
      else if (chunkDelayMs > 0) setTimeout(step, chunkDelayMs);
      else setImmediate(step);
    };
    step();
  }
}

// Where a chunked body ends, or -1 while it is not all there.
function endOfChunks(buffer, from) {
  let at = from;
  for (;;) {
    const line = buffer.indexOf('\r\n', at);
    if (line < 0) return -1;
    const size = parseInt(buffer.latin1Slice(at, line), 16);
    if (!Number.isInteger(size) || size < 0) return -1;
    at = line + 2 + size + 2;
    if (size === 0) return buffer.length >= at ? at : -1;
    if (at > buffer.length) return -1;
  }
}

/** @returns {Promise<{url: string, counters: {requests: number, answered: number, aborted: number, chunks: number}, close(): Promise<void>}>} */
export async function createFastServer({ port = 0, host = '127.0.0.1', chunkDelayMs = 0, control = false }) {
  const state = { counters: { requests: 0, answered: 0, aborted: 0, chunks: 0 }, sockets: new Set(), chunkDelayMs, control };
  const server = createServer((socket) => {
    state.sockets.add(socket);
    return new Connection(socket, state);
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  return {
    url: `http://${host}:${server.address().port}`,
    counters: state.counters,
    counts: () => ({ ...state.counters }),
    close: () => new Promise((resolve) => {
      server.close(resolve);
      for (const socket of state.sockets) socket.destroy();
    }),
  };
}
