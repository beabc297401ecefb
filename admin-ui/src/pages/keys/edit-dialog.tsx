import { useState } from 'preact/hooks';
import { ApiError } from '../../api.ts';
import { explain } from '../../errors.ts';
import { common } from '../../texts/common.ts';
import type { Key } from '../../types.ts';
import { Button, Dialog, Notice, toast } from '../../ui/index.ts';
import { patchKey } from './actions.ts';
import { check, GroupField, KeyFields, valuesOf, type Wrong } from './fields.tsx';
import { MOST, noteGroups } from './query.ts';
import { texts } from './texts.ts';

/** Label, group and weight of one key. */
export function EditDialog({ row, onSaved, onClose }: { row: Key; onSaved: (row: Key) => void; onClose: () => void }) {
  const t = texts();
  const [fields, setFields] = useState({ label: row.label, group: row.group ?? '', weight: String(row.weight) });
  const [wrong, setWrong] = useState<Wrong>({});
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    if (busy) return;
    const found = check(t, fields);
    setWrong(found);
    setProblem('');
    if (Object.keys(found).length > 0) return;
    setBusy(true);
    try {
      const saved = await patchKey(row.id, valuesOf(fields));
      noteGroups([saved]);
      onSaved(saved);
      toast.ok(t.editing.saved);
      onClose();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.field === 'label' || error.field === 'group' || error.field === 'weight') setWrong({ [error.field]: error.detail });
      else setProblem(explain(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title={t.editing.title(row.masked)} onClose={onClose}>
      <form class="form" onSubmit={save} noValidate>
        <KeyFields autofocus fields={fields} wrong={wrong} onFields={setFields} />
        {problem && <Notice tone="error" alert>{problem}</Notice>}
        <div class="row">
          <Button type="submit" tone="primary" busy={busy}>{t.editing.save}</Button>
          <Button onClick={onClose}>{common().cancel}</Button>
        </div>
      </form>
    </Dialog>
  );
}

/** One quota group for many keys: asks for its name. */
export function GroupDialog({ count, onGroup, onClose }: { count: number; onGroup: (group: string | null) => Promise<boolean>; onClose: () => void }) {
  const t = texts();
  const [group, setGroup] = useState('');
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    if (busy) return;
    if ([...group].length > MOST.name) return setProblem(t.tooLong(MOST.name));
    setBusy(true);
    if (!(await onGroup(group.trim() || null))) setBusy(false);
  };
  return (
    <Dialog title={t.grouping.title(count)} onClose={onClose}>
      <form class="form" onSubmit={save} noValidate>
        <p>{t.grouping.text}</p>
        <GroupField autofocus hint="" value={group} error={problem || undefined} onValue={(value) => { setGroup(value); setProblem(''); }} />
        <div class="row">
          <Button type="submit" tone="primary" busy={busy}>{t.grouping.set}</Button>
          <Button onClick={onClose}>{common().cancel}</Button>
        </div>
      </form>
    </Dialog>
  );
}
