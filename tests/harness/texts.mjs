// Texts that have broken pages before. What takes one must show it as it was typed, run nothing and stay whole.

/** At most 100 characters each, without white space at an end or control characters: what a name may hold. */
export const HOSTILE = {
  markup: '<img src=x onerror="globalThis.broken=1"><script>globalThis.broken=1</script>',
  'an attribute’s end': `"'><svg onload=globalThis.broken=1>`,
  'signs of patterns': '100% _ * ? [a-z] \\ %00 %s %2e%2e/',
  placeholders: '${globalThis.broken=1} {{broken}} {n} {{n}} #{x} $1 $&',
  sql: `'; DROP TABLE keys; -- "`,
  emoji: '👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 𝕊 é',
  'right to left': 'مفتاح الحساب 123 (שלום)',
  'turned around': 'a\u202egnp.exe\u202c \u2067x\u2069 \u2069\u202eb',
  'a formula': '=cmd|"/C calc"!A1',
  'a formula by other signs': '+1-1@SUM(1)',
  'a name of JavaScript': '__proto__',
};

/** Held by no field. */
export const CONTROLS = { NUL: 'a\0b', 'a line’s end': 'a\nb', escape: 'a\u001b[31mb', 'the count’s place': 'a\u001ab' };

/** 10 KB. */
export const LONG = 'long '.repeat(2_048).trim();
