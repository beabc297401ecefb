// Quotas set by hand: one row for a group and a model, or all of them.
import { useId, useState } from 'preact/hooks';
import { api, ApiError } from '../../api.ts';
import { explain } from '../../errors.ts';
import { usePoll } from '../../live.ts';
import type { Key, Models, Paged } from '../../types.ts';
import { Button, Card, Empty, Field, Notice, toast } from '../../ui/index.ts';
import { FIGURE_RANGE, FIGURES, numberOf, rowDraft, rowsChanged, rowsOf, type LimitOverride, type Row, type Settings } from './model.ts';
import { SaveBar, withoutName } from './section.tsx';
import { texts } from './texts.ts';

const NEW: Row = { group: '', model: '', requests_per_minute: '', tokens_per_minute: '', tokens_per_day: '' };
const wrong = (text: string) => text.trim() !== '' && numberOf(text, FIGURE_RANGE) === null;
const isEmpty = (row: Row) => FIGURES.every((name) => row[name].trim() === '');
const place = (row: Row) => JSON.stringify([row.group.trim(), row.model.trim()]);

function entryOf(row: Row): LimitOverride {
  const figures = FIGURES.flatMap((name) => {
    const value = numberOf(row[name], FIGURE_RANGE);
    return value === null ? [] : [[name, value] as const];
  });
  return { group: row.group.trim(), model: row.model.trim(), ...Object.fromEntries(figures) };
}

export function Limits({ settings, onSaved }: { settings: Settings; onSaved: (settings: Settings) => void }) {
  const t = texts();
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [tried, setTried] = useState(false);
  const [problem, setProblem] = useState<ApiError | null>(null);
  // Names to choose from; without them any can still be typed.
  const models = usePoll((signal) => api.get<Models>('/api/models', {}, signal), 0);
  const keys = usePoll((signal) => api.get<Paged<Key>>('/api/keys', { per_page: 200 }, signal), 0);
  const modelNames = [...new Set(models.data?.pools.flatMap((pool) => pool.members.map(({ model }) => model)))];
  const groupNames = [...new Set(keys.data?.items.flatMap(({ group }) => group ?? []))];
  const rows = rowDraft.value ?? rowsOf(settings);
  const write = (next: Row[]) => {
    rowDraft.value = next;
    setProblem(null);
  };
  const edit = (at: number, change: Partial<Row>) => write(rows.map((row, own) => (own === at ? { ...row, ...change } : row)));
  const remove = (at: number) => {
    const before = rows;
    write(rows.filter((_, own) => own !== at));
    toast.ok(t.limits.removed, () => write(before));
  };
  const add = () => {
    write([...rows, NEW]);
    setTimeout(() => document.querySelector<HTMLInputElement>('.settings-row:last-of-type input')?.focus());
  };
  const save = async () => {
    setTried(true);
    if (busy) return;
    if (rows.some((row) => isEmpty(row) || FIGURES.some((name) => wrong(row[name])))) return toast.error(t.fixFirst);
    setBusy(true);
    setProblem(null);
    try {
      onSaved(await api.patch<Settings>('/api/settings', { limit_overrides: rows.map(entryOf) }));
      rowDraft.value = null;
      setTried(false);
      toast.ok(t.saved(t.limits.title));
    } catch (error) {
      setProblem(error instanceof ApiError ? error : new ApiError(0, 'failed', String(error)));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Card title={t.limits.title} actions={<Button small icon="plus" onClick={add}>{t.limits.add}</Button>}>
      <p class="quiet">{t.limits.text}</p>
      <datalist id={`${id}-groups`}>{groupNames.map((name) => <option key={name} value={name} />)}</datalist>
      <datalist id={`${id}-models`}>{modelNames.map((name) => <option key={name} value={name} />)}</datalist>
      {rows.length === 0 && <Empty icon="settings" title={t.limits.none}>{t.limits.noneText}</Empty>}
      {rows.map((row, at) => (
        <fieldset key={at} class="settings-row">
          <legend class="unseen">{t.limits.row(at + 1)}</legend>
          <Field label={t.limits.group} list={`${id}-groups`} maxLength={100} autocomplete="off" placeholder={t.limits.every} value={row.group} onValue={(group) => edit(at, { group })} />
          <Field label={t.limits.model} list={`${id}-models`} maxLength={256} autocomplete="off" placeholder={t.limits.every} value={row.model} onValue={(model) => edit(at, { model })} />
          {FIGURES.map((name) => (
            <Field key={name} label={t.limits[name]} inputMode="numeric" autocomplete="off" placeholder={t.limits.learned} value={row[name]} onValue={(value) => edit(at, { [name]: value })} error={wrong(row[name]) ? t.limits.wrong : null} />
          ))}
          <Button tone="plain" icon="trash" label={t.limits.remove(at + 1)} onClick={() => remove(at)} />
          {tried && isEmpty(row) && <p class="field-error settings-row-note" role="alert">{t.limits.empty}</p>}
          {rows.some((other, own) => own > at && place(other) === place(row)) && <p class="hint settings-row-note">{t.limits.overruled}</p>}
        </fieldset>
      ))}
      {problem && <Notice tone="error" alert>{problem.field?.startsWith('limit_overrides') ? withoutName(problem) : explain(problem)}</Notice>}
      <SaveBar changed={rowsChanged(settings)} busy={busy} onSave={save} onDiscard={() => { rowDraft.value = null; setProblem(null); setTried(false); }} />
    </Card>
  );
}
