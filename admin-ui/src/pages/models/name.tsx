// A new alias, and a new name for one.
import { useId, useState } from 'preact/hooks';
import { api, ApiError } from '../../api.ts';
import { explain } from '../../errors.ts';
import { common } from '../../texts/common.ts';
import type { Pool } from '../../types.ts';
import { Button, Dialog, Field, Notice, toast } from '../../ui/index.ts';
import { isModelId, nameProblem, poolPath } from './draft.ts';
import { texts } from './texts.ts';

type Props = {
  /** The pool to rename; without it a new one is made. */
  pool?: Pool | undefined;
  taken: string[];
  listed: string[];
  onClose: () => void;
  /** `old` is the name that is gone. */
  onDone: (pool: Pool, old?: string) => void;
};

export function NameDialog({ pool, taken, listed, onClose, onDone }: Props) {
  const t = texts();
  const id = useId();
  const [name, setName] = useState(pool?.name ?? '');
  const [model, setModel] = useState('');
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const bad = nameProblem(name.trim(), taken);
  const badModel = !pool && !isModelId(model.trim());
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    setTried(true);
    if (busy || bad || badModel) return;
    const wanted = name.trim();
    setBusy(true);
    setProblem(null);
    try {
      const body = pool ? { strategy: pool.strategy, members: pool.members } : { members: [model.trim()] };
      const made = await api.put<Pool>(poolPath(wanted), body);
      if (pool) {
        try {
          await api.delete(poolPath(pool.name));
          toast.ok(t.renamed(pool.name, wanted));
          onDone(made, pool.name);
        } catch {
          toast.error(t.halfRenamed(pool.name, wanted));
          onDone(made);
        }
      } else {
        toast.ok(t.created(wanted));
        onDone(made);
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setProblem(error);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={pool ? t.renameTitle(pool.name) : t.newTitle}
      onClose={() => busy || onClose()}
      actions={
        <>
          <Button onClick={() => busy || onClose()}>{common().cancel}</Button>
          <Button type="submit" form="pool-name-form" tone="primary" busy={busy}>{pool ? t.rename : t.create}</Button>
        </>
      }
    >
      <form id="pool-name-form" class="form" noValidate onSubmit={send}>
        {pool && <p>{t.renameText}</p>}
        <Field label={t.name} hint={t.nameHint} value={name} autofocus maxLength={64} autocomplete="off" autocapitalize="off" spellcheck={false} onValue={(value) => { setName(value); setProblem(null); }}
          error={bad && (tried || (bad !== 'form' && name !== pool?.name)) ? t.nameProblems[bad] : null} />
        {!pool && (
          <>
            <Field {...{ list: id }} label={t.firstModel} placeholder={t.addPlaceholder} value={model} maxLength={256} autocomplete="off" autocapitalize="off" spellcheck={false} onValue={setModel} error={tried && badModel ? t.badModel : null} />
            <datalist id={id}>{listed.map((one) => <option key={one} value={one} />)}</datalist>
          </>
        )}
        {problem && <Notice tone="error" alert>{explain(problem)}</Notice>}
      </form>
    </Dialog>
  );
}
