import { api } from '../../api.ts';
import { dateTime, number, time } from '../../format.ts';
import { usePoll } from '../../live.ts';
import { named } from '../../named.ts';
import { Age, Badge, Failed, Skeleton } from '../../ui/index.ts';
import { Typed } from './parts.tsx';
import { texts } from './texts.ts';
import type { Decision } from './types.ts';

const SHOWN = 20;
const EACH_MS = 15_000;

function One({ decision, id }: { decision: Decision; id: string }) {
  const t = texts().detail;
  const { outcome } = decision;
  const chosen = outcome.kind === 'granted' && outcome.key === id;
  const own = decision.skipped.find(({ key }) => key === id);
  const who = decision.token ? (decision.token.id === '' ? t.playground : (decision.token.name ?? t.tokenGone)) : t.anyone;
  return (
    <li>
      <div class="row">
        {chosen ? <Badge tone="ok">{t.chosen}</Badge> : <Badge tone="off" icon="right">{t.passed}</Badge>}
        <time class="quiet" dateTime={decision.at} title={dateTime(decision.at)}>{time(decision.at)}</time>
        <span class="quiet">{t.attempt(decision.attempt)}</span>
      </div>
      <p><Typed class="whole">{t.forWhom(named(who), decision.asked ? named(decision.asked) : t.anyModel)}</Typed></p>
      <p class="quiet">
        {chosen && <><code>{outcome.model}</code> · {t.candidates(number(decision.passed_over), number(decision.candidates))}</>}
        {!chosen && own && <>{t.why[own.why] ?? own.why}{own.until && ` · ${t.until(time(own.until))}`} · </>}
        {!chosen && (outcome.kind === 'granted' ? t.instead(outcome.masked ?? '…') : t.outcomes[outcome.kind])}
      </p>
    </li>
  );
}

/** Why this key was chosen or passed over, newest first. */
export function Decisions({ id }: { id: string }) {
  const t = texts().detail;
  const list = usePoll((signal) => api.get<{ items: Decision[]; total: number }>('/api/decisions', { key: id, limit: SHOWN }, signal), EACH_MS, [id]);
  const items = list.data?.items;
  return (
    <section class="keys-part">
      <header class="row"><h3>{t.decisions}</h3><span class="space" /><Age at={list.at} error={list.error} /></header>
      {list.error && !items && <Failed error={list.error} retry={list.reload} busy={list.busy} />}
      {!items && !list.error && <Skeleton rows={3} height={2.6} />}
      {items?.length === 0 && <p class="quiet">{t.noDecisions}</p>}
      {items && items.length > 0 && <ul class="keys-decisions">{items.map((decision, at) => <One key={`${decision.at} ${at}`} decision={decision} id={id} />)}</ul>}
    </section>
  );
}
