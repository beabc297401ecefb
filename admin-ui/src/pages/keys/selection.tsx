import { useState } from 'preact/hooks';
import { number } from '../../format.ts';
import type { Key } from '../../types.ts';
import { Button } from '../../ui/index.ts';
import { setManyEnabled } from './actions.ts';
import { texts } from './texts.ts';

type Props = {
  rows: Key[];
  onRows: (rows: Key[]) => void;
  onTest: () => void;
  onGroup: () => void;
  onDelete: () => void;
  onClear: () => void;
};

/** What can be done to the selected keys; stays in sight at the foot of the window. */
export function Selection({ rows, onRows, onTest, onGroup, onDelete, onClear }: Props) {
  const t = texts();
  const [busy, setBusy] = useState<'pause' | 'resume' | null>(null);
  const enable = async (enabled: boolean) => {
    setBusy(enabled ? 'resume' : 'pause');
    onRows(await setManyEnabled(rows, enabled));
    setBusy(null);
  };
  return (
    <div class="keys-selection" role="region" aria-label={t.selected(number(rows.length))}>
      <strong role="status">{t.selected(number(rows.length))}</strong>
      <Button small icon="refresh" onClick={onTest}>{t.test}</Button>
      {rows.some((row) => row.enabled) && <Button small icon="pause" busy={busy === 'pause'} onClick={() => void enable(false)}>{t.pause}</Button>}
      {rows.some((row) => !row.enabled) && <Button small icon="play" busy={busy === 'resume'} onClick={() => void enable(true)}>{t.resume}</Button>}
      <Button small icon="group" onClick={onGroup}>{t.setGroup}</Button>
      <Button small icon="trash" onClick={onDelete}>{t.delete}</Button>
      <Button small tone="plain" icon="close" label={t.unselect} onClick={onClear} />
    </div>
  );
}
