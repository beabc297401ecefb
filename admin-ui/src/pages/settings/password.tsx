// A new admin password. The Worker ends every session with it; this one logs in again at once.
import { useState } from 'preact/hooks';
import { api, ApiError, session } from '../../api.ts';
import { explain } from '../../errors.ts';
import { Button, Card, Checkbox, Field, Notice, toast } from '../../ui/index.ts';
import { strengthOf } from '../login/set-password.tsx';
import { texts as loginTexts } from '../login/texts.ts';
import { Locked, useLock } from '../login/wait.tsx';
import { withoutName } from './section.tsx';
import { texts } from './texts.ts';

const MAX_BYTES = 1_024;

export function Password({ onChanged }: { onChanged: () => void }) {
  const t = texts().password;
  const l = loginTexts();
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const [again, setAgain] = useState('');
  const [shown, setShown] = useState(false);
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const lock = useLock();
  const strength = strengthOf(next);
  const bad = strength === 0 ? l.tooShort : new TextEncoder().encode(next).length > MAX_BYTES ? l.tooLong : null;
  const different = next !== again;
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    setTried(true);
    if (busy || lock.locked || !current || bad || different) return;
    setBusy(true);
    setProblem(null);
    try {
      await api.post('/api/auth/password', { current, new: next });
      try {
        await api.post('/api/auth/login', { password: next });
        session.value = 'in';
        toast.ok(t.done);
        onChanged();
      } catch {
        toast.ok(t.doneLogIn);
        session.value = 'out';
      }
      setCurrent('');
      setNext('');
      setAgain('');
      setTried(false);
    } catch (error) {
      const failure = error instanceof ApiError ? error : new ApiError(0, 'failed', String(error));
      if (failure.status === 401 && failure.title !== 'Wrong password') session.value = 'out';
      else if (!lock.take(failure)) setProblem(failure);
    } finally {
      setBusy(false);
    }
  };
  const type = shown ? 'text' : 'password';
  const wrong = problem?.status === 401 ? l.wrong : problem?.field === 'current' ? withoutName(problem) : null;
  const wrongNew = problem?.field === 'new' ? withoutName(problem) : null;
  return (
    <Card title={t.title}>
      <p class="quiet">{t.text}</p>
      <form class="form settings-narrow" onSubmit={send} noValidate>
        <input class="unseen" type="text" name="username" value="rondo" autocomplete="username" tabIndex={-1} aria-hidden="true" readOnly />
        <Field label={t.current} name="current" type={type} value={current} onValue={(value) => { setCurrent(value); setProblem(null); }} autocomplete="current-password" required error={wrong ?? (tried && !current ? t.needCurrent : null)} />
        <Field label={l.newPassword} name="new" type={type} value={next} onValue={setNext} autocomplete="new-password" required hint={l.advice} error={tried ? (bad ?? wrongNew) : null} />
        {next !== '' && (
          <p class={`strength s${strength}`} role="status">
            <span class="strength-bar" aria-hidden="true"><i /><i /><i /><i /></span>
            {l.strength}: {l.strengths[strength]}
          </p>
        )}
        <Field label={l.repeat} name="repeat" type={type} value={again} onValue={setAgain} autocomplete="new-password" required error={tried && different ? l.different : null} />
        <Checkbox label={t.show} checked={shown} onValue={setShown} />
        {problem && !wrong && !wrongNew && <Notice tone="error" alert>{explain(problem)}</Notice>}
        <Locked left={lock.left} />
        <Button type="submit" tone="primary" busy={busy} disabled={lock.locked}>{t.change}</Button>
      </form>
    </Card>
  );
}
