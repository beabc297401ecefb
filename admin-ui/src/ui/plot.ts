// uPlot, dressed in the theme. Only chart.tsx imports it, and only when a chart is shown.
import uPlot from 'uplot';
import { language } from '../i18n.ts';
import { common } from '../texts/common.ts';
import type { ChartProps, Series } from './chart.tsx';

const COLORS = 6;

type Drawn = Series & { drawn: (number | null)[]; place: number };

function stack(series: Series[], length: number): Drawn[] {
  const sum = new Array<number>(length).fill(0);
  return series.map((one, place) => ({ ...one, place, drawn: sum.map((below, n) => (sum[n] = below + (one.values[n] ?? 0))) }));
}

/** Draws into `frame`, follows its width, and gives back what takes it away. */
export function draw(frame: HTMLElement, { times, series: given, format, kind, stacked, height }: Required<Omit<ChartProps, 'title'>>) {
  const style = getComputedStyle(frame);
  // The highest of a stack is drawn first and the others over it.
  const series: Drawn[] = stacked ? stack(given, times.length).reverse() : given.map((one, place) => ({ ...one, place, drawn: one.values }));
  // Canvas knows no light-dark(): the colour that CSS makes of it is read from an element.
  const probe = frame.appendChild(document.createElement('span'));
  const color = (name: string) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const colors = series.map(({ tone, place }) => color(tone ?? `series-${(place % COLORS) + 1}`));
  const fills = stacked ? colors : colors.map((solid) => solid.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.14)'));
  const [line, quiet] = [color('line'), color('quiet')];
  probe.remove();
  const font = `12px ${style.fontFamily}`;
  const axis = { stroke: quiet, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
  const locale = language.value === 'zh' ? 'zh-CN' : 'en';
  const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hour12: false });
  const day = new Intl.DateTimeFormat(locale, { month: 'short', day: 'numeric' });
  const full = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' });
  const bars = kind === 'bars' ? uPlot.paths.bars?.({ size: [0.7, 40] }) : undefined;
  const chart = new uPlot(
    {
      width: Math.max(frame.clientWidth, 100),
      height,
      legend: { live: true },
      cursor: { points: { size: 6 }, drag: { x: false, y: false } },
      scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] } },
      axes: [
        { ...axis, grid: { show: false }, space: 70, values: (_, at, __, ___, step) => at.map((s) => (step >= 86_400 ? day : clock).format(s * 1_000)) },
        { ...axis, size: 56, values: (_, at) => at.map((value) => format(value)) },
      ],
      series: [
        { label: common().time, value: (_, s) => (s === null || s === undefined ? '' : full.format(s * 1_000)) },
        ...series.map(({ name, values }, at) => ({
          label: name,
          stroke: colors[at] ?? quiet,
          width: stacked ? 0 : 2,
          ...(kind === 'line' ? {} : { fill: fills[at] ?? quiet }),
          ...(bars ? { paths: bars } : {}),
          // A value between unknown ones makes no line: it is a point.
          points: { show: true, size: 5, filter: () => (stacked ? [] : values.flatMap((value, n) => (value !== null && (values[n - 1] ?? null) === null && (values[n + 1] ?? null) === null ? [n] : []))) },
          value: (_: uPlot, __: number | null, ___: number, n: number | null) => {
            const value = n === null ? null : (values[n] ?? null);
            return value === null ? '–' : format(value);
          },
        })),
      ],
    },
    [times.map((at) => at / 1_000), ...series.map(({ drawn }) => drawn)],
    frame,
  );
  const watch = new ResizeObserver(() => {
    if (frame.clientWidth > 0 && frame.clientWidth !== chart.width) chart.setSize({ width: frame.clientWidth, height });
  });
  watch.observe(frame);
  return () => {
    watch.disconnect();
    chart.destroy();
  };
}
