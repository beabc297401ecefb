// What a token's form holds, and what it sends. Pure.
import type { Token } from '../../types.ts';

export const LIMITS = ['requests_per_minute', 'tokens_per_minute', 'tokens_per_day', 'tokens_per_month', 'max_concurrent'] as const;
export type Limit = (typeof LIMITS)[number];
/** `keep` leaves the time that is set; days count from now; `at` is the time of the field. */
export type Expiry = 'never' | '7' | '30' | '90' | '365' | 'at';

export type Form = {
  name: string;
  expiry: Expiry;
  /** Value of the field for a time of the browser's zone, `2027-01-31T12:00`. */
  at: string;
  /** Null is all. */
  models: string[] | null;
  limits: Record<Limit, string>;
  metrics: boolean;
  /** The operator's own value; empty for one that is made. */
  own: string;
};
export type Body = Partial<Pick<Token, 'name' | 'expires_at' | 'models' | 'metrics' | Limit>> & { token?: string };
/** What is wrong, by the API's field names. */
export type Wrong = Partial<Record<'name' | 'expires_at' | 'models' | 'token' | Limit, 'name' | 'time' | 'past' | 'none' | 'number' | 'short' | 'characters'>>;

export const NAME_CHARS = 100;
export const OWN_MIN = 16;
export const OWN_MAX = 512;
const DAY_MS = 86_400_000;

/** A time as a field of type `datetime-local` has it. */
export function localTime(at: string | number): string {
  const time = new Date(at);
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export const formOf = (token?: Token): Form => ({
  name: token?.name ?? '',
  expiry: token?.expires_at ? 'at' : 'never',
  at: token?.expires_at ? localTime(token.expires_at) : '',
  models: token?.models ?? null,
  limits: Object.fromEntries(LIMITS.map((limit) => [limit, token?.[limit]?.toString() ?? ''])) as Record<Limit, string>,
  metrics: token?.metrics ?? false,
  own: '',
});

/** A whole number of at least 1, written with or without separators; null when it is none. */
export function wholeNumber(text: string): number | null {
  const plain = text.replace(/[\s,_’']/g, '');
  const value = Number(plain);
  return /^\d+$/.test(plain) && value >= 1 && Number.isSafeInteger(value) ? value : null;
}

/** The body to send (for a change only what is other than in `token`), or what is wrong. */
export function bodyOf(form: Form, now: number, token?: Token): { body: Body; wrong: null } | { body: null; wrong: Wrong } {
  const wrong: Wrong = {};
  const name = form.name.trim();
  if (name === '' || [...name].length > NAME_CHARS) wrong.name = 'name';
  let expires: string | null = null;
  if (form.expiry === 'at') {
    const kept = token?.expires_at && form.at === localTime(token.expires_at) ? token.expires_at : null;
    const time = new Date(form.at);
    if (kept) expires = kept;
    else if (Number.isNaN(time.getTime())) wrong.expires_at = 'time';
    else if (time.getTime() <= now) wrong.expires_at = 'past';
    else expires = time.toISOString();
  } else if (form.expiry !== 'never') expires = new Date(now + Number(form.expiry) * DAY_MS).toISOString();
  if (form.models?.length === 0) wrong.models = 'none';
  const limits: Partial<Record<Limit, number | null>> = {};
  for (const limit of LIMITS) {
    const text = form.limits[limit].trim();
    limits[limit] = text === '' ? null : wholeNumber(text);
    if (text !== '' && limits[limit] === null) wrong[limit] = 'number';
  }
  const own = form.own.trim();
  if (own !== '' && !/^[\x21-\x7e]+$/.test(own)) wrong.token = 'characters';
  else if (own !== '' && own.length < OWN_MIN) wrong.token = 'short';
  if (Object.keys(wrong).length > 0) return { body: null, wrong };
  const all: Body = { name, expires_at: expires, models: form.models, metrics: form.metrics, ...limits };
  if (!token) return { body: own === '' ? all : { ...all, token: own }, wrong: null };
  const changed = Object.entries(all).filter(([field, value]) => JSON.stringify(value) !== JSON.stringify(token[field as keyof Token]));
  return { body: Object.fromEntries(changed), wrong: null };
}

export type TokenState = 'active' | 'paused' | 'expired';
export function stateOf(token: Pick<Token, 'enabled' | 'expires_at'>, now: number): TokenState {
  if (token.expires_at && Date.parse(token.expires_at) <= now) return 'expired';
  return token.enabled ? 'active' : 'paused';
}
