// The first page: is it healthy, what is it doing, how long does it last, and what happened.
import { api } from '../../api.ts';
import { compact, number } from '../../format.ts';
import { usePoll } from '../../live.ts';
import { common } from '../../texts/common.ts';
import type { Paged, Token } from '../../types.ts';
import { Age, Failed, Notice, Page, Skeleton } from '../../ui/index.ts';
import { CloudflareFuel, QuotaFuel } from './fuel.tsx';
import { KeyStates, Missing, NextSteps, Now, Outages } from './health.tsx';
import { History } from './history.tsx';
import { texts } from './texts.ts';
import type { Overview as Data, Stats } from './types.ts';

const LIVE_MS = 4_000;
const RARE_MS = 60_000;

export default function Overview() {
  const t = texts();
  const { data, error, at, busy, reload } = usePoll((signal) => api.get<Data>('/api/overview', {}, signal), LIVE_MS);
  const stats = usePoll((signal) => api.get<Stats>('/api/stats', { limit: 1 }, signal), RARE_MS);
  const tokens = usePoll((signal) => api.get<Paged<Token>>('/api/tokens', {}, signal), RARE_MS);
  const totals = stats.data?.totals;
  // Only when all three are known: a step that comes and goes would be a lie and a jump.
  const done = data && totals && tokens.data && { keys: data.keys.total > 0, token: tokens.data.items.length > 0, call: totals.requests > 0 };
  const isNew = done && !(done.keys && done.token && done.call);
  return (
    <Page title={common().names.overview} actions={<Age at={at} error={error} />}>
      {error && (!data || error.status !== 0) && (error.status === 404 ? <Notice tone="info">{t.unavailable}</Notice> : <Failed error={error} retry={reload} busy={busy} />)}
      {data ? (
        <>
          {/* A new Rondo lacks keys by nature: its next steps say so in a friendlier way. */}
          {!(isNew && data.missing.every(({ name }) => name === 'keys') && !done.keys) && <Missing overview={data} />}
          <Outages overview={data} />
          {isNew && <NextSteps done={done} />}
          <div class="overview-top">
            <Now overview={data} />
            <KeyStates keys={data.keys} />
          </div>
          <div class="overview-pair">
            <QuotaFuel quota={data.fuel.quota} answering={data.now !== null} />
            <CloudflareFuel cloudflare={data.fuel.cloudflare} />
          </div>
        </>
      ) : (
        !error && <Skeleton rows={3} height={11} />
      )}
      {(!isNew || done.call) && <History />}
      {totals && totals.requests > 0 && <p class="hint">{t.sinceEver(number(totals.requests), compact(totals.prompt_tokens + totals.completion_tokens))}</p>}
    </Page>
  );
}
