// Errors of the other dialects, on the wire: each in its own form.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { askIn, dialects } from './clients/dialects/forms.mjs';
import { MODEL, TOKEN, ask, errorOf, keys, start } from './proxy.mjs';

const names = Object.keys(dialects);
const LATER_S = 3600;

/** The message of an error, whose form and status are held against the dialect. */
async function refused(name, response, status) {
  const text = await response.text();
  assert.equal(response.status, status, text);
  assert.match(response.headers.get('content-type'), /^application\/json/);
  assert.ok(response.headers.get('x-request-id'));
  return dialects[name].messageOf(JSON.parse(text), status);
}

describe('errors are in the form of the dialect:', async () => {
  const running = await start({ pool: keys(2), settings: { model_policy: 'passthrough' } });
  after(() => running.stop());
  const { sim, rondo } = running;
  const send = (name, model, init) => askIn(name, rondo.url, TOKEN, model, 'Hello', init);
  const JSON_TYPE = { 'content-type': 'application/json' };

  for (const name of names) {
    test(`${name}: 400 for a body of another form, and for one that is no JSON`, async () => {
      const before = sim.records.length;
      assert.ok(await refused(name, await send(name, MODEL, { more: dialects[name].wrong }), 400));
      assert.ok(await refused(name, await send(name, MODEL, { body: '{"broken' }), 400));
      assert.ok(await refused(name, await send(name, MODEL, { body: '' }), 400));
      assert.equal(sim.records.length, before, 'nothing went upstream');
    });

    test(`${name}: 401 for a wrong token and for none, whatever the body is`, async () => {
      for (const headers of [{ authorization: 'Bearer rk-not-a-token-of-this-pool' }, { authorization: '' }]) {
        assert.match(await refused(name, await send(name, MODEL, { headers, body: '{"broken' }), 401), /token/i);
      }
    });

    test(`${name}: 404 for a model that is not there`, async () => {
      assert.match(await refused(name, await send(name, 'no-such-model'), 404), /no-such-model/);
    });

    test(`${name}: 405 for another method, with the right ones`, async () => {
      const response = await fetch(rondo.url + dialects[name].path(MODEL), { method: 'DELETE', headers: { authorization: `Bearer ${TOKEN}` } });
      assert.match(response.headers.get('allow'), /POST/);
      await refused(name, response, 405);
    });

    test(`${name}: 413 for a body beyond the bound`, async () => {
      const body = JSON.stringify(dialects[name].body(MODEL, 'x'.repeat(17 * 1024 * 1024)));
      assert.match(await refused(name, await send(name, MODEL, { body }), 413), /16777216|16 MiB/);
    });

    test(`${name}: 415 for another type and for a compressed body`, async () => {
      for (const headers of [{ 'content-type': 'text/plain' }, { ...JSON_TYPE, 'content-encoding': 'gzip' }]) {
        await refused(name, await send(name, MODEL, { headers }), 415);
      }
    });

    for (const stream of [false, true]) {
      test(`${name}: 429 with the true time${stream ? ', streamed' : ''}`, async () => {
        const model = `spent-${name}-${stream}`;
        sim.addModel(model);
        sim.fault({ kind: 'status', error: 'request_quota_exceeded', model, retryAfter: LATER_S });
        const response = await send(name, model, { more: { stream } });
        const wait = Number(response.headers.get('retry-after'));
        assert.ok(wait > LATER_S - 60 && wait <= LATER_S, `Retry-After is ${wait}`);
        assert.ok(Math.abs(Number(response.headers.get('retry-after-ms')) / 1000 - wait) <= 1);
        const text = await response.clone().text();
        assert.match(await refused(name, response, 429), /quota/);
        if (name === 'gemini') assert.match(text, /"retryDelay":"3[56]\d\d\.\d{3}s"/);
      });
    }
  }

  test('a prompt that is too long is told in the words that each client looks for', async () => {
    const looked = {
      completions: /"code":"context_length_exceeded"/, responses: /"code":"context_length_exceeded"/,
      messages: /"message":"prompt is too long: \d+ tokens > 131072 maximum/, gemini: /limit is 131072/,
    };
    for (const name of names) {
      for (const stream of [false, true]) {
        const response = await askIn(name, rondo.url, TOKEN, MODEL, 'word '.repeat(200_000), { more: { stream } });
        const text = await response.clone().text();
        await refused(name, response, 400);
        assert.match(text, looked[name]);
      }
    }
  });

  test('the limit of a token is told in the dialect’s form, with the time', async () => {
    for (const name of names) {
      const { token } = await running.admin('POST', '/api/tokens', { name, requests_per_minute: 1 });
      const send = () => askIn(name, rondo.url, token, MODEL, '[[tokens=5 reasoning=0]]', { headers: { 'x-rondo-deadline-ms': '300' } });
      const first = await send();
      assert.equal(first.status, 200, await first.text());
      const second = await send();
      assert.ok(Number(second.headers.get('retry-after')) > 0);
      await refused(name, second, 429);
    }
  });

  test('what is not offered, and what is nothing, is a 404 that says what there is', async () => {
    for (const path of ['/v1/embeddings', '/v1/images/generations', '/v1/audio/speech', '/v1/responses/resp_1', '/v1/nothing']) {
      const response = await ask(rondo.url, {}, { path });
      assert.equal(response.status, 404, path);
      assert.match(errorOf(await response.json()).message, path === '/v1/nothing' ? /./ : /chat only/);
    }
    assert.match(await refused('messages', await ask(rondo.url, {}, { path: '/v1/messages/batches' }), 404), /chat only/);
    const gemini = await fetch(`${rondo.url}/v1beta/models/${MODEL}:embedContent`, { method: 'POST', headers: { ...JSON_TYPE, 'x-goog-api-key': TOKEN }, body: '{}' });
    assert.match(await refused('gemini', gemini, 404), /chat only/);
  });
});

for (const name of names) {
  test(`${name}: the 503 of a Rondo that lacks a part is in its form, and names the part`, async (t) => {
    const running = await start({ worker: { bindings: { ENCRYPTION_KEY: undefined } } }).catch((error) => error);
    t.after(() => running.stop?.());
    const response = await askIn(name, running.rondo.url, TOKEN, MODEL, 'Hello');
    assert.ok(Number(response.headers.get('retry-after')) > 0);
    assert.match(await refused(name, response, 503), /ENCRYPTION_KEY/);
  });
}
