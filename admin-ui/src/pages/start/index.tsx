// The first run: password, keys, token, test call, tools. Every step but the first can be skipped.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { session } from '../../api.ts';
import { go } from '../../router.ts';
import { setSetupStep, setupStep, STEPS, type Step } from '../../setup-step.ts';
import { Alone } from '../../shell.tsx';
import { Button } from '../../ui/button.tsx';
import { Icon } from '../../ui/icons.tsx';
import { SetPassword } from '../login/set-password.tsx';
import { TestCall } from './call.tsx';
import { ConnectStep } from './connect.tsx';
import { AddKeys } from './keys.tsx';
import { texts } from './texts.ts';
import { MakeToken } from './token.tsx';

/** Heading and text of a step; the heading takes the focus when the step is reached. */
function StepFrame({ title, text, children, focus }: { title: string; text: string; children: ComponentChildren; focus: boolean }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (focus) heading.current?.focus();
  }, []);
  return (
    <section class="card lone">
      <h1 ref={heading} tabIndex={-1}>{title}</h1>
      <p class="quiet">{text}</p>
      {children}
    </section>
  );
}

export default function Start() {
  const t = texts();
  const step: Step = session.value === 'new' ? 'password' : (setupStep.value ?? 'keys');
  const at = STEPS.indexOf(step);
  // In memory only: a secret is not kept in the browser.
  const [token, setToken] = useState<string | null>(null);
  const first = useRef(step);
  useEffect(() => {
    document.title = `${t.title} · Rondo`;
  }, [t]);
  useEffect(() => {
    if (session.value === 'in' && setupStep.peek() === null) setSetupStep('keys');
  }, []);

  const to = (next: Step) => setSetupStep(next);
  const forward = () => to(STEPS[at + 1] ?? 'connect');
  const signedIn = () => {
    setSetupStep('keys');
    // The address says where this is, so that a reload comes back here.
    go('start');
    session.value = 'in';
  };
  const finish = () => {
    go('overview');
    setSetupStep(null);
  };
  const bodies: Record<Step, () => ComponentChildren> = {
    password: () => <SetPassword call="setup" onDone={signedIn} />,
    keys: () => <AddKeys onDone={forward} />,
    token: () => <MakeToken token={token} onMade={setToken} onDone={forward} />,
    call: () => <TestCall token={token} onNeedToken={() => to('token')} onDone={forward} />,
    connect: () => <ConnectStep token={token} onDone={finish} />,
  };
  return (
    <Alone wide>
      <ol class="start-steps" aria-label={t.title}>
        {STEPS.map((name, n) => (
          <li key={name} class={n < at ? 'done' : n === at ? 'current' : ''} aria-current={n === at ? 'step' : undefined}>
            <span class="start-dot">{n < at ? <Icon name="ok" size={14} /> : n + 1}</span>
            <span class="start-name">{t.steps[name]}</span>
          </li>
        ))}
      </ol>
      <StepFrame key={step} title={t[step].title} text={t[step].text} focus={first.current !== step}>
        {bodies[step]()}
      </StepFrame>
      {step !== 'password' && (
        <div class="start-ways">
          {at > 1 && <Button tone="plain" icon="left" onClick={() => to(STEPS[at - 1] ?? 'keys')}>{t.back}</Button>}
          <span class="space" />
          {step !== 'connect' && <Button tone="plain" onClick={() => go('overview')}>{t.later}</Button>}
          {step !== 'connect' && <Button tone="plain" onClick={forward}>{t.skip}</Button>}
        </div>
      )}
    </Alone>
  );
}
