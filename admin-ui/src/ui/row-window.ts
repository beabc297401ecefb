// Which rows of a long table are near the window. The others are left out of the document, and gaps hold their place: 200
// rows of many cells take a browser longer to lay out than a scroll or a keystroke may wait.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { holdColumns } from './held-columns.ts';

/** Shorter tables are shown whole. */
const WHOLE = 40;
/** Rows beyond each edge of the window. */
const BEYOND = 4;
/** The rows shown move on in steps of so many. */
const STEP = 4;
/** Rows that one frame brings in: a long jump is filled in a few frames, what is in the window first. */
const AT_ONCE = 3;
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

const ownRows = (body: Element | null) => [...(body?.children ?? [])].filter((row): row is HTMLElement => !row.classList.contains('gap'));
const topOf = (row: Element) => row.getBoundingClientRect().top;

/**
 * Give `body` to the `<tbody>`; `above` and `below` are the heights of the gaps in pixels.
 * @param rows what `keys` are the keys of
 * @param heads what stands at the heads of the columns
 */
export function useRowWindow(keys: string[], rows: readonly object[], heads: string) {
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
  const columns = useRef<ReturnType<typeof holdColumns>>(undefined);
  /** Heights of rows that were laid out: gaps as high as the rows they stand for move nothing that is read. */
  const heights = useRef(new Map<string, number>());
  /** What was looked at since it was rendered. */
  const known = useRef(new WeakSet<object>());
  const heightOf = (at: number) => heights.current.get(keys[at] ?? '') ?? row;
  const high = (from: number, to: number) => {
    let all = 0;
    for (let at = from; at < to; at += 1) all += heightOf(at);
    return all;
  };
  const firstAt = (hidden: number) => {
    if (hidden < 0) return Math.floor(hidden / row);
    let at = 0;
    for (let left = hidden; at < count && left >= heightOf(at); at += 1) left -= heightOf(at);
    return at;
  };
  /** Looks at rows that are new, in the frame after they were laid out. True when it has to look again. */
  const measure = () => {
    const own = ownRows(body.current);
    const isFresh = (_: unknown, n: number) => !known.current.has(rows[shown.current.from + n] ?? keys);
    if (columns.current?.settle(own.filter(isFresh))) {
      known.current = new WeakSet();
      return true;
    }
    own.forEach((one, n) => {
      if (!isFresh(one, n)) return;
      const at = shown.current.from + n;
      known.current.add(rows[at] ?? keys);
      const next = one.nextElementSibling;
      heights.current.set(keys[at] ?? '', next ? topOf(next) - topOf(one) : one.offsetHeight);
    });
    return false;
  };

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
    const own = ownRows(body.current);
    const [one, last] = [own[0], own.at(-1)];
    // Measured once: gaps that change while one scrolls would move what is read.
    if (!long || height > 0 || !one || !last || one === last) return;
    setHeight((topOf(last) - topOf(one)) / (own.length - 1));
  }, [long, height, count]);
  useLayoutEffect(() => {
    const table = body.current?.closest('table');
    if (!long || !table) return;
    const own = holdColumns(table);
    columns.current = own;
    return () => {
      own.release();
      columns.current = undefined;
    };
  }, [long, heads]);
  useLayoutEffect(() => {
    if (!long) return;
    let frame = 0;
    const most = Math.min(MOST, size + 2 * BEYOND + STEP);
    const look = () => {
      frame = 0;
      if (measure()) soon();
      seen.current = firstAt(-(body.current ? topOf(body.current) : 0));
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
      heights.current.clear();
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
  }, [long, row, size, rows, heads, lists.current]);
  return { body, ...range, above: high(0, range.from), below: high(range.to, count) };
}
