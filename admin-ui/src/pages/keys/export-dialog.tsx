import { useState } from 'preact/hooks';
import { ApiError, askSession, problemOf, reach, session } from '../../api.ts';
import { explain } from '../../errors.ts';
import { common } from '../../texts/common.ts';
import { Button, Dialog, Field, Notice } from '../../ui/index.ts';
import { texts } from './texts.ts';

type Exported = { exported_at: string; keys: { key: string | null }[] };

/** Hands a text to the browser as a file. */
function download(name: string, text: string) {
  const address = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  // The browser has begun to save it by then.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Every key in clear, behind the password. */
export function ExportDialog({ onClose }: { onClose: () => void }) {
  const t = texts().exporting;
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState('');
  const [problem, setProblem] = useState('');
  const [done, setDone] = useState<{ keys: number; unread: number } | null>(null);
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    if (busy || password === '') return;
    setBusy(true);
    setWrong('');
    setProblem('');
    try {
      const response = await reach('/api/keys/export', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ password }) });
      if (!response.ok) throw await problemOf(response);
      const text = await response.text();
      const { keys } = JSON.parse(text) as Exported;
      download('rondo-keys.json', text);
      setPassword('');
      setDone({ keys: keys.length, unread: keys.filter(({ key }) => key === null).length });
    } catch (error) {
      const failure = error instanceof ApiError ? error : new ApiError(0, 'failed', String(error));
      // 401 says that the password is wrong, or that the session has ended: the latter shows in the next answer.
      if (failure.status === 401) {
        await askSession().catch(() => {});
        if (session.peek() === 'in') setWrong(t.wrong);
      } else setProblem(explain(failure));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title={t.title} onClose={onClose} actions={done && <Button autofocus onClick={onClose}>{texts().adding.done}</Button>}>
      {done ? (
        <Notice tone="ok" alert>{t.done(done.keys)} {done.unread > 0 && t.unread(done.unread)}</Notice>
      ) : (
        <form class="form" onSubmit={send}>
          <Notice tone="warn">
            <p><strong>{t.danger}</strong></p>
            <ul class="named">{t.points.map((point) => <li key={point}>{point}</li>)}</ul>
          </Notice>
          <Field label={t.password} type="password" autocomplete="current-password" autofocus required error={wrong} value={password} onValue={(value) => { setPassword(value); setWrong(''); }} />
          {problem && <Notice tone="error" alert>{problem}</Notice>}
          <div class="row">
            <Button type="submit" tone="danger" icon="download" busy={busy} disabled={password === ''}>{t.action}</Button>
            <Button onClick={onClose}>{common().cancel}</Button>
          </div>
        </form>
      )}
    </Dialog>
  );
}
