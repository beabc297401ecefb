import { useState } from 'preact/hooks';
import { api, ApiError } from '../../api.ts';
import { explain } from '../../errors.ts';
import { number } from '../../format.ts';
import { usePoll } from '../../live.ts';
import { common } from '../../texts/common.ts';
import type { Key, Paged } from '../../types.ts';
import { Button, Checkbox, Dialog, Empty, Failed, Notice, Skeleton, toast } from '../../ui/index.ts';
import { setEnabled } from './actions.ts';
import { Typed } from './parts.tsx';
import { nameOf } from './query.ts';
import { texts } from './texts.ts';

/** Why a key of the environment cannot be deleted, and what to do instead. */
export function EnvDialog({ row, onRow, onClose }: { row: Key; onRow: (row: Key) => void; onClose: () => void }) {
  const t = texts();
  const [busy, setBusy] = useState(false);
  const pause = async () => {
    setBusy(true);
    await setEnabled(row, false, onRow);
    onClose();
  };
  return (
    <Dialog
      title={t.deleting.envTitle}
      onClose={onClose}
      actions={
        <>
          {row.enabled && <Button icon="pause" busy={busy} onClick={pause}>{t.pause}</Button>}
          <Button autofocus onClick={onClose}>{common().close}</Button>
        </>
      }
    >
      <p>{t.deleting.envText(nameOf(row))} <code>{row.variable ?? 'CEREBRAS_API_KEYS'}</code></p>
      <p>{t.deleting.envHow}</p>
    </Dialog>
  );
}

const DEAD = ['invalid', 'suspended'] as const;
type Dead = (typeof DEAD)[number];
const NAMED = 5;

/** Deletes all keys of a state, counted and named before. */
export function DeadDialog({ onDone, onClose }: { onDone: () => void; onClose: () => void }) {
  const all = texts();
  const t = all.dead;
  const [chosen, setChosen] = useState<Record<Dead, boolean>>({ invalid: true, suspended: false });
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');
  const counts = usePoll(async (signal) => {
    const [invalid, suspended] = await Promise.all(DEAD.map((status) => api.get<Paged<Key>>('/api/keys', { status, per_page: NAMED }, signal)));
    return { invalid, suspended };
  }, 0);
  const found = counts.data;
  const states = DEAD.filter((status) => chosen[status] && (found?.[status]?.total ?? 0) > 0);
  const total = states.reduce((sum, status) => sum + (found?.[status]?.total ?? 0), 0);
  const none = found && DEAD.every((status) => !found[status]?.total);
  const named = states.flatMap((status) => found?.[status]?.items ?? []);

  const remove = async () => {
    setBusy(true);
    setProblem('');
    let deleted = 0;
    try {
      for (const status of states) deleted += (await api.post<{ deleted: number }>('/api/keys/delete', { status })).deleted;
      const stay = Math.max(0, total - deleted);
      toast.ok(stay > 0 ? `${all.deleting.done(deleted)} ${all.deleting.stay(stay)}` : all.deleting.done(deleted));
      onDone();
      onClose();
    } catch (error) {
      setProblem(error instanceof ApiError ? explain(error) : String(error));
      if (deleted > 0) onDone();
      void counts.reload();
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={t.title}
      onClose={onClose}
      actions={
        <>
          <Button autofocus onClick={onClose}>{common().cancel}</Button>
          {!none && <Button tone="danger" busy={busy} disabled={total === 0} onClick={remove}>{all.deleting.action(total)}</Button>}
        </>
      }
    >
      {counts.error && !found && <Failed error={counts.error} retry={counts.reload} busy={counts.busy} />}
      {!found && !counts.error && <Skeleton rows={3} height={1.6} />}
      {none && <Empty icon="ok" title={t.none} />}
      {found && !none && (
        <>
          <p>{t.text}</p>
          <Checkbox label={t.invalid(number(found.invalid?.total ?? 0))} checked={chosen.invalid} onValue={(invalid) => setChosen({ ...chosen, invalid })} />
          <Checkbox label={t.suspended(number(found.suspended?.total ?? 0))} hint={t.suspendedHint} checked={chosen.suspended} onValue={(suspended) => setChosen({ ...chosen, suspended })} />
          {named.length > 0 && (
            <div>
              <h3>{t.among}</h3>
              <ul class="named keys-named">
                {named.map((row) => <li key={row.id}><code>{row.masked}</code> {row.label && <Typed>{row.label}</Typed>} {row.source === 'env' && <span class="quiet">({all.fromEnv})</span>}</li>)}
                {total > named.length && <li class="quiet">{common().andMore(total - named.length)}</li>}
              </ul>
            </div>
          )}
          {problem && <Notice tone="error" alert>{problem}</Notice>}
        </>
      )}
    </Dialog>
  );
}
