// One model of a pool.
import { useRef } from 'preact/hooks';
import { ago, dateTime } from '../../format.ts';
import { useNow } from '../../live.ts';
import type { Member } from '../../types.ts';
import { Badge, Button, Field, Icon, Switch, type Tone } from '../../ui/index.ts';
import { WEIGHT_MAX, type DraftMember } from './draft.ts';
import type { Grip } from './sort.ts';
import { TestButton, TestResult } from './testing.tsx';
import { texts } from './texts.ts';
import { CATALOG_PROVIDER } from './types.ts';

const TONES: Record<Member['state'], Tone> = { active: 'ok', doubtful: 'warn', retired: 'error', disabled: 'off', unknown: 'wait' };

type Props = {
  member: DraftMember;
  /** As the Worker has it. */
  saved: Member | undefined;
  at: number;
  of: number;
  weighted: boolean;
  dragged: boolean;
  grip: Grip;
  onMove: (to: number) => void;
  onChange: (to: Partial<DraftMember>) => void;
  onRemove: () => void;
};

function State({ member, saved }: Pick<Props, 'member' | 'saved'>) {
  const t = texts();
  const now = useNow(10_000);
  if (!saved || saved.enabled !== member.enabled) return <Badge tone="info" icon="edit">{t.unsavedState}</Badge>;
  const { state, reason, until } = saved;
  return (
    <>
      <Badge tone={TONES[state]}>{t.states[state]}</Badge>
      {t.stateText[state] && <p class="hint">{t.stateText[state]} {until && t.until(dateTime(until), ago(until, now))}</p>}
      {state !== 'unknown' && reason && <p class="hint" lang="en">{reason}</p>}
    </>
  );
}

export function MemberRow({ member, saved, at, of, weighted, dragged, grip, onMove, onChange, onRemove }: Props) {
  const t = texts();
  const ways = useRef<HTMLDivElement>(null);
  const step = (to: number) => {
    onMove(to);
    // The button at the end of its way is switched off: the focus goes to the other one.
    const other = to === 0 ? 1 : to === of - 1 ? 0 : null;
    if (other !== null) requestAnimationFrame(() => ways.current?.querySelectorAll('button')[other]?.focus());
  };
  const { model, provider, weight, enabled } = member;
  return (
    <li class={`models-member${dragged ? ' dragged' : ''}${enabled ? '' : ' off'}`}>
      <div class="models-move">
        <button type="button" class="models-grip" aria-label={t.grip(model, at + 1, of)} title={t.grip(model, at + 1, of)} {...grip}><Icon name="grip" /></button>
        <div class="models-ways" ref={ways}>
          <Button tone="plain" small icon="up" label={t.upOf(model)} disabled={at === 0} onClick={() => step(at - 1)} />
          <Button tone="plain" small icon="down" label={t.downOf(model)} disabled={at === of - 1} onClick={() => step(at + 1)} />
        </div>
      </div>
      <div class="models-what">
        <p class="models-model"><code>{model}</code>{provider !== CATALOG_PROVIDER && <span class="quiet">{t.provider(provider)}</span>}</p>
        <div class="models-state"><State member={member} saved={saved} /></div>
        <TestResult model={model} provider={provider} />
      </div>
      <div class="models-acts">
        {weighted && (
          <div class="models-weight">
            <span class="hint" aria-hidden="true">{t.weight}</span>
            <Field label={t.weightOf(model)} hideLabel type="number" min={1} max={WEIGHT_MAX} step={1} inputMode="numeric" value={Number.isFinite(weight) ? String(weight) : ''} onValue={(value) => onChange({ weight: value === '' ? Number.NaN : Number(value) })} />
          </div>
        )}
        <Switch label={<span class="unseen">{t.enabledOf(model)}</span>} checked={enabled} onValue={(on) => onChange({ enabled: on })} />
        <TestButton model={model} provider={provider} />
        <Button tone="plain" small icon="trash" label={t.removeOf(model)} onClick={onRemove} />
      </div>
    </li>
  );
}
