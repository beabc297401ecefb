// Which rows of a long table are near the window. The others are left out of the document, and gaps hold their place: 200
// rows of many cells take a browser longer to lay out than a scroll or a keystroke may wait.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

/** Shorter tables are shown whole. */
const WHOLE = 40;
/** Rows beyond each edge of the window. */
const BEYOND = 6;
/** The rows shown move on in steps of so many. */
const STEP = 5;
/** More are never shown, however high the window is. */
const MOST = 80;
/** Until a row was measured. */
const GUESS_PX = 48;

/** Give `body` to the `<tbody>`; `above` and `below` are the heights of the gaps in pixels. */
export function useRowWindow(count: number) {
  const body = useRef<HTMLTableSectionElement>(null);
  const long = count > WHOLE;
  const [height, setHeight] = useState(0);
  const [from, setFrom] = useState(0);
  const row = height || GUESS_PX;
  const shown = Math.min(MOST, Math.ceil(innerHeight / row) + 2 * BEYOND + STEP);
  const first = long ? Math.max(0, Math.min(from, count - shown)) : 0;
  const end = long ? Math.min(count, first + shown) : count;

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
    const look = () => {
      frame = 0;
      const top = body.current?.getBoundingClientRect().top ?? 0;
      setFrom(Math.max(0, Math.floor((-top / row - BEYOND) / STEP) * STEP));
    };
    const soon = () => {
      frame ||= requestAnimationFrame(look);
    };
    // Cards and rows differ in height.
    const resized = () => {
      setHeight(0);
      soon();
    };
    look();
    addEventListener('scroll', soon, { passive: true });
    addEventListener('resize', resized);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener('scroll', soon);
      removeEventListener('resize', resized);
    };
  }, [long, row]);
  return { body, from: first, to: end, above: first * row, below: (count - end) * row };
}
