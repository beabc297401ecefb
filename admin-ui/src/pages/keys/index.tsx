// The pool's keys. Only the page of the list that is shown is ever held here; filters, order and page are the server's.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api } from '../../api.ts';
import { PIECE } from '../../bulk.ts';
import { paceOf, usePoll } from '../../live.ts';
import { route, setParams } from '../../router.ts';
import { common } from '../../texts/common.ts';
import type { Key, Paged } from '../../types.ts';
import { Age, Button, Empty, Failed, Page, Pager, Select, Skeleton, Table, toast } from '../../ui/index.ts';
import { afterTest, askDelete, atOnce, deleteKey, deleteTask, groupTask, setEnabled, switchTask, testKey } from './actions.ts';
import { AddDialog } from './add-dialog.tsx';
import { BulkDialog, type BulkTask } from './bulk-dialog.tsx';
import { columns } from './columns.tsx';
import { DeadDialog, EnvDialog } from './delete-dialogs.tsx';
import { Detail } from './detail.tsx';
import { EditDialog, GroupDialog } from './edit-dialog.tsx';
import { ExportDialog } from './export-dialog.tsx';
import { Filters } from './filters.tsx';
import { GroupNames } from './parts.tsx';
import { filtersOf, listQuery, nameOf, noteGroups, PER_PAGE } from './query.ts';
import { Selection } from './selection.tsx';
import { SuggestionsDialog, type Suggestions } from './suggestions.tsx';
import { TestDialog } from './test-dialog.tsx';
import { texts } from './texts.ts';

const EACH_MS = 20_000;
const SUGGESTIONS_MS = 60_000;
/** After a state has ended, until its row is asked for again; also the least time between two such calls. */
const ENDED_MS = 2_000;

type Open =
  | { what: 'add' | 'export' | 'suggestions' | 'dead' }
  | { what: 'test'; ids: string[] | null; total: number }
  | { what: 'group'; ids: string[] }
  | { what: 'bulk'; task: BulkTask }
  | { what: 'edit' | 'env'; row: Key };

/** Loads anew when the first of the shown states has ended. */
function useEndings(items: Key[] | undefined, total: number | undefined, reload: () => Promise<void>) {
  const first = Math.min(...(items ?? []).map(({ until }) => (until ? Date.parse(until) : Number.POSITIVE_INFINITY)));
  useEffect(() => {
    const wait = first - Date.now();
    if (!Number.isFinite(wait) || wait > 86_400_000) return;
    const timer = setTimeout(() => void reload(), Math.max(0, wait) + paceOf(ENDED_MS, total));
    return () => clearTimeout(timer);
  }, [first, items, total]);
}

const rowKey = ({ id }: Key) => id;

export default function Keys() {
  const t = texts();
  const params = route.value.query;
  const query = listQuery(params);
  const asked = { ...filtersOf(query), sort: query.sort, page: query.page, per_page: query.perPage };
  const wanted = JSON.stringify(asked);
  const list = usePoll(async (signal) => ({ ...(await api.get<Paged<Key>>('/api/keys', asked, signal)), wanted }), EACH_MS, [wanted], ({ total }) => total);
  const suggestions = usePoll((signal) => api.get<Suggestions>('/api/keys/suggestions', {}, signal), SUGGESTIONS_MS);
  const [open, setOpen] = useState<Open | null>(null);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [busy, setBusy] = useState<ReadonlyMap<string, 'test' | 'enabled'>>(new Map());
  const [changes, setChanges] = useState(0);
  const [counting, setCounting] = useState(false);
  const [changing, setChanging] = useState<'all' | 'pause' | 'resume' | null>(null);

  const items = list.data?.items;
  const total = list.data?.total ?? 0;
  const id = params.get('id');
  const filtered = query.status !== null || query.group !== '' || query.groups !== '' || query.q !== '';
  const picked = useMemo(() => (items ?? []).filter((row) => selected.has(row.id)), [items, selected]);
  useEffect(() => setSelected(new Set()), [query.status, query.group, query.groups, query.q, query.page, query.perPage]);
  useEffect(() => {
    // Of a selection within this page, what is not there any more is selected no longer; one beyond it is left as it is.
    if (items && selected.size <= items.length && picked.length < selected.size) setSelected(new Set(picked.map((row) => row.id)));
  }, [items]);
  useEffect(() => noteGroups(items ?? []), [items]);
  useEndings(items, list.data?.total, list.reload);
  useEffect(() => {
    // The page that the address names went away with its last keys.
    if (items?.length === 0 && total > 0 && query.page > 1) setParams({ page: Math.ceil(total / query.perPage) });
  }, [items]);

  const close = () => setOpen(null);
  const reload = () => {
    setChanges((n) => n + 1);
    void list.reload();
  };
  const put = (...rows: Key[]) => {
    const byId = new Map(rows.map((row) => [row.id, row]));
    list.set((now) => now && { ...now, items: now.items.map((row) => byId.get(row.id) ?? row) });
    setChanges((n) => n + 1);
  };
  const during = async (row: Key, what: 'test' | 'enabled', work: () => Promise<void>) => {
    setBusy((now) => new Map(now).set(row.id, what));
    try {
      await work();
    } catch (error) {
      toast.error(error);
    } finally {
      setBusy((now) => new Map([...now].filter(([other]) => other !== row.id)));
    }
  };
  const test = (row: Key) => during(row, 'test', async () => {
    const result = await testKey(row);
    put(afterTest(row, result));
    const said = t.testSaid(nameOf(row), t.outcomes[result.outcome]);
    if (result.outcome === 'ok') toast.ok(said);
    else toast.error(result.detail ? `${said}. ${result.detail}` : said);
  });
  const remove = async (row: Key) => {
    if (row.source === 'env') return setOpen({ what: 'env', row });
    if (!(await deleteKey(row))) return;
    if (id === row.id) setParams({ id: null });
    reload();
  };
  /** How many there are at all, whatever the filters leave. */
  const testAll = async () => {
    setCounting(true);
    try {
      const all = filtered ? (await api.get<Paged<Key>>('/api/keys', { per_page: 1 })).total : total;
      setOpen({ what: 'test', ids: null, total: all });
    } catch (error) {
      toast.error(error);
    } finally {
      setCounting(false);
    }
  };
  /** Selects what the filters leave, on all pages. */
  const selectAll = async () => {
    setChanging('all');
    try {
      setSelected(new Set((await api.get<{ ids: string[] }>('/api/keys/ids', filtersOf(query))).ids));
    } catch (error) {
      toast.error(error);
    } finally {
      setChanging(null);
    }
  };
  /** What one call can do is done in place; more is shown while it goes on. True when it was done in place. */
  const change = async (task: BulkTask): Promise<boolean> => {
    if (task.ids.length > PIECE) {
      setOpen({ what: 'bulk', task });
      return false;
    }
    const done = await atOnce(task);
    if (done) reload();
    return done;
  };
  const ids = [...selected];
  const enable = async (enabled: boolean) => {
    setChanging(enabled ? 'resume' : 'pause');
    const wanted = picked.length === ids.length ? picked.filter((row) => row.enabled !== enabled).map((row) => row.id) : ids;
    await change(switchTask(t, wanted, enabled));
    setChanging(null);
  };
  const removeMany = async () => {
    const own = await askDelete(ids, picked);
    if (own) await change(deleteTask(t, own));
  };
  const latest = useRef({ test, remove, put });
  latest.current = { test, remove, put };
  // The same from one rendering to the next, so that only rows that changed are rendered again.
  const cols = useMemo(() => columns(t, {
    busy,
    test: (row) => void latest.current.test(row),
    toggle: (row) => void during(row, 'enabled', () => setEnabled(row, !row.enabled, latest.current.put)),
    edit: (row) => setOpen({ what: 'edit', row }),
    remove: (row) => void latest.current.remove(row),
  }), [t, busy]);
  const sort = { by: query.sort.replace(/^-/, ''), down: query.sort.startsWith('-') };
  const suggested = suggestions.data?.items.length ?? 0;
  const nothing = items?.length === 0 && !filtered && total === 0;

  return (
    <Page title={common().names.keys} actions={<><Age at={list.at} error={list.error} /><Button tone="primary" icon="plus" onClick={() => setOpen({ what: 'add' })}>{t.add}</Button></>}>
      <GroupNames />
      <div class="keys-tools row">
        <Button small icon="refresh" busy={counting} disabled={nothing} onClick={() => void testAll()}>{t.testAll}</Button>
        <Button small icon="group" onClick={() => setOpen({ what: 'suggestions' })}>{t.suggestions}{suggested > 0 && ' '}{suggested > 0 && <span class="keys-count">{suggested}</span>}</Button>
        <Button small icon="download" disabled={nothing} onClick={() => setOpen({ what: 'export' })}>{t.export}</Button>
        <Button small icon="trash" disabled={nothing} onClick={() => setOpen({ what: 'dead' })}>{t.deleteDead}</Button>
      </div>
      <Filters query={query} refresh={changes} />
      {list.error && (!items || list.data?.wanted !== wanted) && <Failed error={list.error} retry={list.reload} busy={list.busy} />}
      {!items && !list.error && <Skeleton rows={8} height={3} />}
      {items && (
        <div class="keys-list">
          <Table caption={common().names.keys} columns={cols} rows={items} rowKey={rowKey} rowName={nameOf} sort={sort} onSort={({ by, down }) => setParams({ sort: `${down ? '-' : ''}${by}`, page: null })}
            selected={selected} onSelect={setSelected} busy={list.data?.wanted !== wanted}
            empty={nothing
              ? <Empty icon="keys" title={t.empty} actions={<Button tone="primary" icon="plus" onClick={() => setOpen({ what: 'add' })}>{t.add}</Button>}>{t.emptyText}</Empty>
              : <Empty icon="search" title={t.noMatch} actions={<Button onClick={() => setParams({ status: null, group: null, groups: null, q: null, page: null })}>{t.clear}</Button>} />} />
          {ids.length > 0 && (
            <Selection rows={picked} count={ids.length} total={total} busy={changing} onAll={() => void selectAll()} onEnable={(enabled) => void enable(enabled)}
              onTest={() => setOpen({ what: 'test', ids, total: ids.length })} onGroup={() => setOpen({ what: 'group', ids })} onDelete={() => void removeMany()} onClear={() => setSelected(new Set())} />
          )}
          {total > PER_PAGE[0] && (
            <div class="keys-foot">
              <Pager page={query.page} perPage={query.perPage} total={total} onPage={(page) => { setParams({ page }); scrollTo(0, 0); }} />
              <Select label={t.perPage} value={String(query.perPage)} options={PER_PAGE.map((n) => ({ value: String(n), label: String(n) }))} onValue={(n) => setParams({ per_page: n, page: null })} />
            </div>
          )}
        </div>
      )}
      {id !== null && <Detail key={id} id={id} known={items?.find((row) => row.id === id)} onRow={put} onEdit={(row) => setOpen({ what: 'edit', row })} onDelete={(row) => void remove(row)} onClose={() => setParams({ id: null })} />}
      {open?.what === 'add' && <AddDialog onAdded={reload} onClose={close} />}
      {open?.what === 'edit' && <EditDialog row={open.row} onSaved={(row) => { put(row); reload(); }} onClose={close} />}
      {open?.what === 'env' && <EnvDialog row={open.row} onRow={put} onClose={close} />}
      {open?.what === 'dead' && <DeadDialog onDone={reload} onClose={close} />}
      {open?.what === 'export' && <ExportDialog onClose={close} />}
      {open?.what === 'group' && <GroupDialog count={open.ids.length} onGroup={async (group) => { const done = await change(groupTask(t, open.ids, group)); if (done) close(); return done; }} onClose={close} />}
      {open?.what === 'bulk' && <BulkDialog task={open.task} onChange={reload} onClose={close} />}
      {open?.what === 'suggestions' && <SuggestionsDialog list={suggestions} onGrouped={reload} onClose={close} />}
      {open?.what === 'test' && <TestDialog ids={open.ids} total={open.total} onResult={(result) => list.set((now) => now && { ...now, items: now.items.map((row) => (row.id === result.id ? afterTest(row, result) : row)) })} onClose={() => { close(); reload(); }} />}
    </Page>
  );
}
