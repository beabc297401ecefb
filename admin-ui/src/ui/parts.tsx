// The small parts of pages.
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import type { ApiError } from '../api.ts';
import { explain } from '../errors.ts';
import { ago, percent } from '../format.ts';
import { useNow } from '../live.ts';
import { moved } from '../router.ts';
import { common } from '../texts/common.ts';
import { Button } from './button.tsx';
import { Icon, type IconName } from './icons.tsx';

export type Tone = 'ok' | 'warn' | 'error' | 'wait' | 'off' | 'info';

/** A page's frame: its heading takes the focus when one comes from another page; its name is the window's title. */
export function Page({ title, actions, intro, children }: { title: string; actions?: ComponentChildren; intro?: ComponentChildren; children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Rondo`;
  }, [title]);
  useEffect(() => {
    if (moved.peek()) heading.current?.focus();
    scrollTo(0, 0);
  }, []);
  return (
    <div class="page">
      <header class="page-head">
        <h1 ref={heading} tabIndex={-1}>{title}</h1>
        {actions && <div class="actions">{actions}</div>}
      </header>
      {intro && <p class="intro">{intro}</p>}
      {children}
    </div>
  );
}

/** A part of a page with its own heading. */
export const Card = ({ title, actions, children }: { title?: string; actions?: ComponentChildren; children: ComponentChildren }) => (
  <section class="card">
    {(title || actions) && (
      <header>
        {title && <h2>{title}</h2>}
        {actions && <div class="actions">{actions}</div>}
      </header>
    )}
    {children}
  </section>
);

/** What somebody typed, or another machine sent: text only, in its own direction, whatever stands beside it. */
export const Typed = ({ children }: { children: string }) => <bdi class="typed">{children}</bdi>;

/** A state: icon and words, with a colour besides. */
export const Badge = ({ tone, icon = tone, children }: { tone: Tone; icon?: IconName; children: ComponentChildren }) => (
  <span class={`badge ${tone}`}>
    <Icon name={icon} size={14} />
    {children}
  </span>
);

/** A sentence that matters, within the page. */
export const Notice = ({ tone, children, actions, alert }: { tone: Tone; children: ComponentChildren; actions?: ComponentChildren; /** Announce it when it comes. */ alert?: boolean }) => (
  <div class={`notice ${tone}`} role={alert ? 'alert' : undefined}>
    <Icon name={tone} />
    <div class="notice-text">{children}</div>
    {actions && <div class="actions">{actions}</div>}
  </div>
);

/** What a call threw, with a button to try again. */
export function Failed({ error, retry, busy }: { error: ApiError; retry?: () => void; busy?: boolean }) {
  const t = common();
  return (
    <Notice tone="error" alert actions={retry && <Button small busy={busy} onClick={retry}>{t.retry}</Button>}>
      {explain(error)}
    </Notice>
  );
}

export const Empty = ({ title, icon = 'info', children, actions }: { title: string; icon?: IconName; children?: ComponentChildren; actions?: ComponentChildren }) => (
  <div class="empty">
    <Icon name={icon} size={28} />
    <p class="empty-title">{title}</p>
    {children && <p>{children}</p>}
    {actions && <div class="actions">{actions}</div>}
  </div>
);

/** Holds the place of what is loading, so that nothing jumps. `height` in rem. */
export function Skeleton({ height = 1.25, rows = 1 }: { height?: number; rows?: number }) {
  const t = common();
  return (
    <div class="skeletons" role="status" aria-label={t.loading}>
      {Array.from({ length: rows }, (_, at) => (
        <div key={at} class="skeleton" style={{ height: `${height}rem` }} />
      ))}
    </div>
  );
}

/** `share` of 1; undefined while it is not known. */
export function Progress({ label, share, text }: { label: string; share?: number; text?: string }) {
  const id = useId();
  return (
    <div class="progress">
      <p id={id}><span>{label}</span> <span class="quiet">{text ?? (share === undefined ? '' : percent(share, 0))}</span></p>
      <progress aria-labelledby={id} max={1} value={share} />
    </div>
  );
}

/** How much of a limit is used. `text` says it in numbers; its tone follows the share. */
export function Meter({ label, used, limit, text }: { label: string; used: number; limit: number; text: string }) {
  const share = limit > 0 ? Math.min(1, used / limit) : 0;
  const tone = share >= 0.95 ? 'error' : share >= 0.8 ? 'warn' : 'ok';
  return (
    <div class={`meter ${tone}`}>
      <p><span>{label}</span> <span class="quiet">{text}</span></p>
      <div class="meter-bar" role="meter" aria-label={label} aria-valuemin={0} aria-valuemax={limit} aria-valuenow={Math.min(used, limit)} aria-valuetext={text}>
        <div style={{ width: `${share * 100}%` }} />
      </div>
    </div>
  );
}

/** One figure with its name. Several stand in `<div class="stats">`. */
export const Stat = ({ label, value, note, tone }: { label: string; value: ComponentChildren; note?: ComponentChildren; tone?: Tone }) => (
  <div class={`stat ${tone ?? ''}`}>
    <p class="stat-label">{label}</p>
    <p class="stat-value">{value}</p>
    {note && <p class="stat-note">{note}</p>}
  </div>
);

/** Tabs by arrow keys. The panel is rendered by the page as `children`. */
export function Tabs<V extends string>({ label, value, onValue, tabs, children }: { label: string; value: V; onValue: (value: V) => void; tabs: { value: V; label: string }[]; children: ComponentChildren }) {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const at = (tabs.findIndex((tab) => tab.value === value) + step + tabs.length) % tabs.length;
    const next = tabs[at];
    if (next) onValue(next.value);
    list.current?.querySelectorAll<HTMLElement>('[role=tab]')[at]?.focus();
  };
  return (
    <>
      <div class="tabs" role="tablist" aria-label={label} ref={list} onKeyDown={move}>
        {tabs.map((tab) => (
          <button key={tab.value} type="button" role="tab" id={`${id}-${tab.value}`} aria-selected={tab.value === value} aria-controls={`${id}-panel`} tabIndex={tab.value === value ? 0 : -1} onClick={() => onValue(tab.value)}>
            {tab.label}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${value}`}>{children}</div>
    </>
  );
}

/** How old the data is. `at` in milliseconds of the epoch. */
export function Age({ at, error }: { at: number | undefined; error?: ApiError | undefined }) {
  const t = common();
  const now = useNow(5_000);
  if (at === undefined) return null;
  return (
    <span class={`age${error ? ' stale' : ''}`} title={error ? explain(error) : undefined}>
      {error && <Icon name="warn" size={14} />}
      {t.updated(ago(at, Math.max(now, at)))}
    </span>
  );
}
