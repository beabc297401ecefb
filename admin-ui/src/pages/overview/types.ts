// Answers of `GET /api/overview`, `/api/stats/series` and `/api/stats`, as far as this page reads them.
import type { KeyStatus } from '../../types.ts';

export type Group = {
  group: string;
  /** For people: the operator's, or how its only key is called; null when that key is gone. */
  name: string | null;
  /** What may be seen of its only key; null for a group with a name. */
  masked: string | null;
  model: string;
  keys: number;
  window: 'minute' | 'hour' | 'day';
  counted: 'requests' | 'tokens';
  left: number;
  limit: number;
  per_minute: number;
  /** Seconds at this rate; null when nothing uses it up. */
  lasts_s: number | null;
};
export type CloudflareItem = { name: string; used: number; limit: number };
export type Overview = {
  at: string;
  ready: boolean;
  demo: boolean;
  missing: { name: string; remedy: string }[];
  keys: Record<KeyStatus | 'total', number>;
  /** null while the Coordinator does not answer. */
  now: { requests_per_minute: number; tokens_per_minute: number; waiting: number; under_way: number } | null;
  /** Upstreams that fail for every key. */
  outages: { provider: string; since: string; next_probe_at: string }[];
  fuel: {
    quota: { lasts_s: number | null; group: string | null; name: string | null; groups: Group[] } | null;
    cloudflare: { estimated: boolean; plan: string; since: string; items: CloudflareItem[] } | null;
  };
};

export const ERROR_CLASSES = ['rate_limited', 'client', 'upstream', 'unavailable', 'broken'] as const;
export type ErrorClass = (typeof ERROR_CLASSES)[number];
type Spread = { p50: number; p95: number };
export type Point = {
  at: string;
  requests: number;
  errors: number;
  cut: number;
  errors_by?: Partial<Record<ErrorClass, number>> | null;
  prompt_tokens: number;
  completion_tokens: number;
  cached_tokens: number;
  latency_ms: Spread | null;
  first_event_ms: Spread | null;
};
export type OneSeries = { id: string | null; name: string | null; points: Point[] };
export type SeriesAnswer = { from: string; to: string; step: 'minute' | 'hour' | 'day'; by: string | null; series: OneSeries[] };

export type Stats = { totals: { requests: number; errors: number; prompt_tokens: number; completion_tokens: number; last_used_at: string | null } };
