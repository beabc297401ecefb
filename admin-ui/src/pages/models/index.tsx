import { effect } from '@preact/signals';
import { useState } from 'preact/hooks';
import { api } from '../../api.ts';
import { usePoll } from '../../live.ts';
import { common } from '../../texts/common.ts';
import type { Models as ModelsAnswer, Pool } from '../../types.ts';
import { Age, Button, Failed, Notice, Page, Skeleton } from '../../ui/index.ts';
import { CatalogCard } from './catalog.tsx';
import { DEFAULT_POOL, drafts } from './draft.ts';
import { NameDialog } from './name.tsx';
import { PolicyCard } from './policy.tsx';
import { PoolCard } from './pool.tsx';
import { texts } from './texts.ts';
import type { Catalog } from './types.ts';

// A reload or a closed tab would lose them: the browser asks.
const warn = (event: Event) => event.preventDefault();
effect(() => {
  if (Object.keys(drafts.value).length > 0) addEventListener('beforeunload', warn);
  else removeEventListener('beforeunload', warn);
});

/** The default pool first, then by name, so that nothing changes its place. */
const inOrder = (pools: Pool[]) => [...pools].sort((a, b) => Number(b.name === DEFAULT_POOL) - Number(a.name === DEFAULT_POOL) || (a.name < b.name ? -1 : 1));

export default function Models() {
  const t = texts();
  const models = usePoll((signal) => api.get<ModelsAnswer>('/api/models', {}, signal), 15_000);
  const catalog = usePoll((signal) => api.get<Catalog>('/api/models/catalog', {}, signal), 300_000);
  const [naming, setNaming] = useState<{ pool?: Pool } | null>(null);
  const there = inOrder(models.data?.pools ?? []);
  const changed = Object.keys(drafts.value);
  // Changed here, deleted elsewhere: shown for as long as there is something to lose.
  const gone: Pool[] = models.data ? changed.filter((name) => !there.some((pool) => pool.name === name)).map((name) => ({ name, strategy: 'rotate', members: [] })) : [];
  const listed = catalog.data?.models.map(({ id }) => id) ?? [];
  const put = (pool: Pool, old?: string) =>
    models.set((data) => data && { ...data, pools: [...data.pools.filter(({ name }) => name !== pool.name && name !== old), pool] });
  return (
    <Page title={common().names.models} intro={t.intro} actions={<Age at={models.at} error={models.error} />}>
      {models.error && !models.data && <Failed error={models.error} retry={models.reload} busy={models.busy} />}
      {!models.data && !models.error && <><Skeleton height={9} /><Skeleton height={16} /></>}
      {models.data && (
        <>
          <PolicyCard policy={models.data.policy} onSet={(policy) => models.set((data) => data && { ...data, policy })} />
          <div class="models-head">
            <h2>{t.pools}</h2>
            <Button small icon="plus" onClick={() => setNaming({})}>{t.newPool}</Button>
          </div>
          {models.data.policy !== 'prefer_requested' && <Notice tone="info">{t.notUsed[models.data.policy]}</Notice>}
          {changed.length > 1 && <Notice tone="warn">{t.unsavedIn(changed.join(', '))}</Notice>}
          {[...there, ...gone].map((pool) => (
            <PoolCard key={pool.name} pool={pool} gone={gone.includes(pool)} listed={listed} onSaved={put} onRename={(one) => setNaming({ pool: one })}
              onDeleted={(name) => models.set((data) => data && { ...data, pools: data.pools.filter((one) => one.name !== name) })} />
          ))}
          <CatalogCard catalog={catalog} pools={there} onSaved={put} />
        </>
      )}
      {naming && (
        <NameDialog pool={naming.pool} taken={there.map(({ name }) => name)} listed={listed} onClose={() => setNaming(null)} onDone={(pool, old) => { setNaming(null); put(pool, old); }} />
      )}
    </Page>
  );
}
