// The recent requests as they come, and each one's story.
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError } from '../../api.ts';
import { compact, duration, number, time } from '../../format.ts';
import { useNow, usePoll } from '../../live.ts';
import { named } from '../../named.ts';
import { href, route, setParams } from '../../router.ts';
import { common } from '../../texts/common.ts';
import type { Models, Paged, Token } from '../../types.ts';
import { Badge, Button, ButtonLink, Empty, Failed, Notice, Page, Select, Skeleton, Table, Typed, type Column } from '../../ui/index.ts';
import { type Filter, rowKey, useFeed, type Feed } from './feed.ts';
import { StatusBadge, StoryDialog, tokenName } from './story.tsx';
import { texts } from './texts.ts';
import type { Story } from './types.ts';

const STATUSES = ['400', '401', '403', '404', '413', '422', '429', '500', '502', '503', '504'];
/** Scrolled further than this the list stands still. */
const TOP_PX = 150;

const filterOf = (query: URLSearchParams): Filter => ({ status: query.get('status') ?? '', model: query.get('model') ?? '', token: query.get('token') ?? '' });

function columns(t: ReturnType<typeof texts>, query: URLSearchParams): Column<Story>[] {
  const some = (ms: number | null) => (ms === null ? <span class="quiet">–</span> : duration(ms));
  return [
    {
      id: 'at', label: t.columns.at, main: true,
      render: (story) => <a class="requests-open" href={href('requests', { ...Object.fromEntries(query), id: story.id })} aria-label={t.openStory(time(story.at))}>{time(story.at)}</a>,
    },
    { id: 'status', label: t.columns.status, render: (story) => <StatusBadge story={story} /> },
    {
      id: 'model', label: t.columns.model,
      render: (story) => (
        <span class="requests-name">
          <Typed>{story.model ?? story.asked ?? '–'}</Typed>
          {story.asked && story.model && story.asked !== story.model && <small class="quiet">{t.instead(named(story.asked))}</small>}
        </span>
      ),
    },
    { id: 'token', label: t.columns.token, render: (story) => <span class={`requests-name${story.token ? '' : ' quiet'}`}><Typed>{tokenName(story, t)}</Typed></span> },
    { id: 'attempts', label: t.columns.attempts, end: true, render: (story) => <span class={story.attempts.length > 1 ? 'requests-many' : ''}>{number(story.attempts.length)}</span> },
    {
      id: 'usage', label: t.columns.usage, end: true,
      render: ({ usage }) => (usage ? <span title={usage.estimated ? t.estimated : undefined}>{usage.estimated ? '≈ ' : ''}{compact(usage.prompt_tokens)} + {compact(usage.completion_tokens)}</span> : <span class="quiet">–</span>),
    },
    { id: 'wait', label: t.columns.wait, end: true, render: (story) => some(story.wait_ms || null) },
    { id: 'first', label: t.columns.first, end: true, render: (story) => some(story.first_event_ms) },
    { id: 'duration', label: t.columns.duration, end: true, render: (story) => duration(story.duration_ms) },
  ];
}

function Filters({ filter, items }: { filter: Filter; items: Story[] }) {
  const t = texts();
  const models = usePoll((signal) => api.get<Models>('/api/models', {}, signal), 0);
  const tokens = usePoll((signal) => api.get<Paged<Token>>('/api/tokens', {}, signal), 0);
  // What was seen stays a choice when a filter hides it.
  const seen = useRef({ models: new Set<string>(), tokens: new Map<string, string | null>() }).current;
  for (const { model, token } of items) {
    if (model) seen.models.add(model);
    if (token) seen.tokens.set(token.id, token.name);
  }
  const known = new Set([...(models.data?.pools ?? []).flatMap(({ members }) => members.map(({ model }) => model)), ...seen.models]);
  if (filter.model) known.add(filter.model);
  const named = new Map((tokens.data?.items ?? []).map(({ id, name }) => [id, name]));
  for (const [id, name] of seen.tokens) if (!named.has(id)) named.set(id, name ?? t.gone);
  if (filter.token && !named.has(filter.token)) named.set(filter.token, filter.token);
  const statuses = new Set([...STATUSES, ...(/^\d+$/.test(filter.status) ? [filter.status] : [])]);
  const any = { value: '', label: t.all };
  return (
    <div class="requests-filters" role="group" aria-label={t.filters}>
      <Select label={t.status} value={filter.status} onValue={(status) => setParams({ status })}
        options={[any, { value: 'ok', label: t.ok }, { value: 'error', label: t.errors }, ...[...statuses].sort().map((value) => ({ value, label: value }))]} />
      <Select label={t.model} value={filter.model} onValue={(model) => setParams({ model })} options={[any, ...[...known].sort().map((value) => ({ value, label: value }))]} />
      <Select label={t.token} value={filter.token} onValue={(token) => setParams({ token })} options={[any, ...[...named].map(([value, label]) => ({ value, label }))]} />
      {(filter.status || filter.model || filter.token) && <Button tone="plain" icon="close" onClick={() => setParams({ status: null, model: null, token: null })}>{t.clear}</Button>}
    </div>
  );
}

function State({ feed, paused }: { feed: Feed; paused: boolean }) {
  const t = texts();
  const { connected, lostSince } = feed.stream;
  return (
    <>
      {feed.pulse && connected && !paused && <span class="quiet requests-pulse">{t.pulse(number(feed.pulse.waiting), number(feed.pulse.under_way))}</span>}
      {paused ? <Badge tone="off" icon="wait">{t.paused}</Badge> : lostSince !== null ? null : connected ? <Badge tone="ok">{t.live}</Badge> : <Badge tone="off" icon="wait">{t.connecting}</Badge>}
    </>
  );
}

function Lost({ since }: { since: number }) {
  const t = texts();
  const now = useNow(1_000);
  return <Notice tone="warn">{t.liveLost(duration(Math.max(1_000, now - since)))}</Notice>;
}

/** Whether the list is being read: scrolled away from its top, or a mouse over its rows. */
function useReading() {
  const [away, setAway] = useState(false);
  const [over, setOver] = useState(false);
  useEffect(() => {
    const look = () => setAway(scrollY > TOP_PX);
    addEventListener('scroll', look, { passive: true });
    return () => removeEventListener('scroll', look);
  }, []);
  const handlers = {
    onPointerEnter: (event: PointerEvent) => event.pointerType === 'mouse' && setOver(true),
    onPointerLeave: () => setOver(false),
  };
  return { reading: away || over, handlers };
}

export default function Requests() {
  const t = texts();
  const { query } = route.value;
  const filter = filterOf(query);
  const [paused, setPaused] = useState(false);
  const { reading, handlers } = useReading();
  const feed = useFeed(filter, paused || reading);
  const { first, items } = feed;
  const missing = first.error?.status === 404;
  const filtered = filter.status !== '' || filter.model !== '' || filter.token !== '';

  const id = query.get('id');
  // Opened from here: closing goes back, so that the browser's "back" does not open it again.
  const opened = useRef(false);
  const before = useRef(id);
  if (before.current !== id) {
    opened.current = before.current === null && id !== null;
    before.current = id;
  }
  const kept = useRef<Story>(undefined);
  const known = items.find((story) => story.id === id) ?? (kept.current?.id === id ? kept.current : undefined);
  kept.current = known;
  const close = () => {
    if (opened.current) history.back();
    else setParams({ id: null });
    opened.current = false;
  };

  return (
    <Page
      title={common().names.requests}
      actions={feed.loaded && (
        <>
          <State feed={feed} paused={paused} />
          <Button small onClick={() => setPaused(!paused)} aria-pressed={paused}>{paused ? t.resume : t.pause}</Button>
        </>
      )}
    >
      {missing ? <Notice tone="info">{t.unavailable}</Notice> : (
        <>
          <Filters filter={filter} items={items} />
          {feed.stream.lostSince !== null && <Lost since={feed.stream.lostSince} />}
          {first.error && <Failed error={first.error} retry={first.reload} busy={first.busy} />}
          <div class="requests-fresh" role="status">
            {feed.fresh > 0 && (
              <Button small tone="primary" icon="up" label={t.freshRead(feed.fresh)} onClick={() => { feed.show(); scrollTo({ top: 0 }); }}>{t.fresh(number(feed.fresh))}</Button>
            )}
          </div>
          {feed.loaded ? (
            <section class={`requests-list${items.length === 0 ? '' : ' full'}`} {...handlers}>
              <Table caption={t.caption} columns={columns(t, query)} rows={items} rowKey={rowKey}
                empty={filtered
                  ? <Empty icon="search" title={t.noneFits} actions={<Button onClick={() => setParams({ status: null, model: null, token: null })}>{t.clear}</Button>} />
                  : <Empty icon="requests" title={t.none} actions={<ButtonLink href={href('playground')}>{t.tryIt}</ButtonLink>}>{t.noneText}</Empty>} />
            </section>
          ) : !first.error && <Skeleton rows={8} height={2.6} />}
          {feed.older.error instanceof ApiError && <Failed error={feed.older.error} retry={feed.loadOlder} busy={feed.older.busy} />}
          {feed.loaded && items.length > 0 && (feed.hasOlder
            ? <div class="requests-more"><Button busy={feed.older.busy} onClick={feed.loadOlder}>{t.loadOlder}</Button></div>
            : <p class="hint requests-more">{t.thatsAll}</p>)}
        </>
      )}
      {id !== null && <StoryDialog key={id} id={id} known={known} onClose={close} />}
    </Page>
  );
}
