// Numbers, sizes, times and durations in the language of the page.
import { language } from './i18n.ts';

const locale = () => (language.value === 'zh' ? 'zh-CN' : 'en');

const made = new Map<string, unknown>();
/** Formatters are dear to make and few: each is kept. */
function once<T>(name: string, make: (locale: string) => T): T {
  const id = `${locale()} ${name}`;
  if (!made.has(id)) made.set(id, make(locale()));
  return made.get(id) as T;
}

const withOptions = (name: string, options: Intl.NumberFormatOptions) =>
  once(name, (locale) => new Intl.NumberFormat(locale, options));

/** 12,345.6 */
export const number = (value: number, digits = 1) =>
  withOptions(`n${digits}`, { maximumFractionDigits: digits }).format(value);

/** 12K, 1.2万 */
export const compact = (value: number) =>
  withOptions('compact', { notation: 'compact', maximumFractionDigits: 1 }).format(value);

/** `share` of 1 as 12.3% */
export const percent = (share: number, digits = 1) =>
  withOptions(`p${digits}`, { style: 'percent', maximumFractionDigits: digits }).format(share);

/** 1,536 as 1.5 kB */
export function bytes(value: number) {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const;
  const step = value < 1000 ? 0 : Math.min(Math.floor(Math.log10(value) / 3), units.length - 1);
  const unit = units[step] ?? 'byte';
  return withOptions(unit, { style: 'unit', unit, maximumFractionDigits: 1 }).format(value / 1000 ** step);
}

type Unit = 'millisecond' | 'second' | 'minute' | 'hour' | 'day';
const SIZES: [Unit, number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
  ['millisecond', 1],
];
const inUnit = (value: number, unit: Unit, digits = 0) =>
  withOptions(`${unit}${digits}`, {
    style: 'unit',
    unit,
    unitDisplay: language.value === 'zh' ? 'short' : 'narrow',
    maximumFractionDigits: digits,
  }).format(value);

/** 340ms, 2.4s, 3m 20s, 5h 12m, 3d 4h: at most two units. */
export function duration(ms: number) {
  const value = Math.max(0, Math.round(ms));
  if (value < 1_000) return inUnit(value, 'millisecond');
  if (value < 60_000) return inUnit(value / 1_000, 'second', value < 10_000 ? 1 : 0);
  const at = SIZES.findIndex(([, size]) => value >= size);
  const [unit, size] = SIZES[at] ?? ['minute', 60_000];
  const [lesser, lesserSize] = SIZES[at + 1] ?? ['second', 1_000];
  const rest = Math.floor((value % size) / lesserSize);
  const whole = inUnit(Math.floor(value / size), unit);
  return rest > 0 ? `${whole} ${inUnit(rest, lesser)}` : whole;
}

/** "3 minutes ago", "in 2 hours"; `now` is for tests. */
export function ago(at: string | number | Date, now = Date.now()) {
  const difference = new Date(at).getTime() - now;
  const relative = once('ago', (locale) => new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }));
  const [unit, size] = SIZES.find(([, size]) => Math.abs(difference) >= size && size >= 1_000) ?? ['second', 1_000];
  return relative.format(Math.round(difference / size), unit as Intl.RelativeTimeFormatUnit);
}

/** Date and time of the browser's zone, to the second. */
export const dateTime = (at: string | number | Date) =>
  once('dateTime', (locale) => new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' })).format(
    new Date(at),
  );

/** Time of day of the browser's zone. */
export const time = (at: string | number | Date) =>
  once('time', (locale) => new Intl.DateTimeFormat(locale, { timeStyle: 'medium' })).format(new Date(at));
