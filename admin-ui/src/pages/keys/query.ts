// What is shown of the list, as the address has it. Orders, states and numbers that no call would take are left out.
import { signal } from '@preact/signals';
import { api } from '../../api.ts';
import { named } from '../../named.ts';
import { route, setParams } from '../../router.ts';
import type { Key, KeyStatus } from '../../types.ts';

export const STATUSES: readonly KeyStatus[] = ['active', 'cooling', 'suspended', 'invalid', 'disabled'];
export const SORTS = ['label', 'status', 'group', 'weight', 'requests', 'prompt_tokens', 'errors', 'last_used_at', 'created_at'] as const;
export const PER_PAGE = [50, 100, 200] as const;
/** Most characters of a search, a label, a group's name. */
export const MOST = { search: 200, label: 200, name: 100 } as const;

export type ListQuery = { status: KeyStatus | null; /** One group, by its whole name. */ group: string; /** Groups whose names begin so. */ groups: string; q: string; sort: string; page: number; perPage: number };

export function listQuery(query: URLSearchParams = route.value.query): ListQuery {
  const sort = query.get('sort') ?? '';
  const page = Number(query.get('page'));
  const perPage = Number(query.get('per_page'));
  return {
    status: STATUSES.find((status) => status === query.get('status')) ?? null,
    group: query.get('group') ?? '',
    groups: query.get('groups') ?? '',
    q: query.get('q') ?? '',
    sort: (SORTS as readonly string[]).includes(sort.replace(/^-/, '')) ? sort : '-created_at',
    page: Number.isSafeInteger(page) && page >= 1 ? page : 1,
    perPage: PER_PAGE.find((n) => n === perPage) ?? 50,
  };
}

/** Changes filters: the list begins anew at its first page. */
export const filter = (changes: { status?: KeyStatus | null; group?: string | null; groups?: string | null; q?: string | null }) => setParams({ ...changes, page: null });

/** Names of groups that were seen, for suggestions while typing; the last 200. */
export const seenGroups = signal<string[]>([]);
export function noteGroups(keys: Pick<Key, 'group'>[]) {
  const known = seenGroups.peek();
  const more = [...new Set(keys.flatMap(({ group }) => (group === null || known.includes(group) ? [] : [group])))];
  if (more.length > 0) seenGroups.value = [...known, ...more].slice(-200);
}

/** What the filters say to a call. */
export const filtersOf = ({ status, group, groups, q }: ListQuery) => ({ status, group, group_prefix: group === '' ? groups : '', q });

const SUGGEST_MS = 150;
let timer: ReturnType<typeof setTimeout> | undefined;
/** Asks for names of groups that begin like what is typed; they come into `seenGroups`. */
export function suggestGroups(typed: string) {
  clearTimeout(timer);
  const text = typed.trim();
  if (text === '' || [...text].length > MOST.name) return;
  timer = setTimeout(async () => {
    try {
      const { items } = await api.get<{ items: { name: string }[] }>('/api/keys/groups', { q: text });
      noteGroups(items.map(({ name }) => ({ group: name })));
    } catch {
      // It can be typed without suggestions.
    }
  }, SUGGEST_MS);
}

/** How a key is called in sentences. Its label keeps its own direction of writing and is cut when long. */
export function nameOf({ label, masked }: Pick<Key, 'label' | 'masked'>): string {
  return label === '' ? masked : `${named(label)} (${masked})`;
}
