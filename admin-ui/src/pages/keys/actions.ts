// What is done to keys, with what is said of it.
import { api, ApiError } from '../../api.ts';
import { common } from '../../texts/common.ts';
import type { Key } from '../../types.ts';
import { confirm, toast } from '../../ui/index.ts';
import type { BulkTask } from './bulk-dialog.tsx';
import { nameOf } from './query.ts';
import { texts, type KeyTexts } from './texts.ts';
import type { TestResult } from './types.ts';

export const patchKey = (id: string, change: Partial<Pick<Key, 'label' | 'group' | 'weight' | 'enabled'>>) => api.patch<Key>(`/api/keys/${encodeURIComponent(id)}`, change);

/** Switches a key on or off; says so, with a way back. `done` gets the new row. */
export async function setEnabled(row: Key, enabled: boolean, done: (row: Key) => void) {
  const t = texts();
  try {
    done(await patchKey(row.id, { enabled }));
    const name = nameOf(row);
    toast.ok(enabled ? t.resumed(name) : t.paused(name), () => void setEnabled(row, !enabled, done));
  } catch (error) {
    toast.error(error);
  }
}

/** Switches many on or off. */
export const switchTask = (t: KeyTexts, ids: string[], enabled: boolean): BulkTask => ({
  title: enabled ? t.bulk.resume(ids.length) : t.bulk.pause(ids.length),
  ids,
  call: async (piece) => (await api.post<{ changed: number }>('/api/keys/enable', { ids: piece, enabled })).changed,
  said: (changed, unchanged) => [(enabled ? t.manyResumed : t.manyPaused)(changed), unchanged > 0 ? t.bulk.unchanged(unchanged) : ''].filter(Boolean).join(' '),
});

/** One quota group for many, or each a group of its own. */
export const groupTask = (t: KeyTexts, ids: string[], group: string | null): BulkTask => ({
  title: t.grouping.title(ids.length),
  ids,
  call: async (piece) => (await api.post<{ changed: number }>('/api/keys/group', { ids: piece, group })).changed,
  said: (changed, unchanged) => [t.grouping.done(changed), unchanged > 0 ? t.bulk.unchanged(unchanged) : ''].filter(Boolean).join(' '),
});

/** Deletes many; those of the environment stay. */
export const deleteTask = (t: KeyTexts, ids: string[]): BulkTask => ({
  title: t.deleting.many(ids.length),
  ids,
  call: async (piece) => (await api.post<{ deleted: number }>('/api/keys/delete', { ids: piece })).deleted,
  said: (changed, unchanged) => [t.deleting.done(changed), unchanged > 0 ? t.bulk.stayed(unchanged) : ''].filter(Boolean).join(' '),
});

/** Does what one call does, and says what came of it. True when something may have changed. */
export async function atOnce(task: BulkTask): Promise<boolean> {
  try {
    const changed = await task.call(task.ids);
    toast.ok(task.said(changed, task.ids.length - changed));
    return true;
  } catch (error) {
    toast.error(error);
    return false;
  }
}

/** Tests one key and says what came of it. */
export async function testKey(row: Key): Promise<TestResult> {
  return api.post<TestResult>(`/api/keys/${encodeURIComponent(row.id)}/test`);
}

/** The row as a test leaves it; its own state stays when the Coordinator did not answer. */
export const afterTest = (row: Key, { status, reason, until }: Pick<TestResult, 'status' | 'reason' | 'until'>): Key => (status ? { ...row, status, reason, until } : row);

/** Asks, deletes one key, says so. True when it is gone. */
export async function deleteKey(row: Key): Promise<boolean> {
  const t = texts().deleting;
  const name = nameOf(row);
  if (!(await confirm({ title: t.one, text: t.oneText, items: [name], action: texts().delete }))) return false;
  try {
    await api.delete(`/api/keys/${encodeURIComponent(row.id)}`);
    toast.ok(t.doneOne(name));
    return true;
  } catch (error) {
    toast.error(error);
    return error instanceof ApiError && error.status === 404;
  }
}

/** Asks whether to delete these; `named` are those whose names are known. Gives the ids to delete. */
export async function askDelete(ids: string[], named: Key[]): Promise<string[] | null> {
  const t = texts().deleting;
  const env = new Set(named.filter((row) => row.source === 'env').map(({ id }) => id));
  const own = ids.filter((id) => !env.has(id));
  if (own.length === 0) {
    toast.error(t.envMany);
    return null;
  }
  const text = env.size > 0 ? `${t.oneText} ${t.envStay(env.size)}` : t.oneText;
  const items = named.filter(({ id }) => !env.has(id)).map(nameOf).slice(0, 10);
  const more = own.length - items.length;
  const question = { title: t.many(own.length), text, items: more > 0 ? [...items.slice(0, 9), common().andMore(more + Math.max(0, items.length - 9))] : items, action: t.action(own.length) };
  return (await confirm(question)) ? own : null;
}
