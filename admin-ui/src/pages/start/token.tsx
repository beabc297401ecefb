import { useState } from 'preact/hooks';
import { api, ApiError } from '../../api.ts';
import { explain } from '../../errors.ts';
import type { NewToken } from '../../types.ts';
import { Button } from '../../ui/button.tsx';
import { Copy } from '../../ui/copy.tsx';
import { Field } from '../../ui/fields.tsx';
import { Notice } from '../../ui/parts.tsx';
import { texts } from './texts.ts';

type Props = { token: string | null; onMade: (token: string) => void; onDone: () => void };

export function MakeToken({ token, onMade, onDone }: Props) {
  const t = texts();
  const [name, setName] = useState(t.token.defaultName);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const bad = name.trim() === '' || [...name].length > 100;
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    if (busy || bad) return;
    setBusy(true);
    setProblem(null);
    try {
      onMade((await api.post<NewToken>('/api/tokens', { name: name.trim() })).token);
    } catch (error) {
      if (error instanceof ApiError) setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  if (token) {
    return (
      <>
        <div class="secret">
          <p class="stat-label">{t.token.yours}</p>
          <code id="new-token">{token}</code>
          <Copy text={token} label={t.token.copy} primary />
        </div>
        <Notice tone="warn" alert>{t.token.once}</Notice>
        <Button tone="primary" onClick={onDone}>{t.next}</Button>
      </>
    );
  }
  return (
    <form class="form" onSubmit={send}>
      <Field label={t.token.name} name="token-name" value={name} onValue={setName} maxLength={100} required error={bad ? t.token.needName : null} />
      {problem && <Notice tone="error" alert>{explain(problem)}</Notice>}
      <Button type="submit" tone="primary" busy={busy}>{t.token.make}</Button>
    </form>
  );
}
