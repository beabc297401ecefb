// The list of requests: the first load, then the event stream, held still while it is read.
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api } from '../../api.ts';
import { type Live, usePoll, useEvents } from '../../live.ts';
import type { Pulse, Stories, Story } from './types.ts';

export type Filter = { status: string; model: string; token: string };

/** Requests of one call. */
const PAGE = 100;
/** Rows that are shown, and new ones that are held back, at most; the newest. */
export const MOST = 500;
/** New ones are shown together, so that a busy Rondo does not render for each. */
const FLUSH_MS = 250;
/** While the stream is lost the list is asked for instead. */
const POLL_MS = 10_000;
/** A gap in the numbers means missed events: the list is loaded again, at the most this often. */
const GAP_MS = 5_000;

export const rowKey = (story: Story) => `${story.seq} ${story.id}`;

export function fits(story: Story, { status, model, token }: Filter) {
  if (status === 'ok' && story.error) return false;
  if (status === 'error' && !story.error) return false;
  if (/^\d+$/.test(status) && story.status !== Number(status)) return false;
  if (model && story.model !== model && story.asked !== model) return false;
  return !token || story.token?.id === token;
}

/** Newest first, each once. */
export function merge(newer: Story[], older: Story[], most = MOST) {
  const seen = new Set<string>();
  return [...newer, ...older].filter((story) => !seen.has(rowKey(story)) && seen.add(rowKey(story))).slice(0, most);
}

export type Feed = ReturnType<typeof useFeed>;

/** @param held nothing new is shown: it is counted in `fresh` until `show` is called or `held` ends */
export function useFeed(filter: Filter, held: boolean) {
  const { status, model, token } = filter;
  const deps = [status, model, token];
  const [older, setOlder] = useState<{ items: Story[]; done: boolean; busy: boolean; error?: unknown }>({ items: [], done: false, busy: false });
  const [live, setLive] = useState<Story[]>([]);
  const [fresh, setFresh] = useState<Story[]>([]);
  const [pulse, setPulse] = useState<Pulse>();
  const heldNow = useRef(held);
  heldNow.current = held;
  const last = useRef<number>(undefined);
  const coming = useRef<Story[]>([]);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const gapAt = useRef(0);
  const behind = useRef(false);
  const shown = useRef(new Set<string>());

  const first = usePoll(async (signal) => {
    const answer = await api.get<Stories>('/api/requests', { limit: PAGE, status, model, token }, signal);
    last.current = Math.max(answer.seq ?? 0, answer.items[0]?.seq ?? 0);
    return { ...answer, of: deps.join('\n') };
  }, 0, deps);

  const restart = () => {
    setOlder({ items: [], done: false, busy: false });
    setLive([]);
    setFresh([]);
    coming.current = [];
  };
  // A filter begins a new list.
  useEffect(restart, deps);
  /** Loads the list again, now or when it is no longer held. */
  const catchUp = () => {
    behind.current = heldNow.current || Date.now() - gapAt.current < GAP_MS;
    if (behind.current) return;
    gapAt.current = Date.now();
    void first.reload();
  };

  const flush = useCallback(() => {
    timer.current = undefined;
    const news = coming.current.reverse();
    coming.current = [];
    if (news.length > 0) (heldNow.current ? setFresh : setLive)((before) => merge(news, before));
  }, []);
  useEffect(() => () => clearTimeout(timer.current), []);

  const missing = first.error?.status === 404;
  const stream: Live = useEvents('/api/events', {
    request: (data) => {
      const story = data as Story;
      if (last.current !== undefined && story.seq !== last.current + 1) {
        // A resumed stream may repeat what is here. All else is a gap, or a Coordinator that began to count anew.
        if (shown.current.has(rowKey(story))) return;
        if (story.seq <= last.current) restart();
        catchUp();
      }
      last.current = story.seq;
      if (!fits(story, filter)) return;
      coming.current.push(story);
      timer.current ??= setTimeout(flush, FLUSH_MS);
    },
    pulse: (data) => setPulse(data as Pulse),
  }, first.data !== undefined && !missing);

  const show = useCallback(() => {
    flush();
    setFresh((news) => {
      if (news.length > 0) setLive((before) => merge(news, before));
      return [];
    });
  }, []);
  useEffect(() => {
    if (held) return;
    show();
    if (behind.current) catchUp();
  }, [held]);

  const lost = stream.lostSince !== null;
  const wasLost = useRef(false);
  useEffect(() => {
    if (wasLost.current && !lost) catchUp();
    wasLost.current = lost;
    if (!lost) return;
    // At once, so that it is soon known whether anybody answers at all.
    if (!heldNow.current) void first.reload();
    const poll = setInterval(() => document.visibilityState === 'visible' && !heldNow.current && void first.reload(), POLL_MS);
    return () => clearInterval(poll);
  }, [lost]);

  // An answer to another filter must not stand under this one.
  const given = first.data?.of === deps.join('\n') ? first.data : undefined;
  const items = useMemo(() => {
    const all = merge(live, given?.items ?? [], Infinity);
    all.sort((a, b) => b.seq - a.seq);
    return [...all.slice(0, MOST), ...older.items.filter((story) => story.seq < (all[Math.min(all.length, MOST) - 1]?.seq ?? Infinity))];
  }, [live, given, older.items]);

  useEffect(() => {
    shown.current = new Set([...items, ...fresh].map(rowKey));
  }, [items, fresh]);

  const loadOlder = async () => {
    const before = items.at(-1)?.seq;
    if (before === undefined || older.busy) return;
    setOlder((state) => ({ items: state.items, done: state.done, busy: true }));
    try {
      const answer = await api.get<Stories>('/api/requests', { limit: PAGE, before, status, model, token });
      setOlder((state) => ({ items: merge(state.items, answer.items, Infinity), done: answer.items.length < PAGE, busy: false }));
    } catch (error) {
      setOlder((state) => ({ ...state, busy: false, error }));
    }
  };
  const hasOlder = !older.done && (older.items.length > 0 || (given?.items.length ?? 0) >= PAGE);
  return { items, loaded: given !== undefined, first, fresh: fresh.length, show, pulse, stream, hasOlder, older, loadOlder };
}

/** Looks for a story that is not in the list; null when it is not kept. */
export async function findStory(id: string, signal: AbortSignal): Promise<Story | null> {
  let before: number | undefined;
  for (let calls = 0; calls < 20; calls++) {
    const { items } = await api.get<Stories>('/api/requests', { limit: PAGE, before }, signal);
    const found = items.find((story) => story.id === id);
    if (found || items.length < PAGE) return found ?? null;
    before = items.at(-1)?.seq;
  }
  return null;
}
