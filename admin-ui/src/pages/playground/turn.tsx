// One turn: what was said, what came back, and what is known of the call.
import { session, type ApiError } from '../../api.ts';
import { duration, number } from '../../format.ts';
import { href } from '../../router.ts';
import { Button, ButtonLink, Notice } from '../../ui/index.ts';
import { again, speedOf, takeBack, type Turn } from './talk.ts';
import { texts } from './texts.ts';

/** What to do about a failed call. */
function Remedy({ error, isLast }: { error: ApiError; isLast: boolean }) {
  const t = texts();
  const status = error.status >= 500 && error.status !== 503 ? 502 : error.status;
  const edit = () => {
    takeBack();
    document.querySelector<HTMLTextAreaElement>('.playground-composer textarea')?.focus();
  };
  const actions = (
    <>
      {status === 401 && <Button small onClick={() => { session.value = 'out'; }}>{t.logIn}</Button>}
      {status === 404 && <ButtonLink href={href('models')}>{t.modelsPage}</ButtonLink>}
      {(status === 429 || status === 502 || status === 503) && <ButtonLink href={href('keys')}>{t.keysPage}</ButtonLink>}
      {isLast && status !== 401 && <Button small icon="refresh" onClick={again}>{t.again}</Button>}
      {isLast && (status === 400 || status === 413) && <Button small onClick={edit}>{t.edit}</Button>}
    </>
  );
  return (
    <Notice tone="error" alert>
      <p>{t.remedies[status] ?? t.other}</p>
      {error.retryAfterMs !== null && <p>{t.waitFor(duration(error.retryAfterMs))}</p>}
      {error.detail && <p class="quiet" lang="en">{error.detail}</p>}
      <p class="playground-remedy">{actions}</p>
    </Notice>
  );
}

function Figures({ turn }: { turn: Turn }) {
  const t = texts();
  const { told, end } = turn;
  const speed = end && speedOf(end);
  const all: [string, preact.ComponentChildren][] = [];
  if (end?.firstTokenMs != null) all.push([t.first, duration(end.firstTokenMs)]);
  if (speed != null) all.push([t.speed, t.perSecond(number(speed, speed < 10 ? 1 : 0))]);
  if (end) all.push([t.total, duration(end.durationMs)]);
  if (end?.usage) all.push([t.tokens, t.inOut(number(end.usage.prompt_tokens), number(end.usage.completion_tokens))]);
  if (told.attempts !== null) all.push([t.attempts, told.attempts]);
  if (turn.keys && turn.keys.length > 0) all.push([t.keys(turn.keys.length), <span class="mono">{turn.keys.join(' → ')}</span>]);
  if (told.waitMs !== null) all.push([t.wait, duration(told.waitMs)]);
  if (told.id !== null) all.push([t.request, <a class="mono playground-id" href={href('requests', { id: told.id })} title={t.story(told.id)}>{told.id}</a>]);
  return (
    <dl class="playground-figures">
      {all.map(([name, value]) => (
        <div key={name}><dt>{name}</dt><dd>{value}</dd></div>
      ))}
    </dl>
  );
}

export function TurnView({ turn, isLast, streamed }: { turn: Turn; isLast: boolean; streamed: boolean }) {
  const t = texts();
  const { state, answer, reasoning, end } = turn;
  const busy = state === 'running';
  return (
    <article class="playground-turn">
      <div class="playground-said">
        <p class="playground-who">{t.you}</p>
        <p class="playground-text">{turn.prompt}</p>
      </div>
      <div class="playground-answer" aria-busy={busy}>
        <p class="playground-who">{turn.told.model ?? turn.asked}</p>
        {reasoning && (
          <details class="playground-reasoning">
            <summary>{t.reasoning}</summary>
            <p class="playground-text">{reasoning}</p>
          </details>
        )}
        {busy && !answer && <p class="quiet">{streamed && !reasoning ? t.waiting : t.waitingWhole}</p>}
        {answer && <p class="playground-text">{answer}{busy && <span class="caret" aria-hidden="true" />}</p>}
        {state === 'done' && !answer && <p class="quiet">{t.empty}</p>}
        {state === 'done' && answer && end?.finish === 'length' && <p class="hint">{t.cutByLength}</p>}
        {state === 'done' && end?.finish === null && <p class="hint">{t.noEnd}</p>}
        {state === 'stopped' && <p class="quiet">{t.stopped}</p>}
        {turn.error && <Remedy error={turn.error} isLast={isLast} />}
        {!busy && <Figures turn={turn} />}
      </div>
    </article>
  );
}
