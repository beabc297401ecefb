import { useMemo } from 'preact/hooks';
import { api, ApiError } from '../../api.ts';
import { usePoll } from '../../live.ts';
import { Chart } from '../../ui/index.ts';
import { texts } from './texts.ts';
import type { SeriesAnswer } from './types.ts';

const HOUR_MS = 3_600_000;
const HOURS = 48;

/** Requests and errors of a key by the hour; nothing where the Worker keeps no series. */
export function History({ id }: { id: string }) {
  const t = texts().detail;
  const series = usePoll(async (signal) => {
    const to = Date.now();
    try {
      return await api.get<SeriesAnswer>('/api/stats/series', { by: 'key', id, step: 'hour', from: new Date(to - HOURS * HOUR_MS).toISOString(), to: new Date(to).toISOString() }, signal);
    } catch (error) {
      if (error instanceof ApiError && (error.status === 404 || error.status === 400)) return null;
      throw error;
    }
  }, 0, [id]);
  const data = series.data;
  const drawn = useMemo(() => {
    if (!data) return null;
    const points = new Map((data.series.find((one) => one.id === id)?.points ?? []).map((point) => [Math.floor(Date.parse(point.at) / HOUR_MS), point]));
    const last = Math.floor(Date.parse(data.to) / HOUR_MS);
    const hours = Array.from({ length: HOURS }, (_, n) => last - HOURS + 1 + n);
    return {
      times: hours.map((hour) => hour * HOUR_MS),
      requests: hours.map((hour) => points.get(hour)?.requests ?? 0),
      errors: hours.map((hour) => points.get(hour)?.errors ?? 0),
    };
  }, [data, id]);
  if (!drawn) return null;
  return (
    <section class="keys-part">
      <Chart title={t.history} kind="bars" height={150} times={drawn.times} series={[{ name: t.requests, values: drawn.requests }, { name: t.errors, values: drawn.errors, tone: 'error' }]} />
    </section>
  );
}
