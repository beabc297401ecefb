// Is it healthy, and what is it doing now?
import type { ComponentChildren } from 'preact';
import { compact, number, time } from '../../format.ts';
import { href } from '../../router.ts';
import { Badge, Button, ButtonLink, Card, Icon, Notice, Stat, type Tone } from '../../ui/index.ts';
import type { KeyStatus } from '../../types.ts';
import { texts } from './texts.ts';
import type { Overview } from './types.ts';

/** What is missing, each with what to do about it. */
export function Missing({ overview }: { overview: Overview }) {
  const t = texts();
  if (overview.ready) return null;
  const { missing } = overview;
  return (
    <Notice tone="error" alert actions={missing.some(({ name }) => name === 'keys') ? <ButtonLink href={href('keys')}>{t.toKeys}</ButtonLink> : undefined}>
      <p class="overview-strong">{t.notReadyText}</p>
      {missing.length === 0 && <p>{t.noReason}</p>}
      <ul class="overview-missing">
        {missing.map(({ name, remedy }) => (
          <li key={name}>
            <code>{name}</code>
            {t.remedies[name] ? <span>{t.remedies[name]}</span> : <span lang="en">{remedy}</span>}
          </li>
        ))}
      </ul>
    </Notice>
  );
}

/** Upstreams that fail for everybody. */
export function Outages({ overview }: { overview: Overview }) {
  const t = texts();
  return (
    <>
      {overview.outages.map(({ provider, since }) => (
        <Notice key={provider} tone="error" alert>
          <p class="overview-strong">{t.outage(provider, time(since))}</p>
          <p>{t.outageText}</p>
        </Notice>
      ))}
    </>
  );
}

export function Now({ overview }: { overview: Overview }) {
  const t = texts();
  const { now, ready } = overview;
  const figure = (value: number | undefined) => (value === undefined ? '–' : value >= 100_000 ? compact(value) : number(value));
  return (
    <Card
      title={t.nowTitle}
      actions={ready ? <span title={t.readyText}><Badge tone="ok">{t.ready}</Badge></span> : <Badge tone="error">{t.notReady}</Badge>}
    >
      <div class="overview-now">
        <Stat label={t.requestsPerMinute} value={figure(now?.requests_per_minute)} />
        <Stat label={t.tokensPerMinute} value={figure(now?.tokens_per_minute)} />
        <Stat label={t.waiting} value={figure(now?.waiting)} note={t.waitingNote} />
        <Stat label={t.underWay} value={figure(now?.under_way)} note={t.underWayNote} />
      </div>
      {!now && <p class="hint">{t.noNow}</p>}
      {overview.demo && <p class="hint">{t.demoText}</p>}
    </Card>
  );
}

const STATES: [KeyStatus, Tone][] = [['active', 'ok'], ['cooling', 'wait'], ['suspended', 'warn'], ['invalid', 'error'], ['disabled', 'off']];

/** A bar of shares and a link to the keys of each state. */
export function KeyStates({ keys }: { keys: Overview['keys'] }) {
  const t = texts();
  return (
    <Card title={t.keysTitle} actions={<a href={href('keys')}>{t.allKeys} ({number(keys.total)})</a>}>
      <div class="overview-shares" aria-hidden="true">
        {STATES.filter(([state]) => keys[state] > 0).map(([state, tone]) => <i key={state} class={tone} style={{ flexGrow: keys[state] }} />)}
      </div>
      <ul class="overview-states">
        {STATES.map(([state, tone]) => (
          <li key={state} class={keys[state] ? '' : 'none'}>
            <a href={href('keys', { status: state })}>
              <Badge tone={tone}>{t.states[state]}</Badge>
              <span class="quiet overview-state-note">{t.stateNotes[state]}</span>
              <strong>{number(keys[state])}</strong>
            </a>
          </li>
        ))}
      </ul>
    </Card>
  );
}

export type Steps = { keys: boolean; token: boolean; call: boolean };

/** What a new Rondo needs, with what is done ticked off. */
export function NextSteps({ done }: { done: Steps }) {
  const t = texts();
  const steps = [['keys', 'keys'], ['token', 'tokens'], ['call', 'playground']] as const;
  const next = steps.find(([step]) => !done[step])?.[0];
  return (
    <Card title={t.startTitle}>
      <p class="quiet">{t.startIntro}</p>
      <ol class="overview-steps">
        {steps.map(([step, page]) => {
          const [name, text] = t.steps[step] as [string, string];
          return (
            <li key={step} class={done[step] ? 'done' : step === next ? 'next' : ''}>
              <span class="overview-step-mark"><Icon name={done[step] ? 'ok' : page} /></span>
              <div>
                <h3>{name} {done[step] && <Badge tone="ok">{t.done}</Badge>}</h3>
                <p class="quiet">{text}</p>
              </div>
              {!done[step] && <ButtonLink href={href(page)} tone={step === next ? 'primary' : 'normal'}>{name}</ButtonLink>}
            </li>
          );
        })}
      </ol>
    </Card>
  );
}

/** A button that opens and closes the rest of a list. */
export const More = ({ open, onOpen, children }: { open: boolean; onOpen: (open: boolean) => void; children: ComponentChildren }) => (
  <Button small tone="plain" class="link" icon={open ? 'up' : 'down'} aria-expanded={open} onClick={() => onOpen(!open)}>{children}</Button>
);
