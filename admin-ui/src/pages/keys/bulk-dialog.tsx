// A change of more keys than one call takes: it begins at once, shows how far it is, and ends with what is true.
import { useEffect, useRef, useState } from 'preact/hooks';
import { explain } from '../../errors.ts';
import { inPieces, nothingDone, type Bulk } from '../../bulk.ts';
import { number } from '../../format.ts';
import { common } from '../../texts/common.ts';
import { Button, Dialog, Notice, Progress } from '../../ui/index.ts';
import { texts } from './texts.ts';

export type BulkTask = {
  title: string;
  ids: string[];
  /** Gives how many keys of the piece changed. */
  call: (ids: string[]) => Promise<number>;
  /** What is said of so many that changed, and of those that were answered for but did not. */
  said: (changed: number, unchanged: number) => string;
};

export function BulkDialog({ task, onChange, onClose }: { task: BulkTask; onChange: () => void; onClose: () => void }) {
  const t = texts().bulk;
  const [state, setState] = useState<Bulk<string>>(nothingDone());
  const [running, setRunning] = useState(true);
  const before = useRef({ done: 0, changed: 0 });
  const stop = useRef<AbortController>(undefined);
  const run = async (ids: string[]) => {
    const own = new AbortController();
    stop.current = own;
    setRunning(true);
    const { done, changed } = before.current;
    const sum = (now: Bulk<string>) => ({ ...now, done: done + now.done, changed: changed + now.changed });
    const end = sum(await inPieces(ids, task.call, (now) => setState(sum(now)), { signal: own.signal }));
    before.current = end;
    setState(end);
    setRunning(false);
    onChange();
  };
  useEffect(() => {
    void run(task.ids);
    return () => stop.current?.abort();
  }, []);
  const total = task.ids.length;
  const handled = running ? state.done + state.left.length : state.done;
  return (
    <Dialog
      title={task.title}
      onClose={onClose}
      actions={
        <>
          {running && <Button onClick={() => stop.current?.abort()}>{t.stop}</Button>}
          {!running && state.left.length > 0 && <Button tone="primary" onClick={() => void run(state.left)}>{t.again(state.left.length)}</Button>}
          {!running && <Button autofocus onClick={onClose}>{common().close}</Button>}
        </>
      }
    >
      <Progress label={running ? t.running : t.ended} share={Math.min(1, handled / Math.max(1, total))} text={`${number(handled)} / ${number(total)}`} />
      {!running && <Notice tone={state.left.length > 0 ? 'warn' : 'ok'} alert>{task.said(state.changed, state.done - state.changed)}</Notice>}
      {!running && state.left.length > 0 && <Notice tone="error" alert>{t.left(state.left.length)} {state.problem ? explain(state.problem) : t.stopped}</Notice>}
    </Dialog>
  );
}
