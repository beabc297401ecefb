// The platform's own queueMicrotask crosses into C++ and wraps its function each time; js-sys calls it for
// every wake of every future, which was a tenth of a request's CPU. A resolved promise does the same inside V8.
const then = Promise.prototype.then;
globalThis.queueMicrotask = (task) => {
  then.call(Promise.resolve(), task);
};
export const ready = () => {};

// Below: what the data plane asks of the platform, each in one crossing. `tell(number, value, whether it went
// well)` is the one way back into wasm for all that takes time; `number` says which future waits for it.
const nothing = () => {};

/** Tells of a promise's end. */
export const follow = (promise, number, tell) => {
  promise.then((value) => tell(number, value, true), (error) => tell(number, error, false));
};

export const timer = (ms, number, tell) => setTimeout(tell, ms, number, undefined, true);
export const clear = (handle) => clearTimeout(handle);

/** A request's method and address, a line each. */
export const requestLine = (request) => `${request.method}\n${request.url}`;

/** These headers of a request or an answer, a line each; one that is missing is U+0000, which no header's value holds. */
export const picked = ({ headers }, names) => {
  let text = '';
  for (let at = 0; at < names.length; at += 1) {
    if (at > 0) text += '\n';
    text += headers.get(names[at]) ?? '\0';
  }
  return text;
};

/** The head of an answer: its status and these headers. */
export const head = (response, names) => `${response.status}\n${picked(response, names)}`;

/** Lines of name and value, in turn. */
const headersOf = (headers, text) => {
  if (text === '') return headers;
  const lines = text.split('\n');
  for (let at = 0; at + 1 < lines.length; at += 2) headers[lines[at]] = lines[at + 1];
  return headers;
};

/** Reads the body of a request or an answer whole. */
export const bytes = (holder, number, tell) => {
  holder.arrayBuffer().then(
    (buffer) => tell(number, new Uint8Array(buffer), true),
    (error) => tell(number, error, false),
  );
};

/** Everything that is left of a stream, of which nothing was read. */
export const rest = (source, number, tell) => bytes(new Response(source), number, tell);

/** Sends without following redirects; `key` is the value of the header `keyHeader`. Gives the exchange, and tells when the
 * answer's head is here, see [`head`] for `names`. Of a success whose length, the first of them, is at most `most` bytes
 * it reads the body as well before it tells, so that wasm is entered once: `bytes`, or null when that broke off. */
export const send = (url, keyHeader, key, headers, body, names, most, number, tell) => {
  const controller = new AbortController();
  const all = {
    [keyHeader]: key,
    'content-type': 'application/json',
    'accept-encoding': 'identity',
  };
  const init = {
    method: 'POST',
    redirect: 'manual',
    headers: headersOf(all, headers),
    body,
    signal: controller.signal,
  };
  const exchange = { controller, response: undefined, head: '', at: 0, bytes: undefined };
  const end = (bytes) => {
    exchange.bytes = bytes;
    tell(number, undefined, true);
  };
  const answered = (response) => {
    exchange.response = response;
    exchange.at = Date.now();
    exchange.head = head(response, names);
    // No length is U+0000, and no number.
    const isShort = most > 0 && Number(exchange.head.split('\n', 2)[1]) <= most;
    if (!isShort || !response.ok) end(undefined);
    else response.arrayBuffer().then((buffer) => end(new Uint8Array(buffer)), () => end(null));
  };
  fetch(url, init).then(answered, (error) => tell(number, error, false));
  return exchange;
};

/** An answer: `common` are headers that many have, `own` lines of its own. */
export const respond = (status, body, common, own) =>
  new Response(body, { status, headers: headersOf({ ...common }, own) });

/** The next chunk of a stream; nothing at its end. */
export const read = (reader, number, tell) => {
  reader.read().then(({ value }) => tell(number, value, true), (error) => tell(number, error, false));
};

/** Queues a chunk without waiting for it: a client that is gone is noticed by whatever follows. */
export const queue = (sink, chunk) => {
  const writer = sink.getWriter();
  writer.write(chunk).catch(nothing);
  writer.releaseLock();
};

/** Keeps a promise that nobody waits for from being reported as an unhandled rejection. */
export const ignore = (promise) => {
  promise.catch(nothing);
};

/** A pipe to the client that begins with `head` and goes on with the stream: what the client reads, where to
 * write the end, the promise of the pump's end and, if `twice`, a second branch of the stream. */
export const pump = (source, head, twice) => {
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  for (const chunk of head) writer.write(chunk).catch(nothing);
  writer.releaseLock();
  const [passed, second] = twice ? source.tee() : [source];
  return [readable, writable, passed.pipeTo(writable, { preventAbort: true, preventClose: true }), second];
};
