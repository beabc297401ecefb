// What the page takes for keys in pasted text.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fromPage } from './bundle.mjs';

const { maskKey, parseKeys } = await fromPage('keys-input.ts');
const A = 'csk-aaaaaaaaaaaaaaaaaaaa0001';
const B = 'csk-bbbbbbbbbbbbbbbbbbbb0002';
const C = 'csk-cccccccccccccccccccc0003';

describe('keys out of pasted text', () => {
  for (const [name, text] of [
    ['lines', `${A}\n${B}\r\n${C}\n`],
    ['commas, semicolons and spaces', `${A}, ${B};${C}`],
    ['lines of a .env file', `# mine\nexport CEREBRAS_API_KEYS="${A},${B}"\nCEREBRAS_API_KEYS_2='${C}' # more`],
    ['a JSON array', JSON.stringify([A, B, C])],
    ['a JSON object', JSON.stringify({ keys: [A, B], other: { api_key: C }, owner: 'somebody', n: 3 })],
    ['JSON objects with names', JSON.stringify([{ label: 'one', key: A }, { label: 'two', key: B }, { label: 'three', key: C }])],
    ['a line of JSON each', `{"key":"${A}"}\n{"key":"${B}"}\n{"key":"${C}"}`],
    ['lines of JSON without their frame', `"${A}",\n"${B}",\n"${C}"`],
    ['a YAML list', `keys:\n  - ${A}\n  - ${B}\n  - "${C}"`],
    ['headers', `Authorization: Bearer ${A}\nAuthorization: Bearer ${B}\nx-api-key: ${C}`],
  ]) {
    test(name, () => assert.deepEqual(parseKeys(text), { keys: [A, B, C], duplicates: 0, rejected: [] }));
  }

  test('each key once, repetitions counted', () => {
    assert.deepEqual(parseKeys(`${A}\n${A},${B}\n${A}`), { keys: [A, B], duplicates: 2, rejected: [] });
  });

  test('what is no key is named with its line, and not in full', () => {
    const { keys, rejected } = parseKeys(`${A}\nhello-this-is-text\nsk-1\ncsk-short`);
    assert.deepEqual(keys, [A]);
    assert.deepEqual(rejected, [
      { line: 2, masked: 'hell… (18)' },
      { line: 3, masked: 'sk-1' },
      { line: 4, masked: 'csk-… (9)' },
    ]);
  });

  test('another provider’s keys, when no prefix is asked for', () => {
    assert.deepEqual(parseKeys('sk-proj-0123456789\nnodigitshere', '').keys, ['sk-proj-0123456789']);
  });

  test('nothing out of nothing, and an end for deep or endless input', () => {
    assert.deepEqual(parseKeys(' \n, ;\n'), { keys: [], duplicates: 0, rejected: [] });
    assert.equal(parseKeys('['.repeat(50_000)).keys.length, 0);
    assert.equal(parseKeys('no '.repeat(50_000)).rejected.length, 1_000);
  });

  test('a mask shows a key’s prefix and end, of a short text no end', () => {
    assert.equal(maskKey(A), 'csk-…0001');
    assert.equal(maskKey('abc'), '…');
  });
});
