// Finds keys in whatever was pasted: lines, commas, `.env` files, JSON, YAML lists. Pure; nothing is sent anywhere.

export type Rejected = {
  /** Line of the text, from 1; 0 when it came out of JSON. */
  line: number;
  /** What may be shown of it: its beginning, and how long it is. */
  masked: string;
};
export type KeysInput = {
  /** In the order of the text, each once. */
  keys: string[];
  /** How many were there more than once, each repetition counted. */
  duplicates: number;
  rejected: Rejected[];
};

const MIN_LENGTH = 10;
const MAX_LENGTH = 4_096;
/** Rejected pieces beyond this are counted nowhere: the text is not a list of keys. */
const MAX_REJECTED = 1_000;
const WRAPPING = /^[\s"'`[\](){}<>]+|[\s"'`[\](){}<>]+$/g;
const ASSIGNMENT = /^(?:export\s+|set\s+|\$env:)?["']?[A-Za-z_][\w.-]*["']?\s*(?:=|:(?!\/\/))\s*(.*)$/;

/**
 * What may be seen of a key: its prefix and its end, as the Worker masks it.
 * @param key any text; a short one shows nothing of its end
 */
export function maskKey(key: string): string {
  const prefix = /^[a-z]{2,4}-/.exec(key)?.[0] ?? '';
  const end = Math.min(4, Math.floor((key.length - prefix.length) / 5));
  return `${prefix}…${end > 0 ? key.slice(-end) : ''}`;
}

const maskRejected = (piece: string) => (piece.length <= 6 ? piece : `${piece.slice(0, 4)}… (${piece.length})`);

/**
 * @param text what was pasted
 * @param prefix what a key starts with; empty takes any visible ASCII that has a digit in it
 */
export function parseKeys(text: string, prefix = 'csk-'): KeysInput {
  const seen = new Set<string>();
  const result: KeysInput = { keys: [], duplicates: 0, rejected: [] };
  const isKey = (piece: string) =>
    piece.length >= MIN_LENGTH &&
    piece.length <= MAX_LENGTH &&
    piece.startsWith(prefix) &&
    /^[\x21-\x7e]+$/.test(piece) &&
    (prefix !== '' || /\d/.test(piece));

  const take = (raw: string, line: number) => {
    const piece = raw.replace(WRAPPING, '');
    if (piece === '' || /^[-*•|]+$/.test(piece) || /^bearer$/i.test(piece)) return;
    if (!isKey(piece)) {
      if (result.rejected.length < MAX_REJECTED) result.rejected.push({ line, masked: maskRejected(piece) });
    } else if (seen.has(piece)) result.duplicates += 1;
    else {
      seen.add(piece);
      result.keys.push(piece);
    }
  };
  const split = (value: string, line: number) => {
    for (const piece of value.split(/[\s,;|]+/)) take(piece, line);
  };
  // Other strings beside a key (its label, its owner) are no failed keys.
  const takeNamed = (name: string, value: string) => {
    if (/key|token|secret/i.test(name) || value.trim().startsWith(prefix || '\0')) split(value, 0);
  };
  const walk = (value: unknown, depth = 0) => {
    if (depth > 8) return;
    if (typeof value === 'string') split(value, 0);
    else if (Array.isArray(value)) for (const item of value) walk(item, depth + 1);
    else if (value && typeof value === 'object') {
      for (const [name, item] of Object.entries(value)) {
        if (prefix !== '' && isKey(name)) take(name, 0);
        if (typeof item === 'string') takeNamed(name, item);
        else walk(item, depth + 1);
      }
    }
  };

  const whole = json(text);
  if (whole !== undefined) {
    walk(whole);
    return result;
  }
  text.split(/\r\n|\n|\r/).forEach((line, at) => {
    const bare = line.replace(/(^|\s)(#|\/\/).*$/, '$1').trim();
    const own = json(bare);
    if (own !== undefined) return walk(own);
    split(ASSIGNMENT.exec(bare)?.[1] ?? bare, at + 1);
  });
  return result;
}

/** An object, a list or a quoted text of JSON; undefined for all else (a bare number is no JSON here). */
function json(text: string): unknown {
  const trimmed = text.trim().replace(/,$/, '');
  if (!/^[[{"]/.test(trimmed)) return undefined;
  try {
    return JSON.parse(trimmed);
  } catch {
    return undefined;
  }
}
