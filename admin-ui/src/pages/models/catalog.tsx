// The provider's public list, to add models from.
import { useState } from 'preact/hooks';
import { api } from '../../api.ts';
import { ago, compact, number } from '../../format.ts';
import { useNow, type Polled } from '../../live.ts';
import type { Pool } from '../../types.ts';
import { Badge, Button, Card, Empty, Failed, Field, Notice, Select, Skeleton, Table, toast, Typed, type Column } from '../../ui/index.ts';
import { change, DEFAULT_POOL, drafts, memberId, MEMBERS_MAX, poolPath, shownOf } from './draft.ts';
import { TestButton, TestResult } from './testing.tsx';
import { texts } from './texts.ts';
import { CATALOG_PROVIDER, type Catalog, type CatalogModel } from './types.ts';

/** US dollars for a million tokens, of a decimal text for one. */
function perMillion(text: string | null | undefined): string {
  const value = Number(text) * 1_000_000;
  return text && Number.isFinite(value) ? `$${number(value, 2)}` : '–';
}

export function CatalogCard({ catalog, pools, onSaved }: { catalog: Polled<Catalog>; pools: Pool[]; onSaved: (pool: Pool) => void }) {
  const t = texts();
  const now = useNow(10_000);
  const [search, setSearch] = useState('');
  const [target, setTarget] = useState(DEFAULT_POOL);
  const [refreshing, setRefreshing] = useState(false);
  const [adding, setAdding] = useState<string | null>(null);
  const pool = pools.find(({ name }) => name === target) ?? pools[0];
  const members = pool ? shownOf(pool).members : [];
  const { data } = catalog;

  const refresh = async () => {
    setRefreshing(true);
    try {
      const got = await api.post<Catalog>('/api/models/catalog/refresh');
      catalog.set(() => got);
      if (!got.last_error) toast.ok(t.refreshed);
    } catch (error) {
      toast.error(error);
    } finally {
      setRefreshing(false);
    }
  };
  const add = async (id: string) => {
    if (!pool || adding) return;
    const { strategy } = shownOf(pool);
    if (members.length >= MEMBERS_MAX) return toast.error(t.full);
    const next = [...members, { model: id, provider: CATALOG_PROVIDER, weight: 1, enabled: true }];
    if (drafts.value[pool.name]) {
      change(pool, { members: next });
      return toast.ok(t.addedDraft(id, pool.name));
    }
    setAdding(id);
    try {
      onSaved(await api.put<Pool>(poolPath(pool.name), { strategy, members: next }));
      toast.ok(t.added(id, pool.name), async () => {
        try {
          onSaved(await api.put<Pool>(poolPath(pool.name), { strategy, members }));
          toast.ok(t.removed(id, pool.name));
        } catch (error) {
          toast.error(error);
        }
      });
    } catch (error) {
      toast.error(error);
    } finally {
      setAdding(null);
    }
  };

  const wanted = search.trim().toLowerCase();
  const rows = (data?.models ?? []).filter(({ id, name }) => `${id} ${name ?? ''}`.toLowerCase().includes(wanted));
  const columns: Column<CatalogModel>[] = [
    {
      id: 'model',
      label: t.columns.model,
      main: true,
      render: (model) => (
        <div class="models-listed">
          <code>{model.id}</code>
          {model.name && model.name !== model.id && <span class="hint"><Typed>{model.name}</Typed></span>}
          {(model.preview || model.deprecated) && (
            <span class="row">{model.preview && <Badge tone="info">{t.preview}</Badge>}{model.deprecated && <Badge tone="warn">{t.deprecated}</Badge>}</span>
          )}
        </div>
      ),
    },
    { id: 'context', label: t.columns.context, end: true, render: (model) => (model.context_length ? compact(model.context_length) : '–') },
    { id: 'output', label: t.columns.output, end: true, render: (model) => (model.max_completion_tokens ? compact(model.max_completion_tokens) : '–') },
    { id: 'price', label: t.columns.price, render: (model) => (model.pricing ? t.price(perMillion(model.pricing.prompt), perMillion(model.pricing.completion)) : '–') },
    {
      id: 'actions',
      label: t.columns.actions,
      hideLabel: true,
      end: true,
      render: ({ id }) => (
        <div class="models-listed-acts">
          <div class="row">
            <TestButton model={id} provider={CATALOG_PROVIDER} />
            {pool && members.some((member) => memberId(member) === memberId({ model: id, provider: CATALOG_PROVIDER })) ? (
              <Badge tone="ok">{t.inPool}</Badge>
            ) : (
              <Button small icon="plus" busy={adding === id} label={t.addOf(id, pool?.name ?? '')} onClick={() => add(id)}>{t.add}</Button>
            )}
          </div>
          <TestResult model={id} provider={CATALOG_PROVIDER} />
        </div>
      ),
    },
  ];
  return (
    <Card
      title={t.catalog}
      actions={
        <>
          {data?.stale && data.fetched_at && <Badge tone="warn">{t.stale}</Badge>}
          {data && <span class="age" title={data.source}>{data.fetched_at ? t.fetched(ago(data.fetched_at, Math.max(now, Date.parse(data.fetched_at)))) : t.neverFetched}</span>}
          <Button small icon="refresh" busy={refreshing} onClick={refresh}>{t.refresh}</Button>
        </>
      }
    >
      <p class="quiet">{t.catalogText} {data && <code>{data.source}</code>}</p>
      {catalog.error && <Failed error={catalog.error} retry={catalog.reload} busy={catalog.busy} />}
      {data?.last_error && <Notice tone="warn">{t.lastError(data.last_error)} {data.fetched_at && t.oldCopy}</Notice>}
      {data ? (
        <>
          <div class="models-tools">
            <Field label={t.search} type="search" value={search} onValue={setSearch} maxLength={200} />
            <Select label={t.addTo} value={pool?.name ?? ''} options={pools.map(({ name }) => ({ value: name, label: name }))} onValue={setTarget} />
          </div>
          <Table caption={t.catalog} columns={columns} rows={rows} rowKey={({ id }) => id}
            empty={<Empty icon="models" title={search.trim() ? t.noneFound(search.trim()) : t.noModels} />} />
        </>
      ) : (
        !catalog.error && <Skeleton rows={3} height={3} />
      )}
    </Card>
  );
}
