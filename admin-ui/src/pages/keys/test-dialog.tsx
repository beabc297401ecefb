// Testing many keys: what it costs, how far it is, what came of it.
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../../api.ts';
import { explain } from '../../errors.ts';
import { number } from '../../format.ts';
import { common } from '../../texts/common.ts';
import { Badge, Button, Dialog, Notice, Progress, type Tone } from '../../ui/index.ts';
import { testMany, untested, type TestState } from './test-run.ts';
import { texts } from './texts.ts';
import type { StreamedResult, TestOutcome } from './types.ts';

const TONES: Record<TestOutcome, Tone> = { ok: 'ok', limited: 'wait', busy: 'wait', invalid: 'error', suspended: 'warn', model_missing: 'warn', refused: 'warn', unreachable: 'error' };

export const OutcomeBadge = ({ outcome, count }: { outcome: TestOutcome; count?: number }) => (
  <Badge tone={TONES[outcome] ?? 'info'}>{texts().outcomes[outcome] ?? outcome}{count !== undefined && `: ${number(count)}`}</Badge>
);

type Props = {
  /** Null for all keys there are. */
  ids: string[] | null;
  total: number;
  onResult: (result: StreamedResult) => void;
  onClose: () => void;
};

export function TestDialog({ ids, total, onResult, onClose }: Props) {
  const t = texts().testing;
  const [phase, setPhase] = useState<'before' | 'running' | 'done' | 'stopped'>('before');
  const [state, setState] = useState<TestState>(untested(total));
  const [problem, setProblem] = useState<ApiError | null>(null);
  const tested = useRef(new Set<string>());
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);

  const start = async (from: TestState) => {
    const own = new AbortController();
    running.current = own;
    setPhase('running');
    setProblem(null);
    try {
      await testMany(ids, from, tested.current, own.signal, setState, onResult);
      setPhase('done');
    } catch (error) {
      if (!own.signal.aborted) setProblem(error instanceof ApiError ? error : new ApiError(0, 'failed', String(error)));
      setPhase('stopped');
    }
  };
  const again = () => {
    tested.current = new Set();
    setState(untested(total));
    void start(untested(total));
  };
  const outcomes = Object.entries(state.outcomes) as [TestOutcome, number][];
  const handled = state.tested + state.gone;
  return (
    <Dialog
      title={t.title}
      onClose={onClose}
      actions={
        <>
          {phase === 'before' && <Button tone="primary" autofocus onClick={() => void start(state)}>{t.start}</Button>}
          {phase === 'running' && <Button onClick={() => running.current?.abort()}>{t.stop}</Button>}
          {phase === 'stopped' && <Button tone="primary" onClick={() => void start(state)}>{t.retry}</Button>}
          {phase === 'done' && <Button onClick={again}>{t.again}</Button>}
          {phase !== 'before' && phase !== 'running' && <Button onClick={onClose}>{common().close}</Button>}
        </>
      }
    >
      {phase === 'before' ? (
        <>
          <p>{t.one(total)}</p>
          <p class="quiet">{t.text}</p>
        </>
      ) : (
        <>
          <Progress label={phase === 'running' ? t.running : t.summary(number(state.tested))} share={state.total > 0 ? Math.min(1, handled / state.total) : 1} text={`${number(handled)} / ${number(Math.max(state.total, handled))}`} />
          <p class="unseen" role="status">{phase === 'running' ? '' : t.summary(number(state.tested))}</p>
          {problem && <Notice tone="error" alert>{t.broke(number(handled), number(Math.max(state.total, handled)))} {explain(problem)}</Notice>}
          {phase === 'stopped' && !problem && <Notice tone="info" alert>{t.stopped}</Notice>}
          <div class="row">{outcomes.map(([outcome, count]) => <OutcomeBadge key={outcome} outcome={outcome} count={count} />)}</div>
          {phase === 'done' && state.tested > 0 && state.outcomes.ok === state.tested && <Notice tone="ok">{t.none}</Notice>}
          {phase === 'done' && state.gone > 0 && <Notice tone="info">{t.gone(state.gone)}</Notice>}
          {state.notOk.length > 0 && (
            <section>
              <h3>{t.notOk}</h3>
              <ul class="keys-results scrolls" tabIndex={0} aria-label={t.notOk}>
                {state.notOk.map((result) => (
                  <li key={result.id}>
                    <span class="row"><code>{result.masked}</code> <OutcomeBadge outcome={result.outcome} /></span>
                    {result.detail && <p class="quiet">{result.http_status !== null && `${texts().detail.http(result.http_status)} · `}{result.detail}</p>}
                  </li>
                ))}
              </ul>
            </section>
          )}
        </>
      )}
    </Dialog>
  );
}
