import { useState } from 'preact/hooks';
import { api, ApiError, demo } from '../../api.ts';
import { explain } from '../../errors.ts';
import type { ImportResult } from '../../import-keys.ts';
import type { Key } from '../../types.ts';
import { Imported, KeysPaste } from '../../ui/keys-paste.tsx';
import { Button, Dialog, Field, Notice, Tabs } from '../../ui/index.ts';
import { check, GroupField, KeyFields, valuesOf, type Fields, type Wrong } from './fields.tsx';
import { MOST, nameOf } from './query.ts';
import { texts } from './texts.ts';

const LEAVE_DEMO = 'CEREBRAS_API_KEYS=csk-… npm start';
const BLANK: Fields = { label: '', group: '', weight: '1' };
/** Fields of the form that the Worker may name. */
const OWN = ['key', 'label', 'group', 'weight'] as const;

function One({ onAdded }: { onAdded: () => void }) {
  const all = texts();
  const t = all.adding;
  const [key, setKey] = useState('');
  const [fields, setFields] = useState(BLANK);
  const [wrong, setWrong] = useState<Wrong>({});
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  const [added, setAdded] = useState('');

  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    if (busy) return;
    const found = check(all, fields);
    if (key.trim().length < 12) found.key = t.needKey;
    setWrong(found);
    setProblem('');
    setAdded('');
    if (Object.keys(found).length > 0) return;
    setBusy(true);
    try {
      const row = await api.post<Key>('/api/keys', { key: key.trim(), ...valuesOf(fields) });
      setKey('');
      setFields({ ...fields, label: '' });
      setAdded(nameOf(row));
      onAdded();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const field = OWN.find((name) => name === error.field);
      if (field) setWrong({ [field]: error.detail });
      else setProblem(error.status === 409 && !demo.value ? t.duplicate : explain(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form class="form" onSubmit={send} noValidate>
      {added && <Notice tone="ok" alert>{t.added(added)}</Notice>}
      <Field label={t.key} hint={t.keyHint} error={wrong.key} class="mono" placeholder={demo.value ? 'csk-demo-…' : 'csk-…'} autocomplete="off" autocapitalize="off" spellcheck={false} autofocus value={key} onValue={setKey} />
      <KeyFields fields={fields} wrong={wrong} onFields={setFields} />
      {problem && <Notice tone="error" alert>{problem}</Notice>}
      <Button type="submit" tone="primary" busy={busy}>{t.add}</Button>
    </form>
  );
}

function Many({ onAdded }: { onAdded: () => void }) {
  const all = texts();
  const t = all.adding;
  const [group, setGroup] = useState('');
  const [result, setResult] = useState<ImportResult | null>(null);
  const tooLong = [...group].length > MOST.name ? all.tooLong(MOST.name) : undefined;
  if (result) {
    return (
      <div class="form">
        <Imported result={result} />
        <Button onClick={() => setResult(null)}>{t.another}</Button>
      </div>
    );
  }
  return (
    <div class="form">
      <GroupField label={t.groupMany} value={group} error={tooLong} onValue={setGroup} />
      {!tooLong && <KeysPaste options={{ group: group.trim() || null }} onDone={(done) => { setResult(done); onAdded(); }} />}
    </div>
  );
}

/** One key, or whatever was pasted. `onAdded` after each success. */
export function AddDialog({ onAdded, onClose }: { onAdded: () => void; onClose: () => void }) {
  const t = texts();
  const [how, setHow] = useState<'one' | 'many'>('one');
  return (
    <Dialog title={t.add} onClose={onClose}>
      {demo.value && <Notice tone="info">{t.adding.demo} <code>{LEAVE_DEMO}</code></Notice>}
      <div>
        <Tabs label={t.adding.how} value={how} onValue={setHow} tabs={[{ value: 'one', label: t.adding.one }, { value: 'many', label: t.adding.many }]}>
          {how === 'one' ? <One onAdded={onAdded} /> : <Many onAdded={onAdded} />}
        </Tabs>
      </div>
    </Dialog>
  );
}
