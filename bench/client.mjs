// One keep-alive connection that says when the first byte of an answer's body came. Plain sockets: a client
// library's own work would be most of what is measured.
import { connect } from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');
/** An answer that takes longer is an error, not a figure. */
const TIMEOUT_MS = 30_000;

/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {string} head status line and headers
 * @property {Buffer} body without the transfer coding
 * @property {number} firstByteMs from writing the request to the first byte of the body
 * @property {number} totalMs to its last byte
 */

/** The bytes of a POST of `body` to `url`. */
export function requestBytes(url, body, token) {
  const { host, pathname } = new URL(url);
  const head = [
    `POST ${pathname} HTTP/1.1`,
    `Host: ${host}`,
    'Content-Type: application/json',
    `Authorization: Bearer ${token}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
  ].join('\r\n');
  return Buffer.from(`${head}\r\n\r\n${body}`);
}

/** A connection for one request after the other. */
export class Connection {
  /** @param {string} url @returns {Promise<Connection>} */
  static async open(url) {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new Connection(socket);
  }

  constructor(socket) {
    this.socket = socket;
    this.waiting = undefined;
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`no byte came for ${TIMEOUT_MS} ms`)));
    socket.on('data', (data) => this.waiting?.take(data));
    socket.on('error', (error) => this.fail(error));
    socket.on('close', () => this.fail(new Error('the connection was closed')));
  }

  fail(error) {
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.reject(error);
  }

  /** Sends a request and takes its whole answer. @param {Buffer} bytes @returns {Promise<Answer>} */
  send(bytes) {
    return new Promise((resolve, reject) => {
      const reader = new AnswerReader((answer) => {
        this.waiting = undefined;
        resolve(answer);
      });
      this.waiting = { take: (data) => reader.take(data), reject };
      reader.begun = performance.now();
      this.socket.write(bytes);
    });
  }

  close() {
    this.waiting = undefined;
    this.socket.destroy();
  }
}

class AnswerReader {
  constructor(onEnd) {
    this.onEnd = onEnd;
    this.begun = 0;
    this.buffer = Buffer.alloc(0);
    this.head = undefined;
    this.pieces = [];
  }

  take(data) {
    this.buffer = this.buffer.length === 0 ? data : Buffer.concat([this.buffer, data]);
    if (this.head === undefined) {
      const end = this.buffer.indexOf(HEAD_END);
      if (end < 0) return;
      this.head = this.buffer.toString('latin1', 0, end);
      this.buffer = this.buffer.subarray(end + HEAD_END.length);
      this.chunked = /\r\ntransfer-encoding: *chunked/i.test(this.head);
      this.left = Number(/\r\ncontent-length: *(\d+)/i.exec(this.head)?.[1] ?? 0);
    }
    if (this.first === undefined && this.buffer.length > 0) this.first = performance.now();
    if (this.chunked ? this.takeChunks() : this.takeLength()) this.end();
  }

  takeLength() {
    if (this.buffer.length < this.left) return false;
    this.pieces.push(this.buffer);
    return true;
  }

  takeChunks() {
    for (;;) {
      const line = this.buffer.indexOf(LINE_END);
      if (line < 0) return false;
      const size = parseInt(this.buffer.toString('latin1', 0, line), 16);
      const end = line + 2 + size + 2;
      if (this.buffer.length < end) return false;
      if (size === 0) return true;
      this.pieces.push(this.buffer.subarray(line + 2, line + 2 + size));
      this.buffer = this.buffer.subarray(end);
    }
  }

  end() {
    const now = performance.now();
    this.onEnd({
      status: Number(this.head.slice(9, 12)),
      head: this.head,
      body: Buffer.concat(this.pieces),
      firstByteMs: (this.first ?? now) - this.begun,
      totalMs: now - this.begun,
    });
  }
}
