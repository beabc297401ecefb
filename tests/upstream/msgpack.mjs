// MessagePack bodies, which the service takes beside JSON. Decoding only.
const DEEPEST = 128;

/** @throws {RangeError} on bytes that are not one whole MessagePack value */
export function decodeMsgpack(bytes) {
  let at = 0;
  const take = (n) => {
    if (at + n > bytes.length) throw new RangeError('MessagePack ends early');
    at += n;
    return at - n;
  };
  const text = (n) => {
    const from = take(n);
    return bytes.toString('utf8', from, from + n);
  };
  const items = (n, depth) => Array.from({ length: Math.min(n, bytes.length) }, () => value(depth + 1));
  const map = (n, depth) => {
    const out = {};
    for (let i = 0; i < n; i += 1) {
      const name = String(value(depth + 1));
      Object.defineProperty(out, name, { value: value(depth + 1), enumerable: true, configurable: true, writable: true });
    }
    return out;
  };
  function value(depth) {
    if (depth > DEEPEST) throw new RangeError('MessagePack is nested too deep');
    const tag = bytes[take(1)];
    if (tag <= 0x7f) return tag;
    if (tag <= 0x8f) return map(tag & 0x0f, depth);
    if (tag <= 0x9f) return items(tag & 0x0f, depth);
    if (tag <= 0xbf) return text(tag & 0x1f);
    if (tag >= 0xe0) return tag - 256;
    switch (tag) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xca: return bytes.readFloatBE(take(4));
      case 0xcb: return bytes.readDoubleBE(take(8));
      case 0xcc: return bytes.readUInt8(take(1));
      case 0xcd: return bytes.readUInt16BE(take(2));
      case 0xce: return bytes.readUInt32BE(take(4));
      case 0xcf: return Number(bytes.readBigUInt64BE(take(8)));
      case 0xd0: return bytes.readInt8(take(1));
      case 0xd1: return bytes.readInt16BE(take(2));
      case 0xd2: return bytes.readInt32BE(take(4));
      case 0xd3: return Number(bytes.readBigInt64BE(take(8)));
      case 0xd9: return text(bytes.readUInt8(take(1)));
      case 0xda: return text(bytes.readUInt16BE(take(2)));
      case 0xdb: return text(bytes.readUInt32BE(take(4)));
      case 0xdc: return items(bytes.readUInt16BE(take(2)), depth);
      case 0xdd: return items(bytes.readUInt32BE(take(4)), depth);
      case 0xde: return map(bytes.readUInt16BE(take(2)), depth);
      case 0xdf: return map(bytes.readUInt32BE(take(4)), depth);
      default: throw new RangeError(`MessagePack type 0x${tag.toString(16)} is not used here`);
    }
  }
  const out = value(0);
  if (at !== bytes.length) throw new RangeError('bytes after the MessagePack value');
  return out;
}
