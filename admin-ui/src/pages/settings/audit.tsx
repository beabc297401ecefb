// Who changed what, when. The details are the Worker's own words.
import { api } from '../../api.ts';
import { dateTime } from '../../format.ts';
import { usePoll } from '../../live.ts';
import { route, setParams } from '../../router.ts';
import type { Paged } from '../../types.ts';
import { Age, Button, Card, Empty, Failed, Pager, Skeleton, Table, Typed } from '../../ui/index.ts';
import { texts } from './texts.ts';

type Entry = { id: number; at: string | null; actor: string; action: string; detail: string };
const PER_PAGE = 50;

export function Audit() {
  const t = texts().audit;
  const page = Math.max(1, Number.parseInt(route.value.query.get('page') ?? '1', 10) || 1);
  const list = usePoll((signal) => api.get<Paged<Entry>>('/api/audit', { page, per_page: PER_PAGE }, signal), 30_000, [page]);
  return (
    <Card title={t.title} actions={<><Age at={list.at} error={list.error} /><Button small icon="refresh" busy={list.busy && !!list.data} onClick={list.reload}>{t.refresh}</Button></>}>
      {list.error && !list.data && <Failed error={list.error} retry={list.reload} busy={list.busy} />}
      {!list.data && !list.error && <Skeleton rows={8} height={2.2} />}
      {list.data && (
        <>
          <Table
            caption={t.title}
            busy={list.busy && list.data.page !== page}
            rows={list.data.items}
            rowKey={(row) => String(row.id)}
            empty={<Empty title={t.none} />}
            columns={[
              { id: 'what', label: t.what, main: true, render: (row) => <span title={row.action}>{t.actions[row.action] ?? <code>{row.action}</code>}</span> },
              { id: 'detail', label: t.detail, render: (row) => <span class="settings-detail" lang="en"><Typed>{row.detail || '–'}</Typed></span> },
              { id: 'actor', label: t.who, render: (row) => <span class="settings-actor" lang="en">{row.actor}</span> },
              { id: 'at', label: t.when, render: (row) => <span class="settings-when">{row.at ? dateTime(row.at) : '–'}</span> },
            ]}
          />
          <Pager page={page} perPage={PER_PAGE} total={list.data.total} onPage={(next) => setParams({ page: next === 1 ? null : next })} />
        </>
      )}
    </Card>
  );
}
