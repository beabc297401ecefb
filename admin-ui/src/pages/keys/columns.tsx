import { compact, number } from '../../format.ts';
import { named } from '../../named.ts';
import { href, route } from '../../router.ts';
import type { Key } from '../../types.ts';
import { Button, type Column } from '../../ui/index.ts';
import { KeyState, Typed, When } from './parts.tsx';
import { filter, nameOf } from './query.ts';
import type { KeyTexts } from './texts.ts';

export type RowActions = {
  /** What is under way on a row. */
  busy: ReadonlyMap<string, 'test' | 'enabled'>;
  test: (row: Key) => void;
  toggle: (row: Key) => void;
  edit: (row: Key) => void;
  remove: (row: Key) => void;
};

export function columns(t: KeyTexts, actions: RowActions): Column<Key>[] {
  const names = t.columns;
  return [
    {
      id: 'label', label: names.key, sortable: true, main: true,
      render: (row) => (
        <div class="keys-key">
          <a class="mono" href={href('keys', { ...Object.fromEntries(route.value.query), id: row.id })} title={t.details(nameOf(row))}>{row.masked}</a>
          {row.label && <Typed>{row.label}</Typed>}
          {row.source === 'env' && <span class="quiet keys-env">{t.fromEnv}</span>}
        </div>
      ),
    },
    { id: 'status', label: names.status, sortable: true, render: (row) => <KeyState row={row} /> },
    {
      id: 'group', label: names.group, sortable: true,
      render: (row) => {
        const { group } = row;
        return group === null ? <span class="quiet">{t.own}</span> : <button type="button" class="keys-group" title={t.filterGroup(named(group))} onClick={() => filter({ group, groups: null })}><Typed>{group}</Typed></button>;
      },
    },
    { id: 'weight', label: names.weight, sortable: true, end: true, render: (row) => number(row.weight) },
    { id: 'requests', label: names.requests, sortable: true, end: true, render: (row) => number(row.requests) },
    { id: 'errors', label: names.errors, sortable: true, end: true, render: (row) => number(row.errors) },
    { id: 'prompt_tokens', label: names.tokens, sortable: true, end: true, render: (row) => <span class="keys-tokens" title={t.tokensTitle(number(row.prompt_tokens), number(row.completion_tokens))}>{compact(row.prompt_tokens)} / {compact(row.completion_tokens)}</span> },
    { id: 'last_used_at', label: names.used, sortable: true, render: (row) => <When at={row.last_used_at} none={t.never} /> },
    // Seen only where there is room; narrow cards need it for their choice of order.
    { id: 'created_at', label: names.added, sortable: true, render: (row) => <When at={row.created_at} none="–" /> },
    {
      id: 'actions', label: names.actions, hideLabel: true, end: true,
      render: (row) => {
        const name = nameOf(row);
        const busy = actions.busy.get(row.id);
        return (
          <div class="keys-actions">
            <Button tone="plain" small icon="refresh" label={t.testOne(name)} busy={busy === 'test'} onClick={() => actions.test(row)} />
            <Button tone="plain" small icon={row.enabled ? 'pause' : 'play'} label={row.enabled ? t.pauseOne(name) : t.resumeOne(name)} busy={busy === 'enabled'} onClick={() => actions.toggle(row)} />
            <Button tone="plain" small icon="edit" label={t.editOne(name)} onClick={() => actions.edit(row)} />
            <Button tone="plain" small icon="trash" label={t.deleteOne(name)} onClick={() => actions.remove(row)} />
          </div>
        );
      },
    },
  ];
}
