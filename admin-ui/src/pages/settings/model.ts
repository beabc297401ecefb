// The settings: their shape, ranges and defaults, and what was changed here and not saved yet.
import { effect, signal } from '@preact/signals';
import { session } from '../../api.ts';

export type LimitOverride = { group: string; model: string; requests_per_minute?: number; tokens_per_minute?: number; tokens_per_day?: number };
export type Settings = {
  access_mode: 'token' | 'public';
  model_policy: 'rotate' | 'prefer_requested' | 'passthrough';
  metering: 'exact' | 'estimate';
  max_wait_ms: number;
  attempt_budget: number;
  flush_interval_ms: number;
  pace_ms: number;
  key_pace_ms: number;
  address_requests_per_minute: number;
  timeouts: { headers_ms: number; headers_whole_ms: number; first_event_ms: number; silence_ms: number; total_ms: number };
  limit_overrides: LimitOverride[];
};

const TIMEOUT = { min: 100, max: 3_600_000, unit: 'ms' } as const;
/** Ranges and defaults as the Worker has them; times in milliseconds. */
export const NUMBERS = {
  max_wait_ms: { min: 0, max: 600_000, usual: 20_000, unit: 'ms' },
  attempt_budget: { min: 1, max: 900, usual: 40, unit: 'attempts' },
  flush_interval_ms: { min: 1_000, max: 3_600_000, usual: 15_000, unit: 'ms' },
  pace_ms: { min: 0, max: 600_000, usual: 0, unit: 'ms' },
  key_pace_ms: { min: 0, max: 600_000, usual: 0, unit: 'ms' },
  address_requests_per_minute: { min: 1, max: 1_000_000, usual: 60, unit: 'requests' },
  'timeouts.headers_ms': { ...TIMEOUT, usual: 30_000 },
  'timeouts.headers_whole_ms': { ...TIMEOUT, usual: 120_000 },
  'timeouts.first_event_ms': { ...TIMEOUT, usual: 60_000 },
  'timeouts.silence_ms': { ...TIMEOUT, usual: 30_000 },
  'timeouts.total_ms': { ...TIMEOUT, usual: 900_000 },
} as const;
export const CHOICES = {
  access_mode: { values: ['token', 'public'], usual: 'token' },
  model_policy: { values: ['prefer_requested', 'rotate', 'passthrough'], usual: 'prefer_requested' },
  metering: { values: ['exact', 'estimate'], usual: 'exact' },
} as const;
export type NumberName = keyof typeof NUMBERS;
export type ChoiceName = keyof typeof CHOICES;
/** A setting by the name that the API's errors use: dotted where nested. */
export type Name = NumberName | ChoiceName;

/** The value as the page's fields have it: text. */
export function textOf(settings: Settings, name: Name): string {
  const [outer = '', inner] = name.split('.');
  const value = (settings as unknown as Record<string, unknown>)[outer];
  return String(inner ? (value as Record<string, unknown>)[inner] : value);
}
export const usualOf = (name: Name): string => String(name in NUMBERS ? NUMBERS[name as NumberName].usual : CHOICES[name as ChoiceName].usual);

/** A whole number within the range of a setting, or null. Spaces and thousands separators are let through. */
export function numberOf(text: string, { min, max }: { min: number; max: number }): number | null {
  const digits = text.replace(/[\s,，_]/g, '');
  const value = Number(digits);
  return /^\d{1,15}$/.test(digits) && value >= min && value <= max ? value : null;
}

/** One row of limits as typed. */
export type Row = { group: string; model: string; requests_per_minute: string; tokens_per_minute: string; tokens_per_day: string };
export const FIGURES = ['requests_per_minute', 'tokens_per_minute', 'tokens_per_day'] as const;
export const FIGURE_RANGE = { min: 0, max: Number.MAX_SAFE_INTEGER };
export const rowsOf = (settings: Settings): Row[] =>
  settings.limit_overrides.map((entry) => ({
    group: entry.group,
    model: entry.model,
    requests_per_minute: String(entry.requests_per_minute ?? ''),
    tokens_per_minute: String(entry.tokens_per_minute ?? ''),
    tokens_per_day: String(entry.tokens_per_day ?? ''),
  }));

/** Texts typed and not saved; they outlive a look at another page, and a log-out clears them. */
export const drafts = signal<Partial<Record<Name, string>>>({});
export const rowDraft = signal<Row[] | null>(null);

export function put(name: Name, text: string | null) {
  const { [name]: _, ...rest } = drafts.value;
  drafts.value = text === null ? rest : { ...rest, [name]: text };
}
export const changedOf = (settings: Settings, names: readonly Name[]) => names.filter((name) => name in drafts.value && drafts.value[name] !== textOf(settings, name));
export const rowsChanged = (settings: Settings) => rowDraft.value !== null && JSON.stringify(rowDraft.value) !== JSON.stringify(rowsOf(settings));

effect(() => {
  if (session.value !== 'out') return;
  drafts.value = {};
  rowDraft.value = null;
});

/** The body of a PATCH with these settings alone; null when one of them is no number in its range. */
export function patchOf(names: readonly Name[]): Record<string, unknown> | null {
  const body: Record<string, unknown> = {};
  for (const name of names) {
    const text = drafts.value[name] ?? '';
    const value = name in NUMBERS ? numberOf(text, NUMBERS[name as NumberName]) : text;
    if (value === null) return null;
    const [outer = '', inner] = name.split('.');
    body[outer] = inner ? { ...(body[outer] as object), [inner]: value } : value;
  }
  return body;
}
