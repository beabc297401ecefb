// Tables that become cards where the page is narrow. Of a long one only the rows near the window are in the document.
import type { ComponentChildren } from 'preact';
import { useCallback, useRef } from 'preact/hooks';
import { number } from '../format.ts';
import { common } from '../texts/common.ts';
import { Button } from './button.tsx';
import { Select } from './fields.tsx';
import { Icon } from './icons.tsx';
import { useRowWindow } from './row-window.ts';

export type Column<T> = {
  /** Also what `sort` is called. */
  id: string;
  label: string;
  render: (row: T) => ComponentChildren;
  sortable?: boolean;
  /** Numbers stand at the end of their column. */
  end?: boolean;
  /** The heading is read out, not shown (for buttons of a row). */
  hideLabel?: boolean;
  /** Head of the row's card. */
  main?: boolean;
};
export type Sort = { by: string; down: boolean };
type Props<T> = {
  /** What the table holds; read out, not shown. */
  caption: string;
  columns: Column<T>[];
  rows: T[];
  rowKey: (row: T) => string;
  rowName?: (row: T) => string;
  sort?: Sort;
  onSort?: (sort: Sort) => void;
  /** Keys of the selected rows; without it there is no selection. */
  selected?: ReadonlySet<string>;
  onSelect?: (selected: Set<string>) => void;
  /** Shown in place of rows when there is none. */
  empty?: ComponentChildren;
  busy?: boolean;
};

type RowProps<T> = Pick<Props<T>, 'columns' | 'rowName'> & {
  row: T;
  /** Its place among all rows, from 0. */
  at: number;
  /** Undefined where there is no selection. */
  selected: boolean | undefined;
  onPick: (row: T, on: boolean) => void;
};

/** Components that read a signal (the language) are rendered again only for other properties: a selection leaves the cells. */
function Cells<T>({ row, columns }: Pick<RowProps<T>, 'row' | 'columns'>) {
  common();
  return (
    <>
      {columns.map(({ id, label, render, end, main, hideLabel }) => (
        <td key={id} role="cell" class={`${end ? 'end' : ''}${main ? ' main' : ''}`} data-label={hideLabel || main ? undefined : label}>
          {render(row)}
        </td>
      ))}
    </>
  );
}

function Row<T>({ row, at, columns, rowName, selected, onPick }: RowProps<T>) {
  const t = common();
  return (
    <tr role="row" aria-rowindex={at + 2} class={selected ? 'selected' : ''}>
      {selected !== undefined && (
        <td role="cell" class="pick">
          <input type="checkbox" aria-label={t.select(rowName?.(row) ?? '')} checked={selected} onChange={(event) => onPick(row, event.currentTarget.checked)} />
        </td>
      )}
      <Cells row={row} columns={columns} />
    </tr>
  );
}

/** Apart from the head, which stays as it is while one scrolls. */
function Rows<T extends object>({ rows, keys, columns, rowName, selected, onPick }: Pick<Props<T>, 'rows' | 'columns' | 'rowName' | 'selected'> & Pick<RowProps<T>, 'onPick'> & { keys: string[] }) {
  const near = useRowWindow(keys, rows, columns.map(({ label }) => label).join());
  return (
    <tbody role="rowgroup" ref={near.body}>
      {near.above > 0 && <tr key="above" class="gap" aria-hidden="true"><td style={{ height: `${near.above}px` }} /></tr>}
      {rows.slice(near.from, near.to).map((row, place) => {
        const at = near.from + place;
        const key = keys[at] ?? '';
        return <Row key={key} row={row} at={at} columns={columns} rowName={rowName} selected={selected?.has(key)} onPick={onPick} />;
      })}
      {near.below > 0 && <tr key="below" class="gap" aria-hidden="true"><td style={{ height: `${near.below}px` }} /></tr>}
    </tbody>
  );
}

export function Table<T extends object>({ caption, columns, rows, rowKey, rowName = rowKey, sort, onSort, selected, onSelect, empty, busy }: Props<T>) {
  const t = common();
  const keys = rows.map(rowKey);
  const picked = selected ? keys.filter((key) => selected.has(key)).length : 0;
  const toggle = (changed: string[], on: boolean) => {
    const next = new Set(selected);
    for (const key of changed) on ? next.add(key) : next.delete(key);
    onSelect?.(next);
  };
  const latest = useRef(toggle);
  latest.current = toggle;
  const pick = useCallback((row: T, on: boolean) => latest.current([rowKey(row)], on), []);
  if (rows.length === 0 && empty) return <>{empty}</>;
  const sortables = columns.filter((column) => column.sortable);
  const sortOptions = sortables.flatMap(({ id, label }) => [{ value: `${id} up`, label: `${label} ↑` }, { value: `${id} down`, label: `${label} ↓` }]);
  return (
    <div class="table-frame" aria-busy={busy || undefined}>
      {sort && onSort && sortables.length > 0 && (
        <div class="narrow-only">
          <Select label={t.sortBy} value={`${sort.by} ${sort.down ? 'down' : 'up'}`} options={sortOptions}
            onValue={(value) => { const [by = '', way] = value.split(' '); onSort({ by, down: way === 'down' }); }} />
        </div>
      )}
      {/* The roles are said again because `display: block` of the cards would take them away. */}
      <table role="table" class="table" aria-rowcount={rows.length + 1}>
        <caption class="unseen">{caption}</caption>
        <thead role="rowgroup">
          <tr role="row" aria-rowindex={1}>
            {selected && (
              <th role="columnheader" scope="col" class="pick">
                <input type="checkbox" aria-label={t.selectAll} checked={picked > 0 && picked === keys.length} ref={(element) => { if (element) element.indeterminate = picked > 0 && picked < keys.length; }} onChange={(event) => toggle(keys, event.currentTarget.checked)} />
              </th>
            )}
            {columns.map(({ id, label, sortable, end, hideLabel }) => {
              const own = sort?.by === id ? (sort.down ? 'descending' : 'ascending') : undefined;
              return (
                <th key={id} role="columnheader" scope="col" class={end ? 'end' : ''} aria-sort={sortable ? (own ?? 'none') : undefined}>
                  {sortable && onSort ? (
                    <button type="button" class="sort" onClick={() => onSort({ by: id, down: own === 'ascending' })}>
                      {label}
                      <Icon name={own === 'descending' ? 'down' : 'up'} size={14} />
                    </button>
                  ) : (
                    <span class={hideLabel ? 'unseen' : ''}>{label}</span>
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <Rows rows={rows} keys={keys} columns={columns} rowName={rowName} selected={selected} onPick={pick} />
      </table>
    </div>
  );
}

/** `page` counts from 1. */
export function Pager({ page, perPage, total, onPage }: { page: number; perPage: number; total: number; onPage: (page: number) => void }) {
  const t = common();
  const last = Math.max(1, Math.ceil(total / perPage));
  if (total <= perPage && page === 1) return null;
  return (
    <nav class="pager" aria-label={t.pages}>
      <Button small icon="left" label={t.previous} disabled={page <= 1} onClick={() => onPage(page - 1)} />
      <span>{t.range(number((page - 1) * perPage + 1), number(Math.min(page * perPage, total)), number(total))}</span>
      <Button small icon="right" label={t.next} disabled={page >= last} onClick={() => onPage(page + 1)} />
    </nav>
  );
}
