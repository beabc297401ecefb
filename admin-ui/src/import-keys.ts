// Sends keys to the Worker in pieces that it takes on every plan.
import { api, type ApiError } from './api.ts';
import { inPieces } from './bulk.ts';

export { PIECE } from './bulk.ts';

export type ImportResult = {
  /** Keys that were sent and answered for. */
  done: number;
  added: number;
  duplicate: number;
  failed: { masked: string; detail: string }[];
  /** Keys that no answer came for; they can be sent again. */
  left: string[];
  /** Why. */
  problem: ApiError | null;
};
type Batch = {
  summary: { total: number; added: number; duplicate: number; failed: number };
  results: { index: number; masked: string; outcome: 'added' | 'duplicate' | 'failed'; detail?: string }[];
};
export const nothingYet: ImportResult = { done: 0, added: 0, duplicate: 0, failed: [], left: [], problem: null };

/**
 * Sends keys and adds what came of it to `from`. A piece that fails does not hold up the others; `left` holds its keys.
 * @param options `provider` and `group` of the new keys
 */
export async function importKeys(keys: string[], from: ImportResult, onProgress: (now: ImportResult) => void, options: { provider?: string; group?: string | null } = {}): Promise<ImportResult> {
  let now: ImportResult = { ...from, left: [], problem: null };
  const send = async (piece: string[]) => {
    const { summary, results } = await api.post<Batch>('/api/keys/batch', { input: piece.join('\n'), ...options });
    now = {
      ...now,
      done: now.done + piece.length,
      added: now.added + summary.added,
      duplicate: now.duplicate + summary.duplicate,
      failed: [...now.failed, ...results.filter(({ outcome }) => outcome === 'failed').map(({ masked, detail }) => ({ masked, detail: detail ?? '' }))],
    };
    return summary.added;
  };
  const { left, problem } = await inPieces(keys, send, ({ left, problem }) => {
    now = { ...now, left, problem };
    onProgress(now);
  });
  return { ...now, left, problem };
}
