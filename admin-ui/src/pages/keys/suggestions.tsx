import { useState } from 'preact/hooks';
import { api, ApiError } from '../../api.ts';
import { explain } from '../../errors.ts';
import { ago, duration, number } from '../../format.ts';
import type { Polled } from '../../live.ts';
import { named } from '../../named.ts';
import { Button, Dialog, Empty, Failed, Field, Notice, Skeleton, toast } from '../../ui/index.ts';
import { Typed } from './parts.tsx';
import { MOST } from './query.ts';
import { texts } from './texts.ts';
import type { Suggestion } from './types.ts';

export type Suggestions = { items: Suggestion[] };

function One({ item, onJudged }: { item: Suggestion; onJudged: (accepted: boolean) => void }) {
  const all = texts();
  const t = all.suggesting;
  const [name, setName] = useState('');
  const [busy, setBusy] = useState<'accept' | 'dismiss' | null>(null);
  const [problem, setProblem] = useState('');
  const tooLong = [...name].length > MOST.name ? all.tooLong(MOST.name) : undefined;
  const { evidence } = item;
  const judge = async (accept: boolean) => {
    if (busy || tooLong) return;
    setBusy(accept ? 'accept' : 'dismiss');
    setProblem('');
    try {
      const { group, changed } = await api.post<{ group: string | null; changed: number }>('/api/keys/suggestions', { groups: item.groups, accept, ...(accept && name.trim() ? { name: name.trim() } : {}) });
      toast.ok(accept ? t.accepted(named(group ?? name), changed) : t.dismissed);
      onJudged(accept);
    } catch (error) {
      setProblem(error instanceof ApiError ? explain(error) : String(error));
      setBusy(null);
    }
  };
  return (
    <li class="card">
      <ul class="named keys-named">
        {item.keys.map((key) => <li key={key.id}><code>{key.masked}</code> {key.label && <Typed>{key.label}</Typed>}</li>)}
      </ul>
      <p>
        {t.evidence(number(evidence.observations), item.model, number(evidence.limit), all.detail.window[evidence.window], number(Math.max(0, evidence.drop - evidence.own)), t.between(number(evidence.others_least), number(evidence.others_most)))}
        {evidence.resets_within_ms !== null && <> {t.resets(duration(evidence.resets_within_ms))}</>}
      </p>
      {item.since && <p class="quiet">{t.since(ago(item.since))}</p>}
      <Field label={t.name} hint={t.nameHint} error={tooLong} value={name} autocomplete="off" onValue={setName} />
      {problem && <Notice tone="error" alert>{problem}</Notice>}
      <div class="row">
        <Button tone="primary" icon="group" busy={busy === 'accept'} onClick={() => void judge(true)}>{t.accept}</Button>
        <Button busy={busy === 'dismiss'} onClick={() => void judge(false)}>{t.dismiss}</Button>
      </div>
    </li>
  );
}

/** Groups that look like one quota: the evidence, and the operator's word on it. */
export function SuggestionsDialog({ list, onGrouped, onClose }: { list: Polled<Suggestions>; onGrouped: () => void; onClose: () => void }) {
  const t = texts().suggesting;
  const items = list.data?.items;
  return (
    <Dialog title={t.title} wide onClose={onClose}>
      <p class="quiet">{t.text}</p>
      {list.error && <Failed error={list.error} retry={list.reload} busy={list.busy} />}
      {!items && !list.error && <Skeleton rows={2} height={6} />}
      {items?.length === 0 && <Empty icon="ok" title={t.none}>{t.noneText}</Empty>}
      {items && items.length > 0 && (
        <ul class="keys-suggestions">
          {items.map((item) => (
            <One key={item.groups.join(' ')} item={item}
              onJudged={(accepted) => {
                list.set((now) => now && { items: now.items.filter((other) => other !== item) });
                if (accepted) onGrouped();
                void list.reload();
              }} />
          ))}
        </ul>
      )}
    </Dialog>
  );
}
