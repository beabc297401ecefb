// One key in a drawer with its own address: state, limits, history, decisions.
import { useState } from 'preact/hooks';
import { api, ApiError } from '../../api.ts';
import { dateTime, duration, number } from '../../format.ts';
import { usePoll } from '../../live.ts';
import type { Key, Paged } from '../../types.ts';
import { Age, Button, Dialog, Empty, Failed, Notice, Skeleton } from '../../ui/index.ts';
import { afterTest, setEnabled, testKey } from './actions.ts';
import { Decisions } from './decisions.tsx';
import { History } from './history.tsx';
import { LimitsPart } from './limits.tsx';
import { KeyState, Typed, When } from './parts.tsx';
import { OutcomeBadge } from './test-dialog.tsx';
import { texts } from './texts.ts';
import type { TestResult } from './types.ts';

const EACH_MS = 15_000;

type Props = {
  id: string;
  /** What the list knows already. */
  known: Key | undefined;
  onRow: (row: Key) => void;
  onEdit: (row: Key) => void;
  onDelete: (row: Key) => void;
  onClose: () => void;
};

export function Detail({ id, known, onRow, onEdit, onDelete, onClose }: Props) {
  const t = texts();
  const d = t.detail;
  // There is no call for one key; the search takes the beginning of an id.
  const found = usePoll(async (signal) => {
    const { items } = await api.get<Paged<Key>>('/api/keys', { q: id, per_page: 10 }, signal);
    return { row: items.find((item) => item.id === id) ?? null };
  }, EACH_MS, [id]);
  const [busy, setBusy] = useState<'test' | 'enabled' | null>(null);
  const [result, setResult] = useState<TestResult | null>(null);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const [tests, setTests] = useState(0);
  const row = found.data ? found.data.row : known;

  const take = (next: Key) => {
    found.set(() => ({ row: next }));
    onRow(next);
  };
  const test = async (of: Key) => {
    setBusy('test');
    setProblem(null);
    try {
      const said = await testKey(of);
      setResult(said);
      setTests((n) => n + 1);
      take(afterTest(of, said));
    } catch (error) {
      setProblem(error instanceof ApiError ? error : new ApiError(0, 'failed', String(error)));
    } finally {
      setBusy(null);
    }
  };
  const toggle = async (of: Key) => {
    setBusy('enabled');
    await setEnabled(of, !of.enabled, take);
    setBusy(null);
  };
  return (
    <Dialog
      title={row?.masked ?? t.columns.key}
      side
      onClose={onClose}
      actions={row && (
        <>
          <Button icon="refresh" busy={busy === 'test'} onClick={() => void test(row)}>{t.test}</Button>
          <Button icon={row.enabled ? 'pause' : 'play'} busy={busy === 'enabled'} onClick={() => void toggle(row)}>{row.enabled ? t.pause : t.resume}</Button>
          <Button icon="edit" onClick={() => onEdit(row)}>{t.edit}</Button>
          <Button icon="trash" onClick={() => onDelete(row)}>{t.delete}</Button>
        </>
      )}
    >
      {found.error && <Failed error={found.error} retry={found.reload} busy={found.busy} />}
      {row === undefined && !found.error && <Skeleton rows={8} height={1.8} />}
      {row === null && <Empty icon="keys" title={d.gone} />}
      {row && (
        <>
          <div class="row keys-head"><KeyState row={row} /><span class="space" /><Age at={found.at} error={found.error} /></div>
          {problem && <Failed error={problem} />}
          {result && (
            <Notice tone={result.outcome === 'ok' ? 'ok' : 'warn'} alert>
              <OutcomeBadge outcome={result.outcome} /> {d.tested(duration(result.latency_ms))}{result.http_status !== null && ` · ${d.http(result.http_status)}`}
              {result.detail && <p class="keys-said">{result.detail}</p>}
            </Notice>
          )}
          <Facts row={row} />
          <LimitsPart id={id} group={row.group} refresh={tests} />
          <History id={id} />
          <Decisions id={id} />
        </>
      )}
    </Dialog>
  );
}

function Facts({ row }: { row: Key }) {
  const t = texts();
  const d = t.detail;
  return (
    <dl class="pairs keys-facts">
      {row.label && <><dt>{d.label}</dt><dd><Typed class="whole">{row.label}</Typed></dd></>}
      <dt>{d.group}</dt><dd>{row.group === null ? <span class="quiet">{t.own}</span> : <Typed class="whole">{row.group}</Typed>}</dd>
      <dt>{d.weight}</dt><dd>{number(row.weight)}</dd>
      <dt>{d.use}</dt><dd><span>{d.useText(number(row.requests), number(row.errors))}<br />{d.tokensText(number(row.prompt_tokens), number(row.completion_tokens))}</span></dd>
      <dt>{d.used}</dt><dd><When at={row.last_used_at} none={t.never} /></dd>
      <dt>{d.source}</dt><dd>{row.source === 'env' ? <span>{d.env} <code>{row.variable}</code></span> : d.admin}</dd>
      {row.created_at && <><dt>{d.added}</dt><dd>{dateTime(row.created_at)}</dd></>}
      {row.base_url && <><dt>{d.upstream}</dt><dd><code>{row.base_url}</code></dd></>}
      <dt>{d.id}</dt><dd><code>{row.id}</code></dd>
    </dl>
  );
}
