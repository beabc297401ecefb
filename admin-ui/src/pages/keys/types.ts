// Shapes of the calls that only this page makes; docs/openapi.json has them all.
import type { Key, KeyStatus } from '../../types.ts';

export type TestOutcome = 'ok' | 'invalid' | 'suspended' | 'limited' | 'model_missing' | 'busy' | 'refused' | 'unreachable';
export type TestResult = {
  outcome: TestOutcome;
  http_status: number | null;
  latency_ms: number;
  /** What the upstream said, without keys. */
  detail: string;
  /** The key's state afterwards; null when the Coordinator did not answer. */
  status: KeyStatus | null;
  reason: string | null;
  until: string | null;
};
/** A `result` event of `POST /api/keys/test`. */
export type StreamedResult = TestResult & { id: string; masked: string };

export type Bucket = {
  what: 'requests' | 'tokens' | 'uncached_tokens' | 'total_tokens';
  window: 'minute' | 'hour' | 'day';
  limit: number;
  /** Below nothing after an overrun. */
  remaining: number;
  /** Null when it is full. */
  full_at: string | null;
  source: 'learned' | 'set' | 'inferred';
};
export type Limits = {
  group: string;
  models: { model: string; cooling_until: string | null; missing_until: string | null; open: number; reserved: number; buckets: Bucket[] }[];
};

export type Suggestion = {
  groups: string[];
  keys: Pick<Key, 'id' | 'masked' | 'label'>[];
  model: string;
  since: string | null;
  evidence: { observations: number; limit: number; window: Bucket['window']; drop: number; own: number; others_least: number; others_most: number; resets_within_ms: number | null };
  text: string;
};

export type SkippedWhy = 'excluded' | 'barred' | 'resting' | 'paced' | 'quota' | 'missing' | 'after_others' | 'too_large' | 'unproven';
export type DecisionOutcome =
  | { kind: 'granted'; grant: string; key: string; masked: string | null; model: string; delay_ms: number; reserved: number; more: number }
  | { kind: 'waits'; after_ms: number }
  | { kind: 'retry_after'; after_ms: number; why: string }
  | { kind: 'refused'; why: string }
  | { kind: 'too_large' };
export type Decision = {
  at: string;
  /** Null in public mode. */
  token: { id: string; name: string | null } | null;
  asked: string | null;
  attempt: number;
  outcome: DecisionOutcome;
  candidates: number;
  passed_over: number;
  skipped: { key: string; masked: string | null; why: SkippedWhy; until: string | null }[];
};

type Point = { at: string; requests: number; errors: number };
export type SeriesAnswer = { from: string; to: string; series: { id: string | null; points: Point[] }[] };
