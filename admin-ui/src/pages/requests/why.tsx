// Why this key? The pool's decision behind one attempt.
import { useEffect, useState } from 'preact/hooks';
import { api } from '../../api.ts';
import { duration, number, time } from '../../format.ts';
import { usePoll } from '../../live.ts';
import { Failed, Skeleton } from '../../ui/index.ts';
import { texts } from './texts.ts';
import type { Decision } from './types.ts';

function Told({ decision }: { decision: Decision }) {
  const t = texts();
  const { outcome, ahead, candidates, passed_over, skipped } = decision;
  const unnamed = passed_over - skipped.length;
  return (
    <>
      <ul class="requests-facts">
        <li>{t.candidates(number(candidates))} {passed_over > 0 ? t.passedOver(number(passed_over)) : t.nobody}</li>
        <li>{ahead > 0 ? t.ahead(number(ahead)) : t.noLine}</li>
        {!!outcome.delay_ms && <li>{t.delayed(duration(outcome.delay_ms))}</li>}
        {!!outcome.reserved && <li>{t.reserved(number(outcome.reserved))}</li>}
      </ul>
      {skipped.length > 0 && (
        <>
          <h4>{t.skippedKeys}</h4>
          <ul class="requests-skipped">
            {skipped.map(({ key, masked, why, until }) => (
              <li key={key}>
                <code>{masked ?? t.goneKey}</code>
                <span>{t.reasons[why] ?? why}{until && <span class="quiet"> ({t.until(time(until))})</span>}</span>
              </li>
            ))}
            {unnamed > 0 && <li class="quiet">{t.firstNamed(number(unnamed))}</li>}
          </ul>
        </>
      )}
    </>
  );
}

function Asked({ grant }: { grant: string }) {
  const t = texts();
  const { data, error, reload, busy } = usePoll((signal) => api.get<{ items: Decision[] }>('/api/decisions', { grant }, signal), 0, [grant]);
  if (error && !data) return <Failed error={error} retry={reload} busy={busy} />;
  if (!data) return <Skeleton rows={2} />;
  return data.items[0] ? <Told decision={data.items[0]} /> : <p class="quiet">{t.whyKept}</p>;
}

/** Asked for when it is opened. */
export function Why({ grant, begin }: { grant: string; /** Open at once. */ begin: boolean }) {
  const t = texts();
  const [open, setOpen] = useState(begin);
  useEffect(() => setOpen(begin), [grant]);
  return (
    <details class="requests-why" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t.why}</summary>
      {open && <Asked grant={grant} />}
    </details>
  );
}
