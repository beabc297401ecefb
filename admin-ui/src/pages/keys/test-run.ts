// Tests of many keys, in pieces that the Worker can do on every plan; results are told as they come.
import { api, ApiError, problemOf, reach, session } from '../../api.ts';
import type { StreamedResult, TestOutcome } from './types.ts';

/** Keys of one call: each takes a request upstream, of which the free plan allows 50. */
export const PIECE = 40;
/** After so many pieces in a row that failed the test stops. */
const IN_A_ROW = 3;
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

/**
 * Goes on from `from`; `tested` holds the ids that are done and grows, so that a run that broke off can go on. A piece
 * that fails does not hold up the others; what it said is thrown at the end.
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
  const all = ids ?? (await api.get<{ ids: string[] }>('/api/keys/ids', {}, signal)).ids;
  const open = all.filter((id) => !tested.has(id));
  now = { ...now, total: now.tested + now.gone + open.length };
  onState(now);
  let problem: unknown;
  let failures = 0;
  for (let at = 0; at < open.length; at += PIECE) {
    const part = open.slice(at, at + PIECE);
    try {
      await piece(part, signal, take);
      failures = 0;
    } catch (error) {
      // With 404 none of them is there any more.
      if (!(error instanceof ApiError && error.status === 404)) {
        problem = error;
        failures += 1;
        if (signal.aborted || failures >= IN_A_ROW || session.peek() === 'out') break;
        continue;
      }
    }
    const gone = part.filter((id) => !tested.has(id));
    for (const id of gone) tested.add(id);
    now = { ...now, gone: now.gone + gone.length };
    onState(now);
  }
  if (problem !== undefined) throw problem;
}
