// Who is logged in: sessions, to be ended one by one or all but this one.
import { useState } from 'preact/hooks';
import { api } from '../../api.ts';
import { ago, dateTime } from '../../format.ts';
import type { Polled } from '../../live.ts';
import { Age, Badge, Button, Card, confirm, Failed, Notice, Skeleton, Table, toast } from '../../ui/index.ts';
import { texts } from './texts.ts';

export type Session = { id: string; created_at: string; expires_at: string; current: boolean };

export function Sessions({ list }: { list: Polled<{ items: Session[] }> }) {
  const t = texts().sessions;
  const [busy, setBusy] = useState<string | null>(null);
  const missing = list.error?.status === 404;
  const items = [...(list.data?.items ?? [])].sort((a, b) => Number(b.current) - Number(a.current) || b.created_at.localeCompare(a.created_at));
  const others = items.filter(({ current }) => !current);
  const run = async (name: string, call: () => Promise<unknown>, said: string) => {
    setBusy(name);
    try {
      await call();
      toast.ok(said);
    } catch (error) {
      toast.error(error);
    } finally {
      setBusy(null);
      void list.reload();
    }
  };
  const end = async (row: Session) => {
    const items = [t.item(row.id, dateTime(row.created_at))];
    if (await confirm({ title: t.endTitle, text: t.endText, items, action: t.end })) await run(row.id, () => api.delete(`/api/sessions/${row.id}`), t.ended);
  };
  const endOthers = async () => {
    const items = others.map((row) => t.item(row.id, dateTime(row.created_at)));
    if (await confirm({ title: t.othersTitle, text: t.endText, items, action: t.endOthers })) await run('others', () => api.post('/api/sessions/end_others'), t.othersEnded);
  };
  return (
    <Card title={t.title} actions={<><Age at={list.at} error={list.error} />{others.length > 0 && <Button small busy={busy === 'others'} onClick={endOthers}>{t.endOthers}</Button>}</>}>
      <p class="quiet">{t.text}</p>
      {list.error && !list.data && (missing ? <Notice tone="info">{texts().notAvailable}</Notice> : <Failed error={list.error} retry={list.reload} busy={list.busy} />)}
      {!list.data && !list.error && <Skeleton rows={3} height={2.5} />}
      {list.data && (
        <Table
          caption={t.title}
          rows={items}
          rowKey={(row) => row.id}
          columns={[
            { id: 'id', label: t.id, main: true, render: (row) => <span class="row"><code>{row.id}</code>{row.current && <Badge tone="ok">{t.current}</Badge>}</span> },
            { id: 'created_at', label: t.began, render: (row) => <span title={dateTime(row.created_at)}>{ago(row.created_at)}</span> },
            { id: 'expires_at', label: t.ends, render: (row) => <span title={dateTime(row.expires_at)}>{ago(row.expires_at)}</span> },
            { id: 'actions', label: t.end, hideLabel: true, end: true, render: (row) => !row.current && <Button small busy={busy === row.id} aria-label={t.endOne(row.id)} onClick={() => end(row)}>{t.end}</Button> },
          ]}
        />
      )}
    </Card>
  );
}
