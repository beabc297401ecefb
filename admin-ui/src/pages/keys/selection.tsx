import { number } from '../../format.ts';
import type { Key } from '../../types.ts';
import { Button } from '../../ui/index.ts';
import { texts } from './texts.ts';

type Props = {
  /** The selected ones of the page. */
  rows: Key[];
  /** How many are selected, on this page and beyond it. */
  count: number;
  /** How many the filters leave; more than are selected when the others can be taken as well. */
  total: number;
  busy: 'all' | 'pause' | 'resume' | null;
  onAll: () => void;
  onEnable: (enabled: boolean) => void;
  onTest: () => void;
  onGroup: () => void;
  onDelete: () => void;
  onClear: () => void;
};

/** What can be done to the selected keys; stays in sight at the foot of the window. */
export function Selection({ rows, count, total, busy, onAll, onEnable, onTest, onGroup, onDelete, onClear }: Props) {
  const t = texts();
  const beyond = count > rows.length;
  return (
    <div class="keys-selection" role="region" aria-label={t.selected(number(count))}>
      <strong role="status">{t.selected(number(count))}</strong>
      {total > count && <Button small tone="plain" busy={busy === 'all'} onClick={onAll}>{t.bulk.all(number(total))}</Button>}
      <Button small icon="refresh" onClick={onTest}>{t.test}</Button>
      {(beyond || rows.some((row) => row.enabled)) && <Button small icon="pause" busy={busy === 'pause'} onClick={() => onEnable(false)}>{t.pause}</Button>}
      {(beyond || rows.some((row) => !row.enabled)) && <Button small icon="play" busy={busy === 'resume'} onClick={() => onEnable(true)}>{t.resume}</Button>}
      <Button small icon="group" onClick={onGroup}>{t.setGroup}</Button>
      <Button small icon="trash" onClick={onDelete}>{t.delete}</Button>
      <Button small tone="plain" icon="close" label={t.unselect} onClick={onClear} />
    </div>
  );
}
