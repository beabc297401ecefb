// Tests of many keys, in pieces that the Worker can do on every plan; results are told as they come.
import { api, ApiError, problemOf, reach, session } from '../../api.ts';
import type { Key, Paged } from '../../types.ts';
import type { StreamedResult, TestOutcome } from './types.ts';

/** Keys of one call: each takes a request upstream, of which the free plan allows 50. */
export const PIECE = 40;
/** Results kept by name: those that are not well. */
export const KEPT = 200;

export type TestState = {
  total: number;
  tested: number;
  /** Asked for but there no more. */
  gone: number;
  outcomes: Partial<Record<TestOutcome, number>>;
  notOk: StreamedResult[];
};
export const untested = (total: number): TestState => ({ total, tested: 0, gone: 0, outcomes: {}, notOk: [] });

/** One `POST /api/keys/test`; throws when it fails or its stream ends without the summary. */
async function piece(ids: string[], signal: AbortSignal, onResult: (result: StreamedResult) => void) {
  const response = await reach('/api/keys/test', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ids }), signal });
  if (!response.ok || !response.body) {
    if (response.status === 401) session.value = 'out';
    throw await problemOf(response);
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let whole = false;
  for (let kept = '', name = ''; ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (kept + value).split(/\r?\n/);
    kept = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('event:')) name = line.slice(6).trim();
      else if (line.startsWith('data:') && name === 'result') onResult(JSON.parse(line.slice(5)));
      else if (line.startsWith('data:') && name === 'summary') whole = true;
    }
  }
  if (!whole) throw new ApiError(0, 'unreachable', '');
}

/** Ids in pieces: those given, or all that there are, read page by page in the order in which they were added. */
async function* pieces(ids: string[] | null, tested: ReadonlySet<string>, signal: AbortSignal): AsyncGenerator<string[]> {
  if (ids) {
    const open = ids.filter((id) => !tested.has(id));
    for (let at = 0; at < open.length; at += PIECE) yield open.slice(at, at + PIECE);
    return;
  }
  for (let page = 1; ; page += 1) {
    const { items, total } = await api.get<Paged<Key>>('/api/keys', { sort: 'created_at', page, per_page: PIECE }, signal);
    const open = items.map(({ id }) => id).filter((id) => !tested.has(id));
    if (open.length > 0) yield open;
    if (items.length === 0 || page * PIECE >= total) return;
  }
}

/**
 * Goes on from `from`; `tested` holds the ids that are done and grows, so that a run that broke off can go on.
 * @param ids null for all
 */
export async function testMany(ids: string[] | null, from: TestState, tested: Set<string>, signal: AbortSignal, onState: (now: TestState) => void, onResult: (result: StreamedResult) => void): Promise<void> {
  let now = from;
  const take = (result: StreamedResult) => {
    if (tested.has(result.id)) return;
    tested.add(result.id);
    const { outcome } = result;
    now = {
      ...now,
      tested: now.tested + 1,
      total: Math.max(now.total, now.tested + 1),
      outcomes: { ...now.outcomes, [outcome]: (now.outcomes[outcome] ?? 0) + 1 },
      notOk: outcome === 'ok' || now.notOk.length >= KEPT ? now.notOk : [...now.notOk, result],
    };
    onState(now);
    onResult(result);
  };
  for await (const part of pieces(ids, tested, signal)) {
    try {
      await piece(part, signal, take);
    } catch (error) {
      // None of them is there any more.
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
    const gone = part.filter((id) => !tested.has(id));
    for (const id of gone) tested.add(id);
    now = { ...now, gone: now.gone + gone.length };
    onState(now);
  }
}
