// Search, state and group of the list; all of it is in the address.
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError } from '../../api.ts';
import { number } from '../../format.ts';
import { usePoll } from '../../live.ts';
import { href, route } from '../../router.ts';
import type { KeyStatus } from '../../types.ts';
import { Field } from '../../ui/index.ts';
import { GROUPS_LIST } from './parts.tsx';
import { filter, MOST, STATUSES, type ListQuery } from './query.ts';
import { texts } from './texts.ts';

/** After the last keystroke. */
const TYPING_MS = 300;
const EACH_MS = 30_000;

type Counts = Partial<Record<KeyStatus | 'total', number>>;

/** A field whose text goes into the address when typing rests. */
function Typing({ name, label, placeholder, value, most, list }: { name: 'q' | 'group'; label: string; placeholder: string; value: string; most: number; list?: string }) {
  const t = texts();
  const [text, setText] = useState(value);
  const sent = useRef(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => {
    // The address changed by something else: a link, the history, "Clear filters".
    if (value !== sent.current) setText(value);
    sent.current = value;
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const long = [...text].length > most;
  const change = (next: string) => {
    setText(next);
    clearTimeout(timer.current);
    if ([...next].length > most) return;
    timer.current = setTimeout(() => {
      sent.current = next.trim();
      filter({ [name]: next.trim() || null });
    }, TYPING_MS);
  };
  return <Field label={label} hideLabel type="search" placeholder={placeholder} value={text} error={long ? t.tooLong(most) : null} autocomplete="off" spellcheck={false} onValue={change} {...(list ? { list } : {})} />;
}

export function Filters({ query, refresh }: { query: ListQuery; /** Another number counts anew. */ refresh: number }) {
  const t = texts();
  const [absent, setAbsent] = useState(false);
  const counts = usePoll(async (signal): Promise<Counts> => {
    try {
      return (await api.get<{ keys?: Counts }>('/api/overview', {}, signal)).keys ?? {};
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) setAbsent(true);
      throw error;
    }
  }, absent ? 0 : EACH_MS);
  useEffect(() => {
    if (refresh > 0 && !absent) void counts.reload();
  }, [refresh]);
  const link = (status: KeyStatus | null) => href('keys', { ...Object.fromEntries(route.value.query), status, page: null, id: null });
  const count = (of: KeyStatus | 'total') => counts.data?.[of];
  return (
    <div class="keys-filters" role="search" aria-label={t.filters}>
      <nav class="keys-states" aria-label={t.status}>
        {([null, ...STATUSES] as const).map((status) => {
          const n = count(status ?? 'total');
          return (
            <a key={status ?? 'all'} href={link(status)} aria-current={query.status === status ? 'true' : undefined}>
              {status ? t.states[status] : t.all}
              {n !== undefined && ' '}
              {n !== undefined && <span class="keys-count">{number(n)}</span>}
            </a>
          );
        })}
      </nav>
      <div class="keys-search"><Typing name="q" label={t.search} placeholder={t.searchHint} value={query.q} most={MOST.search} /></div>
      <div class="keys-group-filter"><Typing name="group" label={t.groupFilter} placeholder={t.groupFilter} value={query.group} most={MOST.name} list={GROUPS_LIST} /></div>
    </div>
  );
}
