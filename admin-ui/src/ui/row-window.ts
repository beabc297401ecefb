// Which rows of a long table are near the window. The others are left out of the document, and gaps hold their place: 200
// rows of many cells take a browser longer to lay out than a scroll or a keystroke may wait.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

/** Shorter tables are shown whole. */
const WHOLE = 40;
/** Rows beyond each edge of the window. */
const BEYOND = 4;
/** The rows shown move on in steps of so many. */
const STEP = 4;
/** Rows that one frame brings in: a long jump is filled in a few frames, what is in the window first. */
const AT_ONCE = 6;
/** More are never shown, however high the window is. */
const MOST = 80;
/** Until a row was measured. */
const GUESS_PX = 48;

type Range = { from: number; to: number };

/** A step from the rows shown to the rows wanted; `seen` is the first one in the window. */
function towards(shown: Range, wanted: Range, seen: number): Range {
  let from = Math.max(shown.from, wanted.from);
  let to = Math.min(shown.to, wanted.to);
  if (from >= to) from = to = Math.min(Math.max(seen, wanted.from), wanted.to);
  const above = from - wanted.from;
  const below = wanted.to - to;
  const up = Math.min(above, from > seen ? AT_ONCE : Math.max(0, AT_ONCE - below));
  return { from: from - up, to: to + Math.min(below, AT_ONCE - up) };
}

/** Give `body` to the `<tbody>`; `above` and `below` are the heights of the gaps in pixels. */
export function useRowWindow(keys: string[]) {
  const count = keys.length;
  const long = count > WHOLE;
  const body = useRef<HTMLTableSectionElement>(null);
  const [height, setHeight] = useState(0);
  const row = height || GUESS_PX;
  const size = Math.ceil(innerHeight / row);
  const [, redraw] = useState({});
  const shown = useRef<Range>({ from: 0, to: size });
  /** Keys of the rows shown last. */
  const drawn = useRef<ReadonlySet<string>>(new Set());
  /** The first row in the window; negative while there is something above the table. */
  const seen = useRef(0);
  const lists = useRef(0);

  const first = Math.max(0, Math.min(shown.current.from, count - (shown.current.to - shown.current.from)));
  let range = long ? { from: first, to: Math.min(count, first + shown.current.to - shown.current.from) } : { from: 0, to: count };
  if (long && keys.slice(range.from, range.to).filter((key) => !drawn.current.has(key)).length > AT_ONCE) {
    // Another list. What is in the window is there at once, the rows beyond its edges come in the next frames.
    const from = Math.max(0, Math.min(seen.current, count - size));
    range = { from, to: Math.min(count, Math.max(AT_ONCE, seen.current + size + 1)) };
    lists.current += 1;
  }
  shown.current = range;
  drawn.current = new Set(keys.slice(range.from, range.to));

  useLayoutEffect(() => {
    const rows = body.current?.querySelectorAll<HTMLElement>(':scope > tr:not(.gap)');
    const [one, last] = [rows?.[0], rows?.[rows.length - 1]];
    // Measured once: gaps that change while one scrolls would move what is read.
    if (!long || height > 0 || !rows || !one || !last || rows.length < 2) return;
    setHeight((last.getBoundingClientRect().top - one.getBoundingClientRect().top) / (rows.length - 1));
  }, [long, height, count]);
  useEffect(() => {
    if (!long) return;
    let frame = 0;
    const most = Math.min(MOST, size + 2 * BEYOND + STEP);
    const look = () => {
      frame = 0;
      seen.current = Math.floor(-(body.current?.getBoundingClientRect().top ?? 0) / row);
      const from = Math.max(0, Math.min(Math.floor((seen.current - BEYOND) / STEP) * STEP, count - most));
      const to = Math.min(count, from + most);
      if (shown.current.from === from && shown.current.to === to) return;
      shown.current = towards(shown.current, { from, to }, seen.current);
      redraw({});
      soon();
    };
    const soon = () => {
      frame ||= requestAnimationFrame(look);
    };
    // Cards and rows differ in height.
    const resized = () => {
      setHeight(0);
      soon();
    };
    soon();
    addEventListener('scroll', soon, { passive: true });
    addEventListener('resize', resized);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener('scroll', soon);
      removeEventListener('resize', resized);
    };
  }, [long, row, size, count, lists.current]);
  return { body, ...range, above: range.from * row, below: (count - range.to) * row };
}
