// Calls of the admin API. Everything goes by the session's cookie; the browser adds `Origin` to changes.
import { effect, signal } from '@preact/signals';

/** An answer that is no success: `application/problem+json`, or whatever the status says when it is not that. */
export class ApiError extends Error {
  constructor(
    /** HTTP status; 0 when the Worker could not be reached. */
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    /** The field at fault, for 400. */
    readonly field: string | null = null,
    readonly retryAfterMs: number | null = null,
  ) {
    super(detail || title);
  }
  get offline() {
    return this.status === 0;
  }
}

/** Whether the Worker answers, and since when not (milliseconds of the epoch). */
export const connection = signal<{ lost: false } | { lost: true; since: number }>({ lost: false });

/** `asking` until the first answer of `/api/auth/status`. */
export const session = signal<'asking' | 'new' | 'out' | 'in'>('asking');
export const demo = signal(false);

export type Query = Record<string, string | number | boolean | null | undefined>;

/** Path with the parameters that have a value. */
export function withQuery(path: string, query: Query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

/** How long `Retry-After` and `retry-after-ms` ask to wait. */
export function retryAfterMs(headers: Headers): number | null {
  const exact = Number.parseFloat(headers.get('retry-after-ms') ?? '');
  if (exact >= 0) return exact;
  const seconds = Number.parseFloat(headers.get('retry-after') ?? '');
  return seconds >= 0 ? seconds * 1_000 : null;
}

/** Reads a failed response, in the admin API's form or in that of `/v1`. */
export async function problemOf(response: Response): Promise<ApiError> {
  let said: { title?: unknown; detail?: unknown; field?: unknown; message?: unknown } = {};
  try {
    said = await response.json();
  } catch {
    // Not JSON: the status has to do.
  }
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  return new ApiError(
    response.status,
    text(said.title) || response.statusText || `HTTP ${response.status}`,
    text(said.detail) || text(said.message),
    text(said.field) || null,
    retryAfterMs(response.headers),
  );
}

const isAbort = (error: unknown) => error instanceof DOMException && error.name === 'AbortError';

/** `fetch` that notes whether the Worker could be reached; throws `ApiError` with status 0 when not. */
export async function reach(path: string, init?: RequestInit): Promise<Response> {
  try {
    const response = await fetch(path, init);
    connection.value = { lost: false };
    return response;
  } catch (error) {
    if (isAbort(error)) throw error;
    lose();
    throw new ApiError(0, 'unreachable', '');
  }
}

let probing = false;
function lose() {
  if (!connection.value.lost) connection.value = { lost: true, since: Date.now() };
  if (!probing) void probe();
}
/** Asks until the Worker answers again: after 1, 2, 4, 8 s, then each 10 s, and when the browser says it is online. */
async function probe() {
  probing = true;
  for (let wait = 1_000; connection.value.lost; wait = Math.min(wait * 2, 10_000)) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, wait);
      function done() {
        clearTimeout(timer);
        removeEventListener('online', done);
        resolve();
      }
      addEventListener('online', done);
    });
    try {
      await fetch('/healthz', { cache: 'no-store' });
      connection.value = { lost: false };
    } catch {
      // Still gone.
    }
  }
  probing = false;
}

async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await reach(path, {
    method,
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
    signal: signal ?? null,
  });
  if (!response.ok) {
    const problem = await problemOf(response);
    // A call that asks for the password once more answers 401 to a wrong one: that ends no session.
    const ended = problem.status === 401 && problem.title !== 'Wrong password' && !path.startsWith('/api/auth/');
    if (ended && session.value === 'in') session.value = 'out';
    throw problem;
  }
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export const api = {
  get: <T>(path: string, query?: Query, signal?: AbortSignal) => call<T>('GET', withQuery(path, query), undefined, signal),
  post: <T>(path: string, body?: unknown, signal?: AbortSignal) => call<T>('POST', path, body, signal),
  put: <T>(path: string, body: unknown) => call<T>('PUT', path, body),
  patch: <T>(path: string, body: unknown) => call<T>('PATCH', path, body),
  delete: <T = void>(path: string) => call<T>('DELETE', path),
};

/** Asks who this is; sets `session` and `demo`. Throws when the Worker cannot be reached. */
export async function askSession() {
  const said = await api.get<{ has_password: boolean; logged_in: boolean; demo: boolean }>('/api/auth/status');
  demo.value = said.demo;
  session.value = said.logged_in ? 'in' : said.has_password ? 'out' : 'new';
}

// Tabs share the cookie: what one begins or ends is so in all. A tab that was out of sight asks when it is seen again,
// since the session may have ended elsewhere.
const tabs = new BroadcastChannel('rondo-session');
const decided = () => session.peek() === 'in' || session.peek() === 'out';
const askAgain = () => decided() && void askSession().catch(() => {});
tabs.onmessage = askAgain;
document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && askAgain());
let before = session.peek();
effect(() => {
  const now = session.value;
  if (decided() && (before === 'in' || before === 'out')) tabs.postMessage(now);
  before = now;
});
