// What is deployed leaves function names out: they are a tenth of its size. The Worker's own log lines
// say what failed; for a profile or a stack trace with names there is the build `fast`.

/**
 * A module without its custom section "name".
 * @param {Uint8Array} bytes a wasm module
 * @returns {Uint8Array}
 */
export function withoutNames(bytes) {
  const kept = [bytes.subarray(0, 8)];
  for (let at = 8; at < bytes.length; ) {
    const size = number(bytes, at + 1);
    const end = size.next + size.value;
    if (!(bytes[at] === 0 && customName(bytes, size.next) === 'name')) kept.push(bytes.subarray(at, end));
    at = end;
  }
  return Buffer.concat(kept);
}

/**
 * The entry module with each of our own JavaScript modules named once among the imports of the wasm: wasm-bindgen names
 * one for every function that it imports without a wrapper, and bundlers complain of the repetition.
 * @param {string} text of `index.js`
 */
export const withoutRepeats = (text) => text.replace(/("\.\/snippets\/[^"]+":\s*[\w$]+)(?:,\s*\1)+/g, '$1');

function customName(bytes, at) {
  const length = number(bytes, at);
  return Buffer.from(bytes.subarray(length.next, length.next + length.value)).toString();
}

/** An unsigned LEB128 number and where it ends. */
function number(bytes, at) {
  let value = 0;
  for (let factor = 1; ; factor *= 128) {
    const byte = bytes[at++];
    value += (byte % 128) * factor;
    if (byte < 128) return { value, next: at };
  }
}
