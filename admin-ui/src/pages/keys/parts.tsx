// Small parts of this page.
import type { ComponentChildren } from 'preact';
import { ago, dateTime, duration } from '../../format.ts';
import { useNow } from '../../live.ts';
import type { Key, KeyStatus } from '../../types.ts';
import { Badge, type IconName, type Tone } from '../../ui/index.ts';
import { seenGroups } from './query.ts';
import { texts, type KeyTexts } from './texts.ts';

const LOOKS: Record<KeyStatus, [Tone, IconName]> = {
  active: ['ok', 'ok'],
  cooling: ['wait', 'wait'],
  suspended: ['warn', 'warn'],
  invalid: ['error', 'error'],
  disabled: ['off', 'pause'],
};

export function StateBadge({ status }: { status: KeyStatus }) {
  const [tone, icon] = LOOKS[status] ?? ['off', 'info'];
  return <Badge tone={tone} icon={icon}>{texts().states[status] ?? status}</Badge>;
}

/** The Worker's reasons in the page's language, where they are known. */
export function reasonText(t: KeyTexts, reason: string | null): string {
  if (!reason) return '';
  const model = /^quota of (.+)$/.exec(reason)?.[1];
  return model ? t.quotaOf(model) : (t.reasons[reason] ?? reason);
}

/** Counts down to `until`. */
export function TimeLeft({ until }: { until: string }) {
  const t = texts();
  const now = useNow();
  const left = Date.parse(until) - now;
  return <span class="countdown" title={dateTime(until)}>{left > 0 ? t.left(duration(Math.ceil(left / 1_000) * 1_000)) : t.now}</span>;
}

/** State, why, and for how long. */
export function KeyState({ row }: { row: Pick<Key, 'status' | 'reason' | 'until'> }) {
  const t = texts();
  const reason = reasonText(t, row.reason);
  return (
    <div class="keys-state">
      <StateBadge status={row.status} />
      {(reason || row.until) && (
        <p class="keys-why">
          {reason && <span>{reason}</span>}
          {row.until && <TimeLeft until={row.until} />}
        </p>
      )}
    </div>
  );
}

/** What an operator typed: text only, in its own direction. */
export const Typed = ({ children, class: more = '' }: { children: string; class?: string }) => <bdi class={`keys-typed ${more}`}>{children}</bdi>;

export function When({ at, none }: { at: string | null; none: ComponentChildren }) {
  const now = useNow(30_000);
  return at ? <time dateTime={at} title={dateTime(at)}>{ago(at, Math.max(now, Date.parse(at)))}</time> : <span class="quiet">{none}</span>;
}

export const GROUPS_LIST = 'keys-groups';
/** Once in the page; fields name it by `list`. */
export const GroupNames = () => (
  <datalist id={GROUPS_LIST}>
    {seenGroups.value.map((group) => <option key={group} value={group} />)}
  </datalist>
);
