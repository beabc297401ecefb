import { useEffect, useState } from 'preact/hooks';
import { api, ApiError, session } from '../../api.ts';
import { explain } from '../../errors.ts';
import { Alone } from '../../shell.tsx';
import { Button } from '../../ui/button.tsx';
import { Field } from '../../ui/fields.tsx';
import { Notice } from '../../ui/parts.tsx';
import { toast } from '../../ui/toast.tsx';
import { SetPassword } from './set-password.tsx';
import { texts } from './texts.ts';
import { Locked, useLock } from './wait.tsx';

function LogIn({ onForgot }: { onForgot: () => void }) {
  const t = texts();
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const lock = useLock();
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    if (busy || lock.locked || password === '') return;
    setBusy(true);
    setProblem(null);
    try {
      await api.post('/api/auth/login', { password });
      session.value = 'in';
    } catch (error) {
      if (error instanceof ApiError && !lock.take(error)) setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  const wrong = problem?.status === 401 ? t.wrong : null;
  return (
    <>
      <h1>{t.title}</h1>
      <form class="form" onSubmit={send} noValidate>
        {/* For password managers: there is one account. */}
        <input class="unseen" type="text" name="username" value="rondo" autocomplete="username" tabIndex={-1} aria-hidden="true" readOnly />
        <Field label={t.password} name="password" type="password" value={password} onValue={(value) => { setPassword(value); setProblem(null); }} autocomplete="current-password" autofocus required error={wrong} />
        {problem && !wrong && <Notice tone="error" alert>{explain(problem)}</Notice>}
        <Locked left={lock.left} />
        <Button type="submit" tone="primary" busy={busy} disabled={lock.locked}>{t.logIn}</Button>
      </form>
      <Button tone="plain" class="link" onClick={onForgot}>{t.forgot}</Button>
    </>
  );
}

export default function Login() {
  const t = texts();
  const [forgot, setForgot] = useState(false);
  const title = forgot ? t.resetTitle : t.title;
  useEffect(() => {
    document.title = `${title} · Rondo`;
  }, [title]);
  return (
    <Alone>
      <div class="card lone">
        {forgot ? (
          <>
            <h1>{t.resetTitle}</h1>
            <p class="quiet">{t.resetText}</p>
            <SetPassword call="reset" onDone={() => { session.value = 'in'; toast.ok(t.resetDone); }} />
            <Button tone="plain" class="link" onClick={() => setForgot(false)}>{t.back}</Button>
          </>
        ) : (
          <LogIn onForgot={() => setForgot(true)} />
        )}
      </div>
    </Alone>
  );
}
