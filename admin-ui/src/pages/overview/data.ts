// From the answers to what charts and lists need. Pure.
import type { OneSeries, Point, SeriesAnswer } from './types.ts';

export const PERIODS = ['hour', 'day', 'week'] as const;
export type Period = (typeof PERIODS)[number];

const MINUTE = 60_000;
const STEPS = { minute: MINUTE, hour: 60 * MINUTE, day: 1_440 * MINUTE };
/** Length and step of a period; a week by hours has 168 points. */
const SHAPES = {
  hour: { span: 60 * MINUTE, step: 'minute' },
  day: { span: 1_440 * MINUTE, step: 'hour' },
  week: { span: 7 * 1_440 * MINUTE, step: 'hour' },
} as const;
/** How often it is asked for anew, milliseconds. */
export const REFRESH = { hour: 20_000, day: 60_000, week: 120_000 };
/** More points than any answer has: a guard against a span that makes no sense. */
const MOST = 1_600;

/** Parameters of `/api/stats/series`. Of tokens and models there are no minutes. */
export function asked(period: Period, now: number, by?: 'token' | 'model') {
  const { span } = SHAPES[period];
  const step = by && period === 'hour' ? 'hour' : SHAPES[period].step;
  return { from: new Date(now - span).toISOString(), to: new Date(now).toISOString(), step, by };
}

/** One point for each step, null where nothing happened. */
export function filled({ from, to, step, series }: SeriesAnswer): { times: number[]; points: (Point | null)[] } {
  const size = STEPS[step] ?? MINUTE;
  const start = (at: string) => Math.floor(Date.parse(at) / size) * size;
  const found = new Map((series[0]?.points ?? []).map((point) => [start(point.at), point]));
  const times: number[] = [];
  for (let at = start(from); at <= Date.parse(to) && times.length < MOST; at += size) times.push(at);
  return { times, points: times.map((at) => found.get(at) ?? null) };
}

export type Sum = { requests: number; errors: number; cut: number; prompt: number; completion: number; cached: number };

export function sum(points: Point[]): Sum {
  const all: Sum = { requests: 0, errors: 0, cut: 0, prompt: 0, completion: 0, cached: 0 };
  for (const point of points) {
    all.requests += point.requests;
    all.errors += point.errors;
    all.cut += point.cut;
    all.prompt += point.prompt_tokens;
    all.completion += point.completion_tokens;
    all.cached += point.cached_tokens;
  }
  return all;
}

export type Busy = Sum & { id: string | null; name: string | null };
/** The busiest of several series: by requests, then by tokens. */
export const busiest = (series: OneSeries[], most: number): Busy[] =>
  series
    .map(({ id, name, points }) => ({ id, name, ...sum(points) }))
    .filter(({ requests }) => requests > 0)
    .sort((a, b) => b.requests - a.requests || b.prompt + b.completion - a.prompt - a.completion)
    .slice(0, most);
