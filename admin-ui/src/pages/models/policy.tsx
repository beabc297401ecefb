// What a client's model name means; acts at once.
import { useId, useState } from 'preact/hooks';
import { api } from '../../api.ts';
import type { Models } from '../../types.ts';
import { Card, Icon, toast } from '../../ui/index.ts';
import { texts } from './texts.ts';

type Policy = Models['policy'];
const POLICIES: Policy[] = ['prefer_requested', 'rotate', 'passthrough'];

export function PolicyCard({ policy, onSet }: { policy: Policy; onSet: (policy: Policy) => void }) {
  const t = texts();
  const id = useId();
  const [busy, setBusy] = useState<Policy | null>(null);
  const choose = async (next: Policy, undo?: Policy): Promise<void> => {
    if (busy || next === policy) return;
    setBusy(next);
    try {
      await api.patch('/api/settings', { model_policy: next });
      onSet(next);
      toast.ok(t.policySet(t.policies[next].name), undo && (() => void back(undo)));
    } catch (error) {
      toast.error(error);
    } finally {
      setBusy(null);
    }
  };
  const back = async (to: Policy) => {
    try {
      await api.patch('/api/settings', { model_policy: to });
      onSet(to);
    } catch (error) {
      toast.error(error);
    }
  };
  const shown = busy ?? policy;
  return (
    <Card title={t.policy}>
      <fieldset class="models-policies" aria-busy={busy !== null || undefined}>
        <legend class="unseen">{t.policy}</legend>
        {POLICIES.map((one) => (
          <label key={one} class={`models-policy${one === shown ? ' chosen' : ''}`}>
            <input type="radio" name={id} value={one} checked={one === shown} aria-describedby={`${id}-${one}`} onChange={() => choose(one, policy)} />
            <span class="models-policy-name">{t.policies[one].name} {busy === one ? <span class="spinner" aria-hidden="true" /> : one === policy && <Icon name="ok" size={16} />}</span>
            <span class="hint" id={`${id}-${one}`}>{t.policies[one].text}</span>
          </label>
        ))}
      </fieldset>
    </Card>
  );
}
