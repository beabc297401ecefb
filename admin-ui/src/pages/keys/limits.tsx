import { useEffect } from 'preact/hooks';
import { api } from '../../api.ts';
import { dateTime, duration, number } from '../../format.ts';
import { useNow, usePoll } from '../../live.ts';
import { named } from '../../named.ts';
import { Age, Badge, Failed, Meter, Skeleton } from '../../ui/index.ts';
import { TimeLeft } from './parts.tsx';
import { texts } from './texts.ts';
import type { Bucket, Limits } from './types.ts';

const EACH_MS = 10_000;

function BucketMeter({ bucket }: { bucket: Bucket }) {
  const t = texts().detail;
  const { limit, remaining, full_at: fullAt } = bucket;
  const now = useNow(1_000, fullAt !== null);
  const ms = fullAt === null ? 0 : Date.parse(fullAt) - now;
  return (
    <div class="keys-bucket">
      <Meter label={t.bucket(t.what[bucket.what], t.window[bucket.window])} used={Math.max(0, limit - remaining)} limit={limit} text={t.left(number(Math.max(0, remaining)), number(limit))} />
      <p class="quiet" title={fullAt ? dateTime(fullAt) : undefined}>{t.sources[bucket.source]} · {ms > 0 ? t.fullIn(duration(Math.ceil(ms / 1_000) * 1_000)) : t.full}</p>
    </div>
  );
}

/** What is held of the upstream's limits. `refresh`: another number loads anew. */
export function LimitsPart({ id, group, refresh }: { id: string; group: string | null; refresh: number }) {
  const t = texts().detail;
  const limits = usePoll((signal) => api.get<Limits>(`/api/keys/${encodeURIComponent(id)}/limits`, {}, signal), EACH_MS, [id]);
  useEffect(() => {
    if (refresh > 0) void limits.reload();
  }, [refresh]);
  const models = limits.data?.models;
  return (
    <section class="keys-part">
      <header class="row"><h3>{t.limits}</h3><span class="space" /><Age at={limits.at} error={limits.error} /></header>
      <p class="quiet">{t.limitsText} {group !== null && t.shared(named(group))}</p>
      {limits.error && !models && <Failed error={limits.error} retry={limits.reload} busy={limits.busy} />}
      {!models && !limits.error && <Skeleton rows={3} height={2.2} />}
      {models?.length === 0 && <p>{t.noLimits}</p>}
      {models?.map((model) => (
        <div key={model.model} class="keys-model">
          <div class="row">
            <strong class="mono">{model.model}</strong>
            {model.cooling_until && <Badge tone="wait">{t.cooling} · <TimeLeft until={model.cooling_until} /></Badge>}
            {model.missing_until && <Badge tone="warn">{t.missing} · <TimeLeft until={model.missing_until} /></Badge>}
            {model.open > 0 && <span class="quiet">{t.open(number(model.open))} · {t.reserved(number(model.reserved))}</span>}
          </div>
          {model.buckets.length === 0 ? <p class="quiet">{t.noBuckets}</p> : model.buckets.map((bucket) => <BucketMeter key={`${bucket.what} ${bucket.window}`} bucket={bucket} />)}
        </div>
      ))}
    </section>
  );
}
