// Moving a row of a list by its grip: with a pointer of any kind, or with the arrow keys.
import { useRef, useState } from 'preact/hooks';

type Options = {
  count: number;
  move: (from: number, to: number) => void;
  /** Puts the order of before the drag back. */
  restore: () => void;
  onStart: () => void;
};

/** What a grip listens to. */
export type Grip = {
  onPointerDown: (event: PointerEvent) => void;
  onPointerMove: (event: PointerEvent) => void;
  onPointerUp: () => void;
  onPointerCancel: () => void;
  onKeyDown: (event: KeyboardEvent) => void;
};

/** @returns the list's ref, the row under way, and what each grip listens to */
export function useSort({ count, move, restore, onStart }: Options) {
  const list = useRef<HTMLOListElement>(null);
  const [dragged, setDragged] = useState<number | null>(null);
  const at = useRef<number | null>(null);
  const end = () => {
    at.current = null;
    setDragged(null);
  };
  /** Where the pointer is, among the rows. */
  const rowAt = (y: number) => {
    const middles = [...(list.current?.children ?? [])].map((row) => {
      const { top, height } = row.getBoundingClientRect();
      return top + height / 2;
    });
    const own = at.current ?? 0;
    return middles.filter((middle, row) => row !== own && middle < y).length;
  };
  const grip = (index: number): Grip => ({
    onPointerDown(event: PointerEvent) {
      if (event.button !== 0) return;
      (event.currentTarget as Element).setPointerCapture(event.pointerId);
      at.current = index;
      setDragged(index);
      onStart();
    },
    onPointerMove(event: PointerEvent) {
      if (at.current === null) return;
      const to = rowAt(event.clientY);
      if (to === at.current) return;
      move(at.current, to);
      at.current = to;
      setDragged(to);
    },
    onPointerUp: end,
    onPointerCancel() {
      if (at.current !== null) restore();
      end();
    },
    onKeyDown(event: KeyboardEvent) {
      if (event.key === 'Escape' && at.current !== null) {
        event.preventDefault();
        restore();
        return end();
      }
      const to = { ArrowUp: index - 1, ArrowDown: index + 1, Home: 0, End: count - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      if (to >= 0 && to < count && to !== index) move(index, to);
    },
  });
  return { list, dragged, grip };
}
