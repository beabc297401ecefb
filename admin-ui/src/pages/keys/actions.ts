// What is done to keys, with what is said of it.
import { api, ApiError } from '../../api.ts';
import { explain } from '../../errors.ts';
import { number } from '../../format.ts';
import type { Key } from '../../types.ts';
import { confirm, toast } from '../../ui/index.ts';
import { nameOf } from './query.ts';
import { texts } from './texts.ts';
import type { TestResult } from './types.ts';

/** Calls of one kind that run at the same time. */
const AT_ONCE = 4;

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

/** The same for many; gives the new rows of those that changed. */
export async function setManyEnabled(rows: Key[], enabled: boolean): Promise<Key[]> {
  const t = texts();
  const wanted = rows.filter((row) => row.enabled !== enabled);
  const changed: Key[] = [];
  let failed = 0;
  let why = '';
  const queue = [...wanted];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let row = queue.shift(); row; row = queue.shift()) {
      try {
        changed.push(await patchKey(row.id, { enabled }));
      } catch (error) {
        failed += 1;
        why = error instanceof ApiError ? explain(error) : String(error);
      }
    }
  }));
  if (failed > 0) toast.error(t.someFailed(number(changed.length), number(failed), why));
  else toast.ok((enabled ? t.manyResumed : t.manyPaused)(changed.length));
  return changed;
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

/** Asks and deletes those of `rows` that do not come from the environment. True when something may have gone. */
export async function deleteKeys(rows: Key[]): Promise<boolean> {
  const t = texts().deleting;
  const own = rows.filter((row) => row.source !== 'env');
  const stay = rows.length - own.length;
  if (own.length === 0) {
    toast.error(t.envMany);
    return false;
  }
  const text = stay > 0 ? `${t.oneText} ${t.envStay(stay)}` : t.oneText;
  if (!(await confirm({ title: t.many(own.length), text, items: own.map(nameOf), action: t.action(own.length) }))) return false;
  try {
    const { deleted } = await api.post<{ deleted: number }>('/api/keys/delete', { ids: own.map(({ id }) => id) });
    toast.ok(t.done(deleted));
    return true;
  } catch (error) {
    toast.error(error);
    return false;
  }
}
