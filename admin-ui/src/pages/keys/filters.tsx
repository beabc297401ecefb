// Search, state and group of the list; all of it is in the address.
import { useEffect, useState } from 'preact/hooks';
import { api, ApiError } from '../../api.ts';
import { number } from '../../format.ts';
import { usePoll } from '../../live.ts';
import { href, route } from '../../router.ts';
import type { KeyStatus } from '../../types.ts';
import { SearchField } from '../../ui/index.ts';
import { GROUPS_LIST } from './parts.tsx';
import { filter, MOST, seenGroups, STATUSES, suggestGroups, type ListQuery } from './query.ts';
import { texts } from './texts.ts';

const EACH_MS = 30_000;

type Counts = Partial<Record<KeyStatus | 'total', number>>;

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
  /** A name that was picked is meant whole; one that is typed may go on. */
  const group = (text: string, picked: boolean) => (picked && seenGroups.peek().includes(text) ? filter({ group: text, groups: null }) : filter({ group: null, groups: text || null }));
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
      <div class="keys-search"><SearchField label={t.search} placeholder={t.searchHint} value={query.q} most={MOST.search} onRest={(q) => filter({ q: q || null })} /></div>
      <div class="keys-group-filter"><SearchField label={t.groupFilter} placeholder={t.groupStarts} value={query.group || query.groups} most={MOST.name} list={GROUPS_LIST} onTyped={suggestGroups} onRest={group} /></div>
    </div>
  );
}
