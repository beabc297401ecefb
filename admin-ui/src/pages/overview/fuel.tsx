// Two gauges: the pool's quota, and Cloudflare's own daily limits.
import { useState } from 'preact/hooks';
import { compact, dateTime, duration, number, percent } from '../../format.ts';
import { named } from '../../named.ts';
import { Badge, Card, Meter, Typed } from '../../ui/index.ts';
import { More } from './health.tsx';
import { texts } from './texts.ts';
import type { CloudflareItem, Group, Overview } from './types.ts';

/** Groups shown before "more". */
const FIRST = 3;
/** Up to it a limit is written out, above it shortened. */
const WHOLE = 100_000;
const short = (value: number) => (value > WHOLE ? compact(value) : number(value, 0));

function QuotaGroup({ group }: { group: Group }) {
  const t = texts();
  const bucket = t.bucket(t.countedIn[group.counted], t.windows[group.window]);
  return (
    <li>
      <p class="overview-group">
        <strong>
          <Typed>{group.name ?? t.goneKey}</Typed>
          {group.masked && group.masked !== group.name && <small class="quiet"> <code>{group.masked}</code></small>}
        </strong>
        <span>{group.lasts_s === null ? t.stays : t.lasts(duration(group.lasts_s * 1_000))}</span>
      </p>
      <p class="quiet overview-small">{group.model} · {t.groupKeys(group.keys)}</p>
      <Meter label={bucket} used={Math.max(0, group.limit - group.left)} limit={group.limit} text={t.leftOf(short(group.left), short(group.limit))} />
    </li>
  );
}

export function QuotaFuel({ quota, answering }: { quota: Overview['fuel']['quota']; answering: boolean }) {
  const t = texts();
  const [all, setAll] = useState(false);
  const groups = quota?.groups ?? [];
  const rest = groups.length - FIRST;
  return (
    <Card title={t.quotaTitle}>
      {groups.length === 0 ? (
        <p class="quiet">{answering ? t.quotaNone : t.quotaUnknown}</p>
      ) : (
        <>
          <div>
            <p class="overview-figure">
              {quota?.lasts_s == null ? t.quotaForever : duration(quota.lasts_s * 1_000)}
              {quota?.lasts_s != null && <small> {t.quotaLasts}</small>}
            </p>
            <p>{quota?.lasts_s == null ? t.quotaForeverText : quota.group && t.quotaFirst(named(quota.name ?? t.goneKey))}</p>
          </div>
          <h3>{t.quotaNext}</h3>
          <ul class="overview-groups">
            {groups.slice(0, all ? undefined : FIRST).map((group) => (
              <QuotaGroup key={`${group.group} ${group.model} ${group.window} ${group.counted}`} group={group} />
            ))}
          </ul>
          {rest > 0 && <More open={all} onOpen={setAll}>{all ? t.fewerGroups : t.moreGroups(rest)}</More>}
        </>
      )}
      <p class="hint">{t.quotaHint}</p>
    </Card>
  );
}

function CloudflareMeter({ item }: { item: CloudflareItem }) {
  const t = texts();
  const share = item.limit > 0 ? percent(item.used / item.limit, item.used * 100 < item.limit ? 1 : 0) : '–';
  return <Meter label={t.items[item.name] ?? item.name} used={item.used} limit={item.limit} text={t.usedOf(short(item.used), short(item.limit), share)} />;
}

export function CloudflareFuel({ cloudflare }: { cloudflare: Overview['fuel']['cloudflare'] }) {
  const t = texts();
  return (
    <Card title={t.cloudflareTitle} actions={<Badge tone="info">{t.estimate}</Badge>}>
      {cloudflare && cloudflare.items.length > 0 ? (
        <>
          <div class="overview-meters">{cloudflare.items.map((item) => <CloudflareMeter key={item.name} item={item} />)}</div>
          <p class="hint">{t.cloudflareText(t.plans[cloudflare.plan] ?? cloudflare.plan, dateTime(cloudflare.since))}</p>
        </>
      ) : (
        <p class="quiet">{t.noCloudflare}</p>
      )}
    </Card>
  );
}
