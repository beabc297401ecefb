import { useEffect, useState } from 'preact/hooks';
import { api } from '../../api.ts';
import { ago, compact, dateTime, number, percent } from '../../format.ts';
import { useNow, usePoll } from '../../live.ts';
import { named } from '../../named.ts';
import { href, route, setParams } from '../../router.ts';
import { common } from '../../texts/common.ts';
import type { Models, NewToken, Paged, Token } from '../../types.ts';
import { Age, Badge, Button, confirm, Empty, Failed, Icon, Page, Pager, SearchField, Skeleton, Table, toast, Typed, type Column, type IconName } from '../../ui/index.ts';
import { Made, TokenForm } from './dialog.tsx';
import { LIMITS, stateOf } from './form.ts';
import { texts } from './texts.ts';

const PER_PAGE = 50;
const MOST_SEARCH = 200;
/** So many tokens are seen at a glance. */
const SEARCH_FROM = 8;
const TONES = { active: 'ok', paused: 'off', expired: 'warn' } as const;
const ICONS = { active: 'ok', paused: 'pause', expired: 'wait' } as const;

const IconLink = ({ to, icon, label }: { to: string; icon: IconName; label: string }) => (
  <a class="button plain small bare" href={to} aria-label={label} title={label}><Icon name={icon} /></a>
);

function Limits({ token }: { token: Token }) {
  const t = texts();
  const set = LIMITS.flatMap((limit) => (token[limit] === null ? [] : [{ limit, text: t.short[limit](compact(token[limit])), title: t.short[limit](number(token[limit])) }]));
  return (
    <div class="tokens-set">
      {set.length === 0 ? <span class="quiet">{t.unlimited}</span> : set.map(({ limit, text, title }) => <span key={limit} class="tokens-chip" title={title}>{text}</span>)}
      {token.models && <span class="tokens-chip" title={token.models.join(', ')}>{t.onlyModels(token.models.slice(0, 2).map((model) => named(model)).join(', ') + (token.models.length > 2 ? ` +${token.models.length - 2}` : ''))}</span>}
      {token.metrics && <span class="tokens-chip">{t.mayMetrics}</span>}
    </div>
  );
}

export default function Tokens() {
  const t = texts();
  const { query } = route.value;
  const page = Math.max(1, Number.parseInt(query.get('page') ?? '', 10) || 1);
  const search = (query.get('q') ?? '').slice(0, MOST_SEARCH);
  const list = usePoll(async (signal) => ({ ...(await api.get<Paged<Token>>('/api/tokens', { q: search, page, per_page: PER_PAGE }, signal)), search }), 15_000, [page, search]);
  const models = usePoll((signal) => api.get<Models>('/api/models', {}, signal), 0);
  const now = useNow(10_000);
  const [form, setForm] = useState<{ token?: Token } | null>(null);
  const [made, setMade] = useState<NewToken | null>(null);
  const [busy, setBusy] = useState<ReadonlySet<string>>(new Set());
  useEffect(() => {
    if (!query.has('new')) return;
    setForm({});
    setParams({ new: null });
  }, [query.has('new')]);
  // The last token of the last page is gone: back to one that has some.
  const last = Math.max(1, Math.ceil((list.data?.total ?? 0) / PER_PAGE));
  useEffect(() => {
    if (list.data && page > last) setParams({ page: last > 1 ? last : null });
  }, [list.data, last, page]);

  const pools = models.data?.pools ?? [];
  const known = [...new Set([...pools.map(({ name }) => name), ...pools.flatMap(({ members }) => members.map(({ model }) => model))])];
  const put = (token: Token) => list.set((data) => data && { ...data, items: data.items.map((item) => (item.id === token.id ? token : item)) });
  const during = async (id: string, task: () => Promise<void>) => {
    if (busy.has(id)) return;
    setBusy((before) => new Set(before).add(id));
    try {
      await task();
    } catch (error) {
      toast.error(error);
    } finally {
      setBusy((before) => new Set([...before].filter((one) => one !== id)));
    }
  };
  const path = ({ id }: Token) => `/api/tokens/${encodeURIComponent(id)}`;
  const turn = (token: Token, enabled: boolean): Promise<void> =>
    during(token.id, async () => {
      put(await api.patch<Token>(path(token), { enabled }));
      toast.ok(enabled ? t.resumed(named(token.name)) : t.paused(named(token.name)), enabled ? undefined : () => void turn(token, true));
    });
  const revoke = async (token: Token) => {
    if (!(await confirm({ title: t.revokeTitle(named(token.name)), text: t.revokeText, items: [`${named(token.name)} (${token.masked})`], action: t.revoke }))) return;
    await during(token.id, async () => {
      await api.delete(path(token));
      list.set((data) => data && { ...data, total: data.total - 1, items: data.items.filter(({ id }) => id !== token.id) });
      toast.ok(t.revoked(named(token.name)));
      void list.reload();
    });
  };

  const columns: Column<Token>[] = [
    {
      id: 'name',
      label: t.columns.name,
      main: true,
      render: (token) => (
        <div class="tokens-name">
          <button type="button" class="tokens-open" onClick={() => setForm({ token })}><Typed>{token.name}</Typed></button>
          <span class="quiet"><code>{token.masked}</code>{token.source === 'env' && <> · {t.fromEnv}</>}</span>
        </div>
      ),
    },
    {
      id: 'state',
      label: t.columns.state,
      render: (token) => {
        const state = stateOf(token, now);
        return (
          <div class="tokens-lines">
            <Badge tone={TONES[state]} icon={ICONS[state]}>{t.states[state]}</Badge>
            {token.expires_at && <span class="hint" title={dateTime(token.expires_at)}>{(state === 'expired' ? t.expired : t.expires)(ago(token.expires_at, now))}</span>}
          </div>
        );
      },
    },
    { id: 'limits', label: t.columns.limits, render: (token) => <Limits token={token} /> },
    {
      id: 'use',
      label: t.columns.use,
      render: (token) => (
        <div class="tokens-lines">
          <span title={number(token.requests)}>{t.requests(compact(token.requests))}</span>
          <span class="hint">{t.tokensUsed(compact(token.prompt_tokens), compact(token.completion_tokens))}</span>
          {token.errors > 0 && <span class="tokens-failed">{t.errors(compact(token.errors), percent(token.errors / Math.max(1, token.requests)))}</span>}
        </div>
      ),
    },
    { id: 'last', label: t.columns.last, render: (token) => (token.last_used_at ? <span class="tokens-when" title={dateTime(token.last_used_at)}>{ago(token.last_used_at, Math.max(now, Date.parse(token.last_used_at)))}</span> : <span class="quiet">{t.never}</span>) },
    {
      id: 'actions',
      label: t.columns.actions,
      hideLabel: true,
      end: true,
      render: (token) => (
        <div class="tokens-actions">
          <IconLink to={href('requests', { token: token.id })} icon="requests" label={t.requestsOf(named(token.name))} />
          <IconLink to={href('connect', { token: token.id })} icon="connect" label={t.connectOf(named(token.name))} />
          <Button tone="plain" small icon="edit" label={t.editOf(named(token.name))} onClick={() => setForm({ token })} />
          <Button tone="plain" small icon={token.enabled ? 'pause' : 'play'} busy={busy.has(token.id)} label={token.enabled ? t.pauseOf(named(token.name)) : t.resumeOf(named(token.name))} onClick={() => turn(token, !token.enabled)} />
          <Button tone="plain" small icon="trash" label={t.revokeOf(named(token.name))} onClick={() => (token.source === 'env' ? toast.error(t.envRevoke) : revoke(token))} />
        </div>
      ),
    },
  ];
  const create = <Button tone="primary" icon="plus" onClick={() => setForm({})}>{t.create}</Button>;
  const stale = list.data?.search !== search;
  return (
    <Page title={common().names.tokens} intro={t.intro} actions={<><Age at={list.at} error={list.error} />{create}</>}>
      {list.data && (search !== '' || stale || list.data.total > SEARCH_FROM) && (
        <div class="tokens-search" role="search" aria-label={common().search}>
          <SearchField label={common().search} placeholder={t.searchHint} value={search} most={MOST_SEARCH} onRest={(q) => setParams({ q: q || null, page: null })} />
        </div>
      )}
      {list.error && (!list.data || stale) && <Failed error={list.error} retry={list.reload} busy={list.busy} />}
      {list.data ? (
        <section class="card tokens-list">
          <Table caption={t.caption} columns={columns} rows={list.data.items} rowKey={({ id }) => id} rowName={({ name }) => named(name)} busy={list.data.search !== search}
            empty={search !== '' ? <Empty icon="search" title={t.noMatch} actions={<Button onClick={() => setParams({ q: null, page: null })}>{common().clearSearch}</Button>} /> : <Empty icon="tokens" title={t.none} actions={<Button icon="plus" onClick={() => setForm({})}>{t.create}</Button>}>{t.noneText}</Empty>} />
          <Pager page={page} perPage={PER_PAGE} total={list.data.total} onPage={(next) => setParams({ page: next > 1 ? next : null })} />
        </section>
      ) : (
        !list.error && <Skeleton rows={6} height={3.5} />
      )}
      {form && (
        <TokenForm token={form.token} known={known} onClose={() => setForm(null)}
          onMade={(token) => { setForm(null); setMade(token); void list.reload(); }}
          onSaved={(token) => { setForm(null); put(token); toast.ok(`${t.saved(named(token.name))} ${t.settle}`); }} />
      )}
      {made && <Made made={made} onClose={() => setMade(null)} />}
    </Page>
  );
}
