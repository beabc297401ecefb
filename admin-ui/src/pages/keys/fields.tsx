// The fields that several dialogs share, and what is wrong with them before they are sent.
import { number } from '../../format.ts';
import { Field } from '../../ui/index.ts';
import { GROUPS_LIST } from './parts.tsx';
import { MOST, suggestGroups } from './query.ts';
import { texts, type KeyTexts } from './texts.ts';

export type Fields = { label: string; group: string; weight: string };
export type Wrong = { label?: string; group?: string; weight?: string; key?: string };

export function check(t: KeyTexts, { label, group, weight }: Fields): Wrong {
  const long = (text: string, most: number) => ([...text].length > most ? t.editing.tooLong(number([...text].length), number(most)) : undefined);
  const wrong: Wrong = {};
  const inLabel = long(label, MOST.label);
  const inGroup = long(group, MOST.name);
  if (inLabel) wrong.label = inLabel;
  if (inGroup) wrong.group = inGroup;
  if (!/^\d{1,3}$/.test(weight.trim()) || Number(weight) < 1 || Number(weight) > 100) wrong.weight = t.adding.needWeight;
  return wrong;
}

/** As the API takes them. */
export const valuesOf = ({ label, group, weight }: Fields) => ({ label: label.trim(), group: group.trim() || null, weight: Number(weight) });

export const GroupField = ({ label, hint, value, error, onValue, autofocus }: { label?: string; hint?: string; value: string; error?: string | undefined; onValue: (value: string) => void; autofocus?: boolean }) => {
  const t = texts().adding;
  return <Field label={label ?? t.group} hint={hint ?? t.groupHint} error={error} value={value} onValue={(text) => { suggestGroups(text); onValue(text); }} list={GROUPS_LIST} autocomplete="off" {...(autofocus ? { autofocus } : {})} />;
};

export function KeyFields({ fields, wrong, onFields, autofocus = false }: { fields: Fields; wrong: Wrong; onFields: (fields: Fields) => void; autofocus?: boolean }) {
  const t = texts().adding;
  return (
    <>
      <Field label={t.label} hint={t.labelHint} error={wrong.label} value={fields.label} autocomplete="off" autofocus={autofocus} onValue={(label) => onFields({ ...fields, label })} />
      <GroupField value={fields.group} error={wrong.group} onValue={(group) => onFields({ ...fields, group })} />
      <Field label={t.weight} hint={t.weightHint} error={wrong.weight} type="number" min={1} max={100} step={1} inputMode="numeric" value={fields.weight} onValue={(weight) => onFields({ ...fields, weight })} />
    </>
  );
}
