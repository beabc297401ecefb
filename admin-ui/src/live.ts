// Data that stays fresh: polling that knows its age, and the event stream.
import { effect, signal, type Signal } from '@preact/signals';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, connection } from './api.ts';

export type Polled<T> = {
  /** The last good answer, kept while later calls fail. */
  data: T | undefined;
  error: ApiError | undefined;
  /** When `data` came, milliseconds of the epoch. */
  at: number | undefined;
  busy: boolean;
  reload: () => Promise<void>;
  /** Puts a known change into `data` before the next call. */
  set: (change: (data: T | undefined) => T | undefined) => void;
};

/** A database's free plan reads 5 million rows a day: what is counted over so many rows is asked for at its usual pace. */
const ROWS_AT_PACE = 1_000;
/** The longest pause between two of a list's calls. */
const SLOWEST_MS = 300_000;

/** The pause before a list is asked for again whose call goes through `rows` rows: the more there are, the longer. */
export const paceOf = (everyMs: number, rows = 0) => Math.max(everyMs, Math.min(SLOWEST_MS, everyMs * (rows / ROWS_AT_PACE)));

/**
 * Loads at once, each `everyMs` while the page is visible (never when 0; longer where `rows` of what came are many),
 * when the connection is back, and anew when `deps` change. A call that `deps` overtook is aborted and its answer dropped.
 */
export function usePoll<T>(load: (signal: AbortSignal) => Promise<T>, everyMs: number, deps: unknown[] = [], rows?: (data: T) => number | undefined): Polled<T> {
  const [state, setState] = useState<Omit<Polled<T>, 'reload' | 'set'>>({ data: undefined, error: undefined, at: undefined, busy: true });
  const running = useRef<AbortController>(undefined);
  const latest = useRef(load);
  latest.current = load;
  const due = useRef({ at: 0, rows });
  due.current.rows = rows;
  const reload = useCallback(async () => {
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    setState((before) => ({ ...before, busy: true }));
    try {
      const data = await latest.current(own.signal);
      if (own.signal.aborted) return;
      // Half a period early is on time: the timer's own ticks waver.
      due.current.at = Date.now() + paceOf(everyMs, due.current.rows?.(data)) - everyMs / 2;
      setState({ data, error: undefined, at: Date.now(), busy: false });
    } catch (error) {
      if (own.signal.aborted) return;
      const problem = error instanceof ApiError ? error : new ApiError(0, 'failed', String(error));
      setState((before) => ({ ...before, error: problem, busy: false }));
    }
  }, [everyMs]);
  useEffect(() => {
    void reload();
    const tick = () => document.visibilityState === 'visible' && Date.now() >= due.current.at && void reload();
    const timer = everyMs > 0 ? setInterval(tick, everyMs) : undefined;
    let wasLost = connection.peek().lost;
    const unwatch = effect(() => {
      const { lost } = connection.value;
      if (wasLost && !lost) void reload();
      wasLost = lost;
    });
    return () => {
      clearInterval(timer);
      unwatch();
      running.current?.abort();
    };
  }, [everyMs, ...deps]);
  const set = useCallback((change: (data: T | undefined) => T | undefined) => setState((before) => ({ ...before, data: change(before.data) })), []);
  return { ...state, reload, set };
}

export type Live = { connected: boolean; lostSince: number | null };
/** An end shorter than this is the stream's usual change of connection, not a loss. */
const USUAL_GAP_MS = 3_000;

/**
 * Events of `path` for as long as the component is there and `on` is true. The browser resumes with `Last-Event-ID`;
 * a stream that it gave up on (an error status) is opened anew with growing pauses.
 * @param handlers by event name; `data` is parsed JSON
 */
export function useEvents(path: string, handlers: Record<string, (data: unknown) => void>, on = true): Live {
  const [live, setLive] = useState<Live>({ connected: false, lostSince: null });
  const latest = useRef(handlers);
  latest.current = handlers;
  const names = Object.keys(handlers).join(' ');
  useEffect(() => {
    if (!on) return setLive({ connected: false, lostSince: null });
    let source: EventSource | undefined;
    let again: ReturnType<typeof setTimeout> | undefined;
    let gap: ReturnType<typeof setTimeout> | undefined;
    let wait = 1_000;
    const open = () => {
      source = new EventSource(path);
      source.onopen = () => {
        clearTimeout(gap);
        gap = undefined;
        wait = 1_000;
        setLive({ connected: true, lostSince: null });
      };
      source.onerror = () => {
        const since = Date.now();
        gap ??= setTimeout(() => setLive({ connected: false, lostSince: since }), USUAL_GAP_MS);
        if (source?.readyState !== EventSource.CLOSED) return;
        again = setTimeout(open, wait);
        wait = Math.min(wait * 2, 15_000);
      };
      for (const name of names.split(' ').filter(Boolean)) {
        source.addEventListener(name, (event: MessageEvent<string>) => {
          try {
            latest.current[name]?.(JSON.parse(event.data));
          } catch {
            // An event that cannot be read is left out; the next ones may be good.
          }
        });
      }
    };
    open();
    return () => {
      clearTimeout(again);
      clearTimeout(gap);
      source?.close();
    };
  }, [path, names, on]);
  return live;
}

/** Running clocks by their period. Hundreds of cells tell how long ago something was: they share one timer. */
const clocks = new Map<number, Signal<number>>();

function clock(everyMs: number): Signal<number> {
  const running = clocks.get(everyMs);
  if (running) return running;
  let timer: ReturnType<typeof setInterval> | undefined;
  const own = signal(Date.now(), {
    watched: () => {
      timer = setInterval(() => { own.value = Date.now(); }, everyMs);
    },
    // The next that looks gets a new one, which does not begin with an old time.
    unwatched: () => {
      clearInterval(timer);
      clocks.delete(everyMs);
    },
  });
  clocks.set(everyMs, own);
  return own;
}

/** The time, renewed each `everyMs`: for ages and countdowns. */
export const useNow = (everyMs = 1_000, on = true) => (on ? clock(everyMs).value : Date.now());
