// The data plane as a client sees it: bytes, headers, models, and what it is told of bad input.
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { MODEL, TOKEN, errorOf, events, keys, start } from './proxy.mjs';

describe('a client of the data plane', () => {
  let running;
  let sim;
  let rondo;
  before(async () => {
    running = await start({ pool: keys(2) });
    ({ sim, rondo } = running);
  });
  after(() => running?.stop());

  for (const stream of [false, true]) {
    for (const [size, tokens] of [['short', 8], ['long', 600], ['very long', 9000]]) {
      test(`gets a ${size} ${stream ? 'streamed' : 'whole'} answer byte by byte as the upstream sent it`, async () => {
        const response = await running.ask({ stream, prompt: `Talk. [[tokens=${tokens}]]`, max_completion_tokens: 10_000 });
        const got = Buffer.from(await response.arrayBuffer());
        assert.equal(response.status, 200);
        const record = sim.records.at(-1);
        assert.ok(got.equals(Buffer.from(record.response)), 'not the same bytes');
        assert.match(response.headers.get('content-type'), stream ? /^text\/event-stream/ : /^application\/json/);
      });
    }
  }

  test('gets a stream torn into small writes unchanged', async () => {
    const fault = sim.fault({ kind: 'fragment', bytes: 5 });
    const response = await running.ask({ stream: true, prompt: 'Talk. [[tokens=60]]' });
    const got = Buffer.from(await response.arrayBuffer());
    fault.remove();
    assert.ok(got.equals(Buffer.from(sim.records.at(-1).response)));
    assert.equal(events(got.toString()).at(-1), '[DONE]');
  });

  test('gets the first chunk before the upstream finishes', async () => {
    const response = await running.ask({ stream: true, prompt: 'Slowly. [[tokens=40 delay=50]]' });
    const reader = response.body.getReader();
    const { value } = await reader.read();
    assert.match(Buffer.from(value).toString(), /^data: /);
    assert.equal(sim.records.at(-1).endedAt, undefined, 'the upstream had finished');
    while (!(await reader.read()).done);
  });

  test('is told the request, model, attempts and wait in headers, and gets no header of the upstream that is its own', async () => {
    const response = await running.ask({}, { headers: { 'x-request-id': 'my-own-id' } });
    await response.text();
    assert.equal(response.headers.get('x-request-id'), 'my-own-id');
    assert.equal(response.headers.get('x-rondo-model'), MODEL);
    assert.equal(response.headers.get('x-rondo-attempts'), '1');
    assert.match(response.headers.get('x-rondo-wait-ms'), /^\d+$/);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    assert.equal(response.headers.get('access-control-allow-origin'), '*');
    assert.equal(response.headers.get('access-control-expose-headers'), '*');
    for (const name of response.headers.keys()) assert.doesNotMatch(name, /^x-ratelimit|^strict-transport|^alt-svc|^referrer/);
    const other = await running.ask({}, { headers: { 'x-request-id': 'not sane! id' } });
    await other.text();
    assert.match(other.headers.get('x-request-id'), /^req-[0-9a-f]{32}$/);
  });

  test('sends upstream only what it may: no credential, address or cookie of the client', async () => {
    const headers = { cookie: 'a=b', 'x-forwarded-for': '1.2.3.4', 'x-cerebras-3rd-party-integration': 'mine', 'x-secret': 's' };
    await (await running.ask({}, { headers })).text();
    const { headers: sent } = sim.records.at(-1);
    assert.match(sent['user-agent'], /^Rondo\//);
    assert.equal(sent['x-cerebras-3rd-party-integration'], 'mine');
    assert.match(sent['accept-encoding'] ?? 'identity', /identity/);
    assert.doesNotMatch(JSON.stringify(sent), new RegExp(`${TOKEN}|1\\.2\\.3\\.4|a=b|x-secret`));
  });

  test('reaches chat under every way its base URL may be written', async () => {
    for (const path of ['/v1/chat/completions', '/chat/completions', '/v1/v1/chat/completions', '/', '/v1/chat/completions?api-version=1']) {
      const response = await running.ask({}, { path });
      assert.equal((await response.json()).object, 'chat.completion', path);
    }
  });

  test('may send its token in any of four headers', async () => {
    for (const header of ['x-api-key', 'api-key', 'x-goog-api-key']) {
      const response = await rondo.fetch('/v1/models', { headers: { [header]: TOKEN } });
      assert.equal(response.status, 200, header);
      await response.text();
    }
  });

  test('lists the models, finds one and is told of one that is not there', async () => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const list = await (await rondo.fetch('/v1/models', { headers })).json();
    assert.equal(list.object, 'list');
    assert.deepEqual(list.data.map((model) => [model.id, model.object, model.owned_by]), [[MODEL, 'model', 'Cerebras']]);
    assert.equal((await (await rondo.fetch(`/v1/models/${MODEL}`, { headers })).json()).id, MODEL);
    const missing = await rondo.fetch('/v1/models/nobody', { headers });
    assert.equal(missing.status, 404);
    assert.equal(errorOf(await missing.json()).code, 'model_not_found');
    assert.equal((await rondo.fetch('/v1/models')).status, 401);
  });

  test('gets its preflight answered without a token, the asked headers by name; the admin side has no CORS', async () => {
    const headers = { origin: 'https://app.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,x-stainless-os' };
    const answer = await rondo.fetch('/v1/chat/completions', { method: 'OPTIONS', headers });
    assert.equal(answer.status, 204);
    assert.equal(answer.headers.get('access-control-allow-headers'), 'authorization,x-stainless-os');
    const admin = await rondo.fetch('/api/keys', { method: 'OPTIONS', headers });
    assert.equal(admin.headers.get('access-control-allow-origin'), null);
    await admin.text();
  });

  test('gets the warming call of the SDKs answered', async () => {
    for (const path of ['/v1/tcp_warming', '/v1/v1/tcp_warming']) {
      const response = await rondo.fetch(path);
      assert.equal(response.status, 200);
      await response.text();
    }
  });

  describe('with bad input', () => {
    const send = (body, headers = {}, method = 'POST') =>
      rondo.fetch('/v1/chat/completions', { method, headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...headers }, body });
    const cases = [
      ['broken JSON', () => send('{"model":'), 400],
      ['an empty body', () => send(''), 400],
      ['a list', () => send('[]'), 400],
      ['two models', () => send('{"model":"a","model":"b","messages":[]}'), 400],
      ['a model that is a number', () => send('{"model":1,"messages":[]}'), 400],
      ['10,000 levels', () => send(`{"model":"m","messages":${'['.repeat(10_000)}${']'.repeat(10_000)}}`), 400],
      ['an unknown field', () => send(JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'x' }], colour: 'red' })), 400],
      ['17 MiB', () => send(Buffer.alloc(17 * 1024 * 1024, 32)), 413],
      ['another content type', () => send('{}', { 'content-type': 'text/plain' }), 415],
      ['a compressed body', () => send('{}', { 'content-encoding': 'gzip' }), 415],
      ['another method', () => send(undefined, {}, 'GET'), 405],
      ['no token', () => rondo.fetch('/v1/chat/completions', { method: 'POST', body: '{}' }), 401],
      ['an empty token', () => send('{}', { authorization: '' }), 401],
      ['another scheme', () => send('{}', { authorization: 'Basic abc' }), 401],
      ['a wrong token', () => send('{}', { authorization: 'Bearer rk-wrong' }), 401],
      ['a token of 10 KB', () => send('{}', { authorization: `Bearer ${'x'.repeat(10_000)}` }), 401],
      ['a token that is not ASCII', () => send('{}', { authorization: 'Bearer r\u00e9k' }), 401],
      ['two tokens that differ', () => send('{}', { 'x-api-key': 'rk-other' }), 400],
    ];
    for (const [what, call, status] of cases) {
      test(`${what} is ${status}, in the form that all clients read, and nobody is punished`, async () => {
        const response = await call();
        assert.equal(response.status, status);
        errorOf(await response.json());
        assert.ok(response.headers.get('x-request-id'));
        if (status === 405) assert.match(response.headers.get('allow'), /POST/);
        const next = await running.ask();
        assert.equal(next.status, 200);
        assert.equal(next.headers.get('x-rondo-attempts'), '1');
        await next.text();
      });
    }

    test('an Authorization of 64 KB is refused and the next request is served', async () => {
      const status = await new Promise((resolve) => {
        const url = new URL('/v1/chat/completions', rondo.url);
        const call = httpRequest(url, { method: 'POST', headers: { authorization: `Bearer ${'x'.repeat(65_536)}` } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        call.on('error', () => resolve('closed'));
        call.end('{}');
      });
      assert.equal(status, 401);
      assert.equal((await running.ask()).status, 200);
    });

    test('a body of 100 MB without a stated length is 413 while it is still being sent', async () => {
      const piece = Buffer.alloc(1024 * 1024, 32);
      const result = await new Promise((resolve) => {
        const url = new URL('/v1/chat/completions', rondo.url);
        const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', 'transfer-encoding': 'chunked' };
        let sent = 0;
        const call = httpRequest(url, { method: 'POST', headers }, (response) => {
          resolve({ status: response.statusCode, sent });
          response.resume();
          call.destroy();
        });
        call.on('error', () => resolve({ status: 'closed', sent }));
        const more = () => {
          while (sent < 100 && !call.destroyed) {
            sent += 1;
            if (!call.write(piece)) return call.once('drain', more);
          }
          call.end();
        };
        more();
      });
      assert.equal(result.status, 413);
      assert.ok(result.sent < 100, `all of it had been sent`);
    });

    test('eight bodies of nearly 16 MiB at once pass', async () => {
      const content = 'word '.repeat((15.9 * 1024 * 1024) / 5);
      const answers = await Promise.all(Array.from({ length: 8 }, () => running.ask({ prompt: content })));
      for (const answer of answers) {
        assert.ok([200, 400].includes(answer.status), `${answer.status}`);
        const body = await answer.json();
        // Too long for the model perhaps, but then the upstream says so: it got there.
        if (answer.status === 400) assert.match(errorOf(body).message, /length/i);
      }
    });
  });
});
