// Charts over time. The library is loaded with the first of them.
import { useEffect, useRef, useState } from 'preact/hooks';
import { dateTime, number } from '../format.ts';
import { language } from '../i18n.ts';
import { common } from '../texts/common.ts';
import { isDark } from '../theme.ts';

export type Series = {
  name: string;
  /** As many as `times`; null where nothing is known. */
  values: (number | null)[];
  /** Of the theme; by its place in the list when absent. */
  tone?: 'ok' | 'error' | 'warn' | 'quiet' | `series-${1 | 2 | 3 | 4 | 5 | 6}`;
};
export type ChartProps = {
  /** What it shows: the name of the picture and of its table. */
  title: string;
  /** Milliseconds of the epoch, ascending. */
  times: number[];
  series: Series[];
  format?: (value: number) => string;
  kind?: 'line' | 'area' | 'bars';
  /** Each series stands on those before it; nulls count as nothing. */
  stacked?: boolean;
  /** Pixels. */
  height?: number;
};
/** Rows of the table beside the chart; the newest. */
const ROWS = 200;

export function Chart({ title, times, series, format = number, kind = 'line', stacked = false, height = 200 }: ChartProps) {
  const t = common();
  const frame = useRef<HTMLDivElement>(null);
  const [plot, setPlot] = useState<typeof import('./plot.ts')>();
  const [shown, setShown] = useState(false);
  const dark = isDark();
  useEffect(() => {
    let gone = false;
    import('./plot.ts').then((module) => gone || setPlot(module), () => {});
    return () => {
      gone = true;
    };
  }, []);
  useEffect(() => {
    if (!plot || !frame.current) return;
    return plot.draw(frame.current, { times, series, format, kind, stacked, height });
  }, [plot, times, series, format, kind, stacked, height, dark, language.value]);
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <div ref={frame} class="plot" style={{ minHeight: `${height}px` }} role="img" aria-label={t.chartOf(title)} />
      <details onToggle={(event) => setShown(event.currentTarget.open)}>
        <summary>{t.asTable}</summary>
        {shown && (
          <div class="table-frame chart-table" tabIndex={0} role="region" aria-label={title}>
            <table class="table plain">
              <caption class="unseen">{title}</caption>
              <thead>
                <tr>
                  <th scope="col">{t.time}</th>
                  {series.map(({ name }) => <th key={name} scope="col" class="end">{name}</th>)}
                </tr>
              </thead>
              <tbody>
                {times.map((at, n) => ({ at, n })).slice(-ROWS).reverse().map(({ at, n }) => (
                  <tr key={at}>
                    <th scope="row">{dateTime(at)}</th>
                    {series.map(({ name, values }) => {
                      const value = values[n];
                      return <td key={name} class="end">{value === null || value === undefined ? '–' : format(value)}</td>;
                    })}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </details>
    </figure>
  );
}
