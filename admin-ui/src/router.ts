// Pages by the address's hash: `#/keys?status=cooling`.
import { signal } from '@preact/signals';
import type { ComponentType } from 'preact';

/** Every page, in the order of the navigation; each is a module of its own, loaded when it is first shown. */
export const pages = {
  overview: () => import('./pages/overview/index.tsx'),
  keys: () => import('./pages/keys/index.tsx'),
  tokens: () => import('./pages/tokens/index.tsx'),
  models: () => import('./pages/models/index.tsx'),
  requests: () => import('./pages/requests/index.tsx'),
  playground: () => import('./pages/playground/index.tsx'),
  connect: () => import('./pages/connect/index.tsx'),
  settings: () => import('./pages/settings/index.tsx'),
} satisfies Record<string, () => Promise<{ default: ComponentType }>>;

export type PageName = keyof typeof pages;
/** `start` is the first run; it has no place in the navigation. */
export type RouteName = PageName | 'start';
export type Route = { page: RouteName; query: URLSearchParams };

export const pageNames = Object.keys(pages) as PageName[];

function read(): Route {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const page = path === 'start' ? path : pageNames.find((name) => name === path);
  return { page: page ?? 'overview', query: new URLSearchParams(query) };
}

export const route = signal<Route>(read());
/** Whether a page was shown since the address was opened: only then does the focus move to its heading. */
export const moved = signal(false);

function update() {
  const next = read();
  moved.value = moved.value || route.value.page !== next.page;
  route.value = next;
}
addEventListener('hashchange', update);

type Params = Record<string, string | number | null | undefined>;

/** The address of a page, for links. */
export function href(page: RouteName, params: Params = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `#/${page}${query ? `?${query}` : ''}`;
}

export function go(page: RouteName, params?: Params) {
  location.hash = href(page, params);
  update();
}

/** Changes parameters of the page shown (null removes one) without a new entry in the history. */
export function setParams(params: Params) {
  const { page, query } = route.value;
  history.replaceState(null, '', href(page, { ...Object.fromEntries(query), ...params }));
  route.value = read();
}
