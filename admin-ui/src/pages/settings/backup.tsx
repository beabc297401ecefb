// A backup as a file, and a file back into the pool.
import { useId, useState } from 'preact/hooks';
import { api, ApiError } from '../../api.ts';
import { explain } from '../../errors.ts';
import { bytes, dateTime, number } from '../../format.ts';
import { Button, Card, Field, Notice, toast } from '../../ui/index.ts';
import { texts as loginTexts } from '../login/texts.ts';
import { Locked, useLock } from '../login/wait.tsx';
import { texts } from './texts.ts';

const MAX_FILE_BYTES = 25 * 1024 * 1024;
type File_ = { rondo_backup: 1; made_at?: string; keys?: unknown[]; tokens?: unknown[]; pools?: unknown[]; settings?: object };
type Loaded = { name: string; size: number; backup: File_ };
type Done = {
  keys: { added: number; duplicate: number; failed: number };
  tokens: { added: number; duplicate: number; skipped: number };
  pools: number;
  settings: boolean;
  notes: string[];
};

/** The password and one call with it: wrong ones and lock-outs are said at the field. */
function useGuarded() {
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState<string | null>(null);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const lock = useLock();
  const run = async (name: string, call: () => Promise<void>) => {
    if (busy || lock.locked || !password) return;
    setBusy(name);
    setProblem(null);
    try {
      await call();
    } catch (error) {
      const failure = error instanceof ApiError ? error : new ApiError(0, 'failed', String(error));
      if (!lock.take(failure)) setProblem(failure);
    } finally {
      setBusy(null);
    }
  };
  const wrong = problem?.status === 401 ? loginTexts().wrong : null;
  const field = (
    <>
      <Field label={texts().password.current} name="password" type="password" autocomplete="current-password" value={password} onValue={(value) => { setPassword(value); setProblem(null); }} error={wrong} />
      {problem && !wrong && <Notice tone={problem.status === 404 ? 'info' : 'error'} alert>{problem.status === 404 ? texts().notAvailable : explain(problem)}</Notice>}
      <Locked left={lock.left} />
    </>
  );
  return { password, setPassword, busy, run, field, ready: password !== '' && !lock.locked };
}

function download(name: string, text: string) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export function Backup() {
  const t = texts().backup;
  const guard = useGuarded();
  const make = (event: SubmitEvent) => {
    event.preventDefault();
    void guard.run('backup', async () => {
      const made = await api.post<File_>('/api/backup', { password: guard.password });
      download(`rondo-backup-${new Date().toISOString().slice(0, 10)}.json`, JSON.stringify(made, null, 1));
      guard.setPassword('');
      toast.ok(t.made);
    });
  };
  return (
    <Card title={t.title}>
      <p class="quiet">{t.text}</p>
      <Notice tone="warn">{t.secret}</Notice>
      <form class="form settings-narrow" onSubmit={make} noValidate>
        {guard.field}
        <Button type="submit" tone="primary" busy={guard.busy !== null} disabled={!guard.ready}>{t.make}</Button>
      </form>
    </Card>
  );
}

function Summary({ done, tried }: { done: Done; tried: boolean }) {
  const t = texts().restore;
  const lines: [string, string][] = [
    [t.keys, t.counts(number(done.keys.added), number(done.keys.duplicate), done.keys.failed && t.failed(number(done.keys.failed)))],
    [t.tokens, t.counts(number(done.tokens.added), number(done.tokens.duplicate), done.tokens.skipped && t.skipped(number(done.tokens.skipped)))],
    [t.pools, number(done.pools)],
    [t.settings, done.settings ? t.yes : t.no],
  ];
  return (
    <div class="settings-summary" role="status">
      <h3>{tried ? t.would : t.did}</h3>
      <dl class="pairs">
        {lines.map(([name, value]) => <><dt>{name}</dt><dd>{value}</dd></>)}
      </dl>
      {done.notes.length > 0 && (
        <Notice tone="info">
          <ul class="settings-notes" lang="en">{done.notes.map((note) => <li key={note}>{note}</li>)}</ul>
        </Notice>
      )}
    </div>
  );
}

export function Restore() {
  const t = texts().restore;
  const id = useId();
  const guard = useGuarded();
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [bad, setBad] = useState<string | null>(null);
  const [trial, setTrial] = useState<Done | null>(null);
  const [done, setDone] = useState<Done | null>(null);
  const take = async (file: File | undefined) => {
    setLoaded(null);
    setTrial(null);
    setDone(null);
    setBad(null);
    if (!file) return;
    if (file.size > MAX_FILE_BYTES) return setBad(t.tooLarge(bytes(MAX_FILE_BYTES)));
    try {
      const backup = JSON.parse(await file.text());
      if (backup?.rondo_backup !== 1) return setBad(t.notBackup);
      setLoaded({ name: file.name, size: file.size, backup });
    } catch {
      setBad(t.notBackup);
    }
  };
  const call = (dry_run: boolean) =>
    guard.run(dry_run ? 'try' : 'restore', async () => {
      if (!loaded) return;
      const answer = await api.post<Done>('/api/restore', { password: guard.password, backup: loaded.backup, dry_run });
      if (dry_run) return setTrial(answer);
      setTrial(null);
      setDone(answer);
      guard.setPassword('');
      toast.ok(t.restored);
    });
  const content = loaded?.backup;
  const count = (list: unknown[] | undefined) => number(Array.isArray(list) ? list.length : 0);
  return (
    <Card title={t.title}>
      <p class="quiet">{t.text}</p>
      <div class={`field settings-narrow${bad ? ' wrong' : ''}`}>
        <label for={id}>{t.file}</label>
        {/* The browser's own words on it would be in the browser's language: the input lies unseen over these. */}
        <div class="settings-file">
          <input id={id} type="file" accept="application/json,.json" aria-describedby={`${id}-said`} onChange={(event) => void take(event.currentTarget.files?.[0])} />
          <span class="button" aria-hidden="true">{t.pick}</span>
          <span class="settings-file-name">{loaded?.name}</span>
        </div>
        <p id={`${id}-said`} class={bad ? 'field-error' : 'hint'} role="status">
          {bad ?? (content && loaded ? t.holds(count(content.keys), count(content.tokens), count(content.pools), content.made_at ? dateTime(content.made_at) : '–', bytes(loaded.size)) : t.choose)}
        </p>
      </div>
      {loaded && !done && (
        <form class="form settings-narrow" noValidate onSubmit={(event) => { event.preventDefault(); void call(!trial); }}>
          {guard.field}
          {trial && <Summary done={trial} tried />}
          <div class="row">
            {trial && <Button type="submit" tone="primary" busy={guard.busy === 'restore'} disabled={!guard.ready}>{t.restore}</Button>}
            <Button type={trial ? 'button' : 'submit'} tone={trial ? 'normal' : 'primary'} busy={guard.busy === 'try'} disabled={!guard.ready} onClick={trial ? () => void call(true) : undefined}>{trial ? t.checkAgain : t.check}</Button>
          </div>
        </form>
      )}
      {done && <Summary done={done} tried={false} />}
    </Card>
  );
}
