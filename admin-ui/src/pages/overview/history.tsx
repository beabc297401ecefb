// The last hour, day or week: charts, sums, and who was busiest.
import { useMemo } from 'preact/hooks';
import { api } from '../../api.ts';
import { compact, duration, number, percent } from '../../format.ts';
import { language } from '../../i18n.ts';
import { usePoll } from '../../live.ts';
import { href, route, setParams } from '../../router.ts';
import { Age, Card, Chart, Empty, Failed, Notice, Skeleton, Stat, Tabs, Typed, type Series } from '../../ui/index.ts';
import { asked, busiest, filled, PERIODS, type Period, REFRESH, type Busy, sum } from './data.ts';
import { texts } from './texts.ts';
import { ERROR_CLASSES, type Point, type SeriesAnswer } from './types.ts';

const BUSIEST = 6;
const TONES = { rate_limited: 'series-5', client: 'series-2', upstream: 'error', unavailable: 'series-4', broken: 'series-6' } as const;
const short = (value: number) => (value >= 10_000 ? compact(value) : number(value));

/** Series of the four charts; errors without a class are told apart so that the stack stands for all requests. */
function charts(points: (Point | null)[], t: ReturnType<typeof texts>) {
  const of = (pick: (point: Point) => number | null) => points.map((point) => (point ? pick(point) : 0));
  const known = (pick: (point: Point) => number | null | undefined) => points.map((point) => (point ? (pick(point) ?? null) : null));
  const classed = (point: Point) => ERROR_CLASSES.reduce((all, name) => all + (point.errors_by?.[name] ?? 0), 0);
  const requests: Series[] = [
    { name: t.succeeded, tone: 'ok', values: of((point) => Math.max(0, point.requests - Math.max(point.errors, classed(point)))) },
    ...ERROR_CLASSES.map((name) => ({ name: t.errorClasses[name], tone: TONES[name], values: of((point) => point.errors_by?.[name] ?? 0) })),
    { name: t.errorClasses.other, tone: 'quiet', values: of((point) => Math.max(0, point.errors - classed(point))) },
  ];
  return {
    // Classes without an error take no place in the legend.
    requests: requests.filter(({ values }, at) => at === 0 || values.some((value) => value)),
    tokens: [
      { name: t.prompt, values: of((point) => Math.max(0, point.prompt_tokens - point.cached_tokens)) },
      { name: t.cached, values: of((point) => point.cached_tokens) },
      { name: t.completion, values: of((point) => point.completion_tokens) },
    ],
    latency: [
      { name: t.p50, values: known((point) => point.latency_ms?.p50) },
      { name: t.p95, values: known((point) => point.latency_ms?.p95) },
    ],
    first: [
      { name: t.p50, values: known((point) => point.first_event_ms?.p50) },
      { name: t.p95, values: known((point) => point.first_event_ms?.p95) },
    ],
  };
}

function Charts({ data }: { data: SeriesAnswer }) {
  const t = texts();
  const { times, points, shown, all } = useMemo(() => {
    const { times, points } = filled(data);
    return { times, points, shown: charts(points, texts()), all: sum(points.filter((point) => point !== null)) };
  }, [data, language.value]);
  if (points.every((point) => point === null || point.requests === 0)) {
    return <Empty icon="overview" title={t.nothing}>{t.nothingText}</Empty>;
  }
  return (
    <>
      <div class="stats">
        <Stat label={t.sumRequests} value={short(all.requests)} note={all.cut > 0 ? t.cutNote(number(all.cut)) : undefined} />
        <Stat label={t.sumErrors} value={short(all.errors)} note={t.ofRequests(percent(all.requests ? all.errors / all.requests : 0))} />
        <Stat label={t.sumTokens} value={compact(all.prompt + all.completion)} note={t.splitNote(compact(all.prompt), compact(all.completion))} />
        <Stat label={t.sumCached} value={percent(all.prompt ? all.cached / all.prompt : 0)} />
      </div>
      <div class="overview-charts">
        <Chart title={t.requestsChart} times={times} series={shown.requests} format={short} kind="bars" stacked />
        <Chart title={t.tokensChart} times={times} series={shown.tokens} format={short} kind="bars" stacked />
        <Chart title={t.latencyChart} times={times} series={shown.latency} format={duration} />
        <Chart title={t.firstChart} times={times} series={shown.first} format={duration} />
      </div>
    </>
  );
}

/** A bar for each, as long as its share of the busiest. */
function BusyList({ title, items, name, link }: { title: string; items: Busy[]; name: (item: Busy) => string; link: (item: Busy) => string }) {
  const t = texts();
  const most = items[0]?.requests ?? 1;
  return (
    <Card title={title}>
      {items.length === 0 ? <p class="quiet">{t.nothing}</p> : (
        <ol class="overview-busy">
          {items.map((item) => (
            <li key={item.id ?? ''}>
              <p>
                <a href={link(item)}><Typed>{name(item)}</Typed></a>
                <span class="quiet">
                  {t.busyRow(short(item.requests), compact(item.prompt + item.completion))}
                  {item.errors > 0 && ` · ${t.busyErrors(short(item.errors))}`}
                </span>
              </p>
              <div class="overview-bar" aria-hidden="true"><i style={{ width: `${(100 * item.requests) / most}%` }} /></div>
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}

function Busiest({ period }: { period: Period }) {
  const t = texts();
  const by = (what: 'model' | 'token') => (signal: AbortSignal) => api.get<SeriesAnswer>('/api/stats/series', asked(period, Date.now(), what), signal);
  const models = usePoll(by('model'), REFRESH[period] * 2, [period]);
  const tokens = usePoll(by('token'), REFRESH[period] * 2, [period]);
  const card = (title: string, { data, error, reload }: typeof models, what: 'model' | 'token') =>
    data ? (
      <BusyList title={title} items={busiest(data.series, BUSIEST)}
        name={(item) => (what === 'model' ? (item.name ?? item.id ?? '–') : item.name || item.id || t.noToken)}
        link={(item) => href('requests', { [what]: item.id })} />
    ) : (
      <Card title={title}>{error ? (error.status === 404 ? <p class="quiet">{t.unavailable}</p> : <Failed error={error} retry={reload} />) : <Skeleton rows={4} height={2} />}</Card>
    );
  return (
    <div class="overview-pair">
      {card(t.busyModels, models, 'model')}
      {card(t.busyTokens, tokens, 'token')}
    </div>
  );
}

export function History() {
  const t = texts();
  const wanted = route.value.query.get('period');
  const period: Period = PERIODS.find((one) => one === wanted) ?? 'hour';
  const { data: got, error, at, busy, reload } = usePoll(
    async (signal) => ({ period, answer: await api.get<SeriesAnswer>('/api/stats/series', asked(period, Date.now()), signal) }),
    REFRESH[period],
    [period],
  );
  // While another period loads, the last one stands; when that fails, it must not stand for it.
  const data = got && (got.period === period || !error) ? got.answer : undefined;
  return (
    <>
      <section class="card overview-history">
        <Tabs label={t.periodLabel} value={period} tabs={PERIODS.map((value) => ({ value, label: t.periods[value] }))}
          onValue={(next) => setParams({ period: next === 'hour' ? null : next })}>
          <div class="overview-panel" aria-busy={busy}>
            {error && !data && (error.status === 404 ? <Notice tone="info">{t.unavailable}</Notice> : <Failed error={error} retry={reload} busy={busy} />)}
            {data ? <Charts data={data} /> : !error && <Skeleton rows={2} height={16} />}
          </div>
        </Tabs>
        {data && <Age at={at} error={error} />}
      </section>
      <Busiest period={period} />
    </>
  );
}
