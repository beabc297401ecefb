// The field for pasted keys, what was found in it, and the import. For the first run and the page of keys.
import { useMemo, useState } from 'preact/hooks';
import { explain } from '../errors.ts';
import { number } from '../format.ts';
import { importKeys, nothingYet, type ImportResult } from '../import-keys.ts';
import { maskKey, parseKeys } from '../keys-input.ts';
import { texts } from '../pages/start/texts.ts';
import { common } from '../texts/common.ts';
import { Button } from './button.tsx';
import { TextArea } from './fields.tsx';
import { Badge, Notice, Progress } from './parts.tsx';

const SHOWN = 6;
/** Failures that the summary lists. */
const LISTED = 200;

type Props = {
  /** Of the new keys. */
  options?: { provider?: string; group?: string | null };
  /** What keys start with; empty for providers with other forms. */
  prefix?: string;
  onDone: (result: ImportResult) => void;
};

export function KeysPaste({ options, prefix = 'csk-', onDone }: Props) {
  const t = texts().keys;
  const [text, setText] = useState('');
  const [progress, setProgress] = useState<ImportResult>(nothingYet);
  const [busy, setBusy] = useState(false);
  const found = useMemo(() => parseKeys(text, prefix), [text, prefix]);
  const { keys, duplicates, rejected } = found;
  /** What is sent next: all that was found, or what no answer came for. */
  const open = progress.left.length > 0 ? progress.left : keys;

  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    if (busy || keys.length === 0) return;
    setBusy(true);
    const result = await importKeys(open, progress, setProgress, options);
    setBusy(false);
    setProgress(result.left.length > 0 ? result : nothingYet);
    if (result.left.length > 0) return;
    setText('');
    onDone(result);
  };
  return (
    <form class="form" onSubmit={send}>
      <TextArea label={t.label} name="keys" class="mono" rows={7} value={text} placeholder={t.placeholder} readOnly={busy} autocomplete="off" autocapitalize="off" spellcheck={false}
        onValue={(value) => { setText(value); setProgress(nothingYet); }} />
      <div class="found" role="status">
        {text.trim() !== '' && (keys.length === 0 ? <Badge tone="warn">{t.none}</Badge> : <Badge tone="ok">{t.found(keys.length)}</Badge>)}
        {duplicates > 0 && <Badge tone="info">{t.duplicates(duplicates)}</Badge>}
        {rejected.length > 0 && <Badge tone="warn">{t.rejected(rejected.length)}</Badge>}
      </div>
      {(keys.length > 0 || rejected.length > 0) && (
        <ul class="found-list">
          {keys.slice(0, SHOWN).map((key) => <li key={key}><code>{maskKey(key)}</code></li>)}
          {keys.length > SHOWN && <li class="quiet">+{number(keys.length - SHOWN)}</li>}
          {rejected.slice(0, SHOWN).map(({ line, masked }, at) => (
            <li key={`x${at}`} class="bad"><s><code>{masked}</code></s>{line > 0 && <span class="quiet"> {t.line(line)}</span>}</li>
          ))}
        </ul>
      )}
      {busy && <Progress label={t.progress} share={progress.done / Math.max(1, keys.length)} text={`${number(progress.done)} / ${number(keys.length)}`} />}
      {!busy && progress.left.length > 0 && (
        <>
          {progress.done > 0 && <Imported result={progress} />}
          <Notice tone="error" alert>{t.left(progress.left.length)} {progress.problem && explain(progress.problem)} {t.again}</Notice>
        </>
      )}
      <Button type="submit" tone="primary" busy={busy} disabled={keys.length === 0}>{t.add(open.length)}</Button>
    </form>
  );
}

/** What came of an import. */
export function Imported({ result }: { result: ImportResult }) {
  const t = texts().keys;
  const { added, duplicate, failed } = result;
  return (
    <Notice tone={failed.length > 0 ? 'warn' : added > 0 ? 'ok' : 'info'} alert>
      {t.added(added)} {duplicate > 0 && t.known(duplicate)} {failed.length > 0 && t.failed(failed.length)}
      {failed.length > 0 && (
        <ul class="named scrolls" tabIndex={0}>
          {failed.slice(0, LISTED).map(({ masked, detail }, at) => <li key={at}><code>{masked}</code> {detail}</li>)}
          {failed.length > LISTED && <li>{common().andMore(failed.length - LISTED)}</li>}
        </ul>
      )}
    </Notice>
  );
}
