// A group of settings with its own save, and the fields in it.
import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { api, ApiError } from '../../api.ts';
import { explain } from '../../errors.ts';
import { duration, number } from '../../format.ts';
import { Badge, Button, Card, Field, Notice, toast } from '../../ui/index.ts';
import { changedOf, CHOICES, drafts, NUMBERS, numberOf, patchOf, put, textOf, usualOf, type ChoiceName, type Name, type NumberName, type Settings } from './model.ts';
import { texts } from './texts.ts';

/** What the API says of a field begins with its name; beside the field that is not needed. */
export const withoutName = ({ field, detail }: ApiError) => (field && detail.startsWith(`${field}: `) ? detail.slice(field.length + 2) : detail);

/** Foot of a section: what is unsaved, and what to do about it. Always there, so that nothing jumps. */
export function SaveBar({ changed, busy, onSave, onDiscard, extra }: { changed: boolean; busy: boolean; onSave: () => void; onDiscard: () => void; extra?: ComponentChildren }) {
  const t = texts();
  return (
    <div class="settings-save">
      <Button tone={changed ? 'primary' : 'normal'} busy={busy} disabled={!changed} onClick={onSave}>{t.save}</Button>
      {changed && <Button tone="plain" onClick={onDiscard}>{t.discard}</Button>}
      <span role="status">{changed && <Badge tone="warn">{t.unsaved}</Badge>}</span>
      <span class="space" />
      {extra}
    </div>
  );
}

type Shared = { settings: Settings; problem: ApiError | null; onEdit: () => void };

function NumberField({ name, settings, problem, onEdit }: Shared & { name: NumberName }) {
  const t = texts();
  const spec = NUMBERS[name];
  const { label, what } = t.numbers[name];
  const text = drafts.value[name] ?? textOf(settings, name);
  const value = numberOf(text, spec);
  const ms = spec.unit === 'ms';
  const inUnit = (n: number) => (ms ? `${number(n)} ms${n >= 1_000 ? ` (${duration(n)})` : ''}` : number(n));
  const error = value === null ? t.outOfRange(number(spec.min), number(spec.max)) : problem?.field === name ? withoutName(problem) : null;
  return (
    <Field
      label={ms ? `${label} (ms)` : label}
      name={name}
      inputMode="numeric"
      autocomplete="off"
      value={text}
      onValue={(next) => { put(name, next === textOf(settings, name) ? null : next); onEdit(); }}
      error={error}
      hint={<>{what} <span class="settings-range"><span>{t.range(inUnit(spec.min), inUnit(spec.max))} ·</span> <span>{t.usual(spec.usual === 0 && spec.min === 0 ? t.off : inUnit(spec.usual))}</span></span></>}
    />
  );
}

function ChoiceField<N extends ChoiceName>({ name, settings, problem, onEdit }: Shared & { name: N }) {
  const t = texts();
  const id = useId();
  const { label, options } = t.choices[name] as { label: string; options: Record<string, { label: string; what: string }> };
  const current = drafts.value[name] ?? textOf(settings, name);
  return (
    <fieldset class="settings-choice">
      <legend>{label}</legend>
      {CHOICES[name].values.map((value) => (
        <div key={value} class="tick">
          <input
            type="radio"
            id={`${id}-${value}`}
            name={name}
            value={value}
            checked={current === value}
            aria-describedby={`${id}-${value}-hint`}
            onChange={() => { put(name, value === textOf(settings, name) ? null : value); onEdit(); }}
          />
          <label for={`${id}-${value}`}>{options[value]?.label} {CHOICES[name].usual === value && <span class="quiet">({t.isUsual})</span>}</label>
          <p class="hint" id={`${id}-${value}-hint`}>{options[value]?.what}</p>
        </div>
      ))}
      {problem?.field === name && <p class="field-error" role="alert">{withoutName(problem)}</p>}
    </fieldset>
  );
}

type Props = {
  title: string;
  names: readonly Name[];
  settings: Settings;
  onSaved: (settings: Settings) => void;
  /** Asked before the call; false leaves all as it is. */
  before?: (changed: Name[]) => Promise<boolean>;
  children?: ComponentChildren;
};

export function Section({ title, names, settings, onSaved, before, children }: Props) {
  const t = texts();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const changed = changedOf(settings, names);
  const body = patchOf(changed);
  const discard = () => {
    for (const name of names) put(name, null);
    setProblem(null);
  };
  const save = async () => {
    if (busy || body === null || (before && !(await before(changed)))) return;
    setBusy(true);
    setProblem(null);
    try {
      onSaved(await api.patch<Settings>('/api/settings', body));
      for (const name of changed) put(name, null);
      toast.ok(t.saved(title));
    } catch (error) {
      setProblem(error instanceof ApiError ? error : new ApiError(0, 'failed', String(error)));
    } finally {
      setBusy(false);
    }
  };
  const shared = { settings, problem, onEdit: () => setProblem(null) };
  const unusual = names.some((name) => (drafts.value[name] ?? textOf(settings, name)) !== usualOf(name));
  const restore = () => {
    for (const name of names) put(name, usualOf(name) === textOf(settings, name) ? null : usualOf(name));
    setProblem(null);
  };
  const numbers = names.filter((name): name is NumberName => name in NUMBERS);
  const choices = names.filter((name): name is ChoiceName => name in CHOICES);
  return (
    <Card title={title}>
      {choices.map((name) => <ChoiceField key={name} name={name} {...shared} />)}
      {children}
      {numbers.length > 0 && (
        <div class="settings-grid">
          {numbers.map((name) => <NumberField key={name} name={name} {...shared} />)}
        </div>
      )}
      {problem && !names.some((name) => name === problem.field) && <Notice tone="error" alert>{explain(problem)}</Notice>}
      <SaveBar
        changed={changed.length > 0}
        busy={busy}
        onSave={() => { if (body === null) toast.error(t.fixFirst); else void save(); }}
        onDiscard={discard}
        extra={<Button tone="plain" small disabled={!unusual} onClick={restore}>{t.useDefaults}</Button>}
      />
    </Card>
  );
}
