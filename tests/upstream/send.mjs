// Writing answers: pacing, back-pressure, and the faults that strike while writing.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { errorEvent } from './errors.mjs';

const COMMENT = ': keep-alive\n\n';
const GARBAGE = 'data: {"id":"chatcmpl-\u0000\ufffd<html>not json\n\n';
const DONE = 'data: [DONE]\n\n';

/** One answer on its way; knows when the client has gone. */
export class Reply {
  #gone;
  #ours = false;
  #parts;

  constructor(res, record, recorder) {
    this.res = res;
    this.record = record;
    this.recorder = recorder;
    if (recorder.recordBodies) {
      this.#parts = [];
      Object.defineProperty(record, 'response', { enumerable: true, get: () => Buffer.concat(this.#parts) });
    }
    this.closed = new Promise((resolve) => {
      this.#gone = resolve;
    });
    res.on('finish', () => this.#end());
    res.on('close', () => {
      if (!res.writableFinished && !this.#ours) {
        record.hungUp = true;
        record.hungUpAt = performance.now();
      }
      this.#end();
    });
    res.on('error', () => {}); // a write after the client's leaving; 'close' says it all
  }

  #end() {
    this.#gone();
    this.recorder.closed(this.record);
  }

  get open() {
    return this.record.endedAt === undefined && !this.res.destroyed;
  }

  /** Real milliseconds, or until the connection is gone. */
  async wait(ms) {
    if (ms <= 0 || !this.open) return;
    let timer;
    await Promise.race([this.closed, new Promise((resolve) => {
      timer = setTimeout(resolve, ms);
    })]);
    clearTimeout(timer);
  }

  head(status, headers) {
    this.record.status = status;
    this.res.writeHead(status, headers);
  }

  #sent(data) {
    const { record } = this;
    const bytes = Buffer.isBuffer(data) ? data.length : Buffer.byteLength(data);
    record.sentBytes += bytes;
    this.#parts?.push(Buffer.from(data));
    if (record.firstByteAt === undefined && bytes > 0) {
      record.firstByteAt = performance.now();
      this.recorder.changed(record);
    }
  }

  /** Writes, and waits while the client does not read. */
  async write(data, tokens = 0) {
    if (!this.open) return;
    const room = this.res.write(data);
    this.#sent(data);
    this.record.sentTokens += tokens;
    if (room) return;
    this.record.heldBack += 1;
    this.recorder.changed(this.record);
    await Promise.race([this.closed, new Promise((resolve) => {
      this.res.once('drain', resolve);
    })]);
  }

  async writeInPieces(data, size, tokens) {
    if (size === 0) return this.write(data, tokens);
    const bytes = Buffer.from(data);
    for (let at = 0; at < bytes.length; at += size) {
      await this.write(bytes.subarray(at, at + size), at + size >= bytes.length ? tokens : 0);
      await nextTurn();
    }
    return undefined;
  }

  finish(data) {
    if (!this.open) return;
    if (data !== undefined && data.length > 0) this.#sent(data);
    this.res.end(data);
  }

  /** Cuts the connection: `rst` as a crash does, `fin` as a clean close in the middle. */
  async cut(how = 'rst') {
    if (!this.open) return;
    this.#ours = true;
    const { socket } = this.res;
    // What was written must reach the wire first; a reset drops what is still queued here.
    if (this.res.headersSent) await Promise.race([this.closed, new Promise((resolve) => socket.write('', resolve))]);
    if (how === 'fin') socket.destroySoon();
    else socket.resetAndDestroy();
  }
}

/** Any answer that is whole. */
export function sendWhole(reply, status, headers, body = '') {
  if (!reply.open) return;
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body);
  reply.head(status, { ...headers, 'content-length': String(bytes.length) });
  reply.record.done = true;
  reply.finish(bytes);
}

/** A non-streaming answer under a fault that lets it begin. */
export async function sendWholeBent(reply, headers, text, tokens, strike) {
  const fault = strike.late;
  const bytes = Buffer.from(text);
  const type = fault?.contentType ?? 'text/html; charset=utf-8';
  const before = { ...headers, 'content-length': String(bytes.length) };
  const all = () => {
    reply.record.sentTokens = tokens;
    reply.record.sentChunks = 1;
  };
  switch (fault?.kind) {
    case 'reset-after-headers':
      reply.head(200, before);
      reply.res.flushHeaders();
      return reply.cut(fault.how);
    case 'reset-mid-stream':
    case 'reset-mid-frame':
      reply.head(200, before);
      await reply.write(bytes.subarray(0, bytes.length >> 1));
      return reply.cut(fault.how);
    case 'stall':
      reply.head(200, before);
      await reply.write(bytes.subarray(0, bytes.length >> 1));
      return reply.closed;
    case 'garbage':
      return sendWhole(reply, 200, headers, fault.body ?? '{"id":"chatcmpl-\u0000<html>');
    case 'wrong-content-type':
      if (fault.body === undefined) all();
      return sendWhole(reply, 200, { ...headers, 'content-type': type }, fault.body ?? text);
    case 'error-event': // the vendor's error object where an answer should be
      return sendWhole(reply, 200, headers, errorEvent(fault.event?.status, fault.event?.error).slice(6, -2));
    default:
      all();
      if (strike.firstChunkDelayMs === 0) return sendWhole(reply, 200, headers, text);
      reply.head(200, before);
      reply.res.flushHeaders();
      await reply.wait(strike.firstChunkDelayMs);
      reply.record.done = reply.open;
      return reply.finish(bytes);
  }
}

// What a fault does in place of chunk number `afterChunks`; true when the answer is over.
async function strikeNow(reply, fault, frame) {
  switch (fault.kind) {
    case 'reset-after-headers':
    case 'reset-mid-stream':
      await reply.cut(fault.how);
      return true;
    case 'reset-mid-frame':
      await reply.write(frame.text.slice(0, frame.text.length >> 1));
      await reply.cut(fault.how);
      return true;
    case 'stall':
      await reply.closed;
      return true;
    case 'error-event':
      await reply.write(errorEvent(fault.event?.status, fault.event?.error));
      reply.finish(fault.done ? DONE : undefined);
      return true;
    case 'garbage':
      await reply.write(fault.body ?? GARBAGE);
      reply.finish();
      return true;
    default: // of the ending or the headers alone
      return false;
  }
}

const STRIKES_AT_ONCE = ['reset-after-headers', 'error-event', 'garbage'];

/** A stream of frames, one write each, with whatever the strike asks for. */
export async function sendStream(reply, headers, frames, { chunkDelayMs, strike }) {
  const fault = strike.late;
  const { record } = reply;
  const strikesAt = fault && (fault.afterChunks ?? (STRIKES_AT_ONCE.includes(fault.kind) ? 0 : 3));
  if (fault?.kind === 'wrong-content-type') {
    reply.head(200, { ...headers, 'content-type': fault.contentType ?? 'text/html; charset=utf-8' });
    if (fault.body !== undefined) return reply.finish(fault.body);
  } else {
    reply.head(200, headers);
  }
  if (strike.firstChunkDelayMs > 0 || fault) reply.res.flushHeaders();
  await reply.wait(strike.firstChunkDelayMs);
  for (let i = 0; i < strike.comments; i += 1) await reply.write(COMMENT);

  for (const [i, frame] of frames.entries()) {
    if (!reply.open) return undefined;
    // A fault set for later than the last chunk strikes there.
    if (fault && (i === strikesAt || (i === frames.length - 1 && strikesAt > i)) && await strikeNow(reply, fault, frame)) return undefined;
    if (fault?.kind === 'no-finish' && frame.final) continue;
    await reply.writeInPieces(frame.text, strike.fragmentBytes, frame.tokens);
    if (!reply.open) return undefined;
    record.sentChunks += 1;
    reply.recorder.changed(record);
    if (chunkDelayMs > 0) await reply.wait(chunkDelayMs);
    else await nextTurn();
  }
  if (fault?.kind === 'no-done' || (fault?.kind === 'no-finish' && !fault.done)) return reply.finish();
  record.done = reply.open;
  return reply.finish(DONE);
}
