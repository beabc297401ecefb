// Setup code and new password: for the first run and for a forgotten password.
import { useState } from 'preact/hooks';
import { api, ApiError } from '../../api.ts';
import { explain } from '../../errors.ts';
import { Button } from '../../ui/button.tsx';
import { Checkbox, Field } from '../../ui/fields.tsx';
import { Notice } from '../../ui/parts.tsx';
import { texts } from './texts.ts';
import { Locked, useLock } from './wait.tsx';

const MIN_CHARACTERS = 8;
const MAX_BYTES = 1_024;

/** 0 too short to 4 strong: a rough measure by length and kinds of characters, as a hint only. */
export function strengthOf(password: string): 0 | 1 | 2 | 3 | 4 {
  const characters = [...password];
  if (characters.length < MIN_CHARACTERS) return 0;
  const kinds = [/\p{Ll}/u, /\p{Lu}/u, /\p{N}/u, /[^\p{L}\p{N}]/u, /[^\p{ASCII}]/u].filter((kind) => kind.test(password)).length;
  const bits = Math.min(characters.length, new Set(characters).size * 2) * (2 + kinds);
  return bits < 30 ? 1 : bits < 50 ? 2 : bits < 75 ? 3 : 4;
}

type Props = { call: 'setup' | 'reset'; onDone: () => void };

export function SetPassword({ call, onDone }: Props) {
  const t = texts();
  const [code, setCode] = useState('');
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const [shown, setShown] = useState(false);
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const lock = useLock();
  const strength = strengthOf(password);
  const tooLong = new TextEncoder().encode(password).length > MAX_BYTES;
  const badPassword = strength === 0 ? t.tooShort : tooLong ? t.tooLong : null;
  const different = password !== again;

  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    setTried(true);
    if (busy || lock.locked || badPassword || different || code.trim() === '') return;
    setBusy(true);
    setProblem(null);
    try {
      await api.post(`/api/auth/${call}`, { password, setup_code: code.trim() });
      onDone();
    } catch (error) {
      if (error instanceof ApiError && !lock.take(error)) setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  const type = shown ? 'text' : 'password';
  const wrongCode = problem?.status === 403 || problem?.field === 'setup_code' ? t.wrongCode : null;
  return (
    <form class="form" onSubmit={send} noValidate>
      <Field label={t.code} name="setup-code" value={code} onValue={setCode} autocomplete="off" autocapitalize="off" spellcheck={false} required error={wrongCode ?? (tried && code.trim() === '' ? t.wrongCode : null)} />
      <Field label={t.newPassword} name="password" type={type} value={password} onValue={setPassword} autocomplete="new-password" required hint={t.advice} error={tried ? badPassword : null} />
      {password !== '' && (
        <p class={`strength s${strength}`} role="status">
          <span class="strength-bar" aria-hidden="true"><i /><i /><i /><i /></span>
          {t.strength}: {t.strengths[strength]}
        </p>
      )}
      <Field label={t.repeat} name="repeat" type={type} value={again} onValue={setAgain} autocomplete="new-password" required error={tried && different ? t.different : null} />
      <Checkbox label={t.show} checked={shown} onValue={setShown} />
      {problem && !wrongCode && <Notice tone="error" alert>{explain(problem)}</Notice>}
      <Locked left={lock.left} />
      <Button type="submit" tone="primary" busy={busy} disabled={lock.locked}>{t.set}</Button>
    </form>
  );
}
