// A TCP relay in front of Rondo: passes every byte, both ways, and notes which requests a client sent.
// So a client's own retries are counted without touching the client.
import { connect, createServer } from 'node:net';

const REQUEST_LINE = /^([A-Z]+) (\S+) HTTP\/1\.1\r\n/;
const STATUS_LINE = /^HTTP\/1\.1 (\d{3})/;

/**
 * @typedef {object} Seen one request, as it was on the wire
 * @property {string} method
 * @property {string} path with its query
 * @property {string} head the request's head
 * @property {number} at milliseconds of performance.now() when it came
 * @property {number} [status] of its answer
 * @property {number} [answeredAt] when the answer's head came
 */

/**
 * @param {string} target address without a slash at the end, http only
 * @returns {Promise<{url: string, seen: Seen[], close: () => Promise<void>}>}
 */
export async function startRelay(target) {
  const { hostname, port } = new URL(target);
  const seen = [];
  const sockets = new Set();

  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ host: hostname, port: Number(port), noDelay: true });
    // No client here pipelines, so a head always stands at the start of what is read, and an answer
    // belongs to the last request.
    let last;
    client.on('data', (bytes) => {
      const head = bytes.toString('latin1');
      const found = REQUEST_LINE.exec(head);
      if (!found) return;
      last = { method: found[1], path: found[2], head: head.split('\r\n\r\n', 1)[0], at: performance.now(), status: undefined, answeredAt: undefined };
      seen.push(last);
    });
    upstream.on('data', (bytes) => {
      const found = last && last.status === undefined && STATUS_LINE.exec(bytes.toString('latin1', 0, 32));
      if (found) Object.assign(last, { status: Number(found[1]), answeredAt: performance.now() });
    });
    client.pipe(upstream).pipe(client);
    for (const [socket, other] of [[client, upstream], [upstream, client]]) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    seen,
    close: () => new Promise((resolve) => {
      server.close(resolve);
      for (const socket of sockets) socket.destroy();
    }),
  };
}
