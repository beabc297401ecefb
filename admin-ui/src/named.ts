// Names that an operator typed, within a sentence of the page.

/** Letters written from right to left, and characters that turn the direction of what comes after them. */
const TURNING = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]|[\ud802\ud803\ud83a\ud83b][\udc00-\udfff]/;
const CONTROLS = /[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g;
const CLIP = 60;

/**
 * A name for messages, titles and labels read out: in its own direction, so that the sentence around it keeps its own,
 * and cut when it is long. Where a name stands by itself it is shown as it was typed (`Typed`).
 */
export function named(text: string): string {
  const turning = TURNING.test(text);
  const letters = [...(turning ? text.replace(CONTROLS, '') : text)];
  const short = letters.length > CLIP ? `${letters.slice(0, CLIP).join('')}…` : letters.join('');
  return turning ? `\u2068${short}\u2069` : short;
}
