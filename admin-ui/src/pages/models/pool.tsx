// One pool: what is changed here is a draft until it is saved.
import { useId, useRef, useState } from 'preact/hooks';
import { api, ApiError } from '../../api.ts';
import { explain } from '../../errors.ts';
import type { Pool } from '../../types.ts';
import { Badge, Button, confirm, Field, Notice, Select, toast } from '../../ui/index.ts';
import { change, DEFAULT_POOL, drafts, drop, isModelId, keep, memberId, MEMBERS_MAX, movedTo, poolPath, problemOfPool, sameModel, shownOf, written, type DraftMember } from './draft.ts';
import { MemberRow } from './member.tsx';
import { useSort } from './sort.ts';
import { texts } from './texts.ts';
import { CATALOG_PROVIDER } from './types.ts';

type Props = {
  pool: Pool;
  /** It was deleted elsewhere while it was changed here. */
  gone: boolean;
  /** Models of the catalog, to choose from; none while it is not known. */
  listed: string[];
  onSaved: (pool: Pool) => void;
  onDeleted: (name: string) => void;
  onRename: (pool: Pool) => void;
};

function AddMember({ name, members, listed, onAdd }: { name: string; members: DraftMember[]; listed: string[]; onAdd: (model: string) => void }) {
  const t = texts();
  const id = useId();
  const [model, setModel] = useState('');
  const [said, setSaid] = useState<string | null>(null);
  const add = (event: SubmitEvent) => {
    event.preventDefault();
    const wanted = model.trim();
    if (!isModelId(wanted)) return setSaid(t.badModel);
    if (members.some((member) => sameModel(member, { model: wanted, provider: CATALOG_PROVIDER }))) return setSaid(t.have(wanted));
    if (members.length >= MEMBERS_MAX) return setSaid(t.full);
    onAdd(wanted);
    setModel('');
    setSaid(null);
  };
  const unlisted = said === null && listed.length > 0 && model.trim() !== '' && isModelId(model.trim()) && !listed.some((one) => one.startsWith(model.trim()));
  return (
    <form class="models-add" noValidate onSubmit={add}>
      <Field {...{ list: id }} label={t.addModel} name={`add-to-${name}`} placeholder={t.addPlaceholder} value={model} error={said} maxLength={256} autocomplete="off" autocapitalize="off" spellcheck={false}
        hint={unlisted ? t.notListed(model.trim()) : undefined} onValue={(value) => { setModel(value); setSaid(null); }} />
      <datalist id={id}>
        {listed.filter((one) => !members.some((member) => member.model === one)).map((one) => <option key={one} value={one} />)}
      </datalist>
      <Button type="submit" icon="plus">{t.add}</Button>
    </form>
  );
}

export function PoolCard({ pool, gone, listed, onSaved, onDeleted, onRename }: Props) {
  const t = texts();
  const { name } = pool;
  const heading = useRef<HTMLHeadingElement>(null);
  const before = useRef<DraftMember[]>([]);
  const [busy, setBusy] = useState<'save' | 'delete' | null>(null);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const [announced, setAnnounced] = useState('');
  const draft = drafts.value[name];
  const { strategy, members } = shownOf(pool);
  const isDefault = name === DEFAULT_POOL;
  const bad = problemOfPool(name, members);
  const set = (to: Parameters<typeof change>[1]) => {
    setProblem(null);
    change(pool, to);
  };
  const move = (from: number, to: number) => {
    const now = shownOf(pool).members;
    set({ members: movedTo(now, from, to) });
    const one = now[from];
    if (one) setAnnounced(t.movedTo(one.model, to + 1, now.length));
  };
  const { list, dragged, grip } = useSort({ count: members.length, move, restore: () => set({ members: before.current }), onStart: () => { before.current = members; } });
  const save = async () => {
    if (bad) return;
    setBusy('save');
    setProblem(null);
    try {
      const saved = await api.put<Pool>(poolPath(name), { strategy, members });
      drop(name);
      onSaved(saved);
      toast.ok(t.saved(name));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setProblem(error);
    } finally {
      setBusy(null);
    }
  };
  const undo = () => {
    const kept = drafts.peek()[name];
    drop(name);
    setProblem(null);
    heading.current?.focus();
    toast.ok(t.discarded(name), kept && (() => keep(name, kept)));
  };
  const remove = async () => {
    if (!(await confirm({ title: t.deleteTitle(name), text: t.deleteText, items: pool.members.map(({ model }) => model), action: t.delete }))) return;
    setBusy('delete');
    try {
      await api.delete(poolPath(name));
      drop(name);
      onDeleted(name);
      toast.ok(t.deleted(name));
    } catch (error) {
      toast.error(error);
      setBusy(null);
    }
  };
  return (
    <section class={`card models-pool${draft ? ' changed' : ''}`} aria-label={name}>
      <header>
        <h3 ref={heading} tabIndex={-1} class="models-name"><code>{name}</code>{isDefault && <Badge tone="info">{t.defaultPool}</Badge>}</h3>
        {!isDefault && !gone && (
          <div class="actions">
            <Button small tone="plain" icon="edit" onClick={() => (draft ? toast.error(t.saveFirst) : onRename(pool))}>{t.rename}<span class="unseen"> {name}</span></Button>
            <Button small tone="plain" icon="trash" busy={busy === 'delete'} onClick={remove}>{t.delete}<span class="unseen"> {name}</span></Button>
          </div>
        )}
      </header>
      <p class="quiet">{isDefault ? t.defaultText : t.aliasText(name)}</p>
      <div class="models-strategy">
        <Select label={t.strategy} value={strategy} options={(['rotate', 'order'] as const).map((value) => ({ value, label: t.strategies[value] }))} onValue={(value) => set({ strategy: value })} hint={t.strategyText[strategy]} />
      </div>
      {members.length > 0 && (
        <ol ref={list} class="models-members" aria-label={t.members(name)}>
          {members.map((member, at) => (
            <MemberRow key={memberId(member)} member={member} saved={pool.members.find((one) => sameModel(one, member))} at={at} of={members.length} weighted={strategy === 'rotate'} dragged={dragged === at} grip={grip(at)}
              onMove={(to) => move(at, to)}
              onChange={(to) => set({ members: members.map((one, n) => (n === at ? { ...one, ...to } : one)) })}
              onRemove={() => { set({ members: members.filter((_, n) => n !== at) }); heading.current?.focus(); }} />
          ))}
        </ol>
      )}
      <p class="unseen" role="status">{announced}</p>
      <AddMember name={name} members={members} listed={listed} onAdd={(model) => set({ members: [...members, { model, provider: CATALOG_PROVIDER, weight: 1, enabled: true }] })} />
      {gone && <Notice tone="warn">{t.gone(name)}</Notice>}
      {draft && !gone && draft.base !== written(pool) && <Notice tone="warn">{t.changedElsewhere}</Notice>}
      {bad && <Notice tone="error" alert>{bad === 'empty' && isDefault ? t.problems.defaultEmpty : t.problems[bad]}</Notice>}
      {problem && <Notice tone="error" alert actions={<Button small busy={busy === 'save'} onClick={save}>{t.save}</Button>}>{explain(problem)}</Notice>}
      {draft && (
        <footer class="models-unsaved">
          <Badge tone="warn" icon="edit">{t.unsaved}</Badge>
          <span class="space" />
          <Button onClick={undo}>{t.discard}</Button>
          <Button tone="primary" busy={busy === 'save'} disabled={bad !== null} onClick={save}>{t.save}</Button>
        </footer>
      )}
    </section>
  );
}
