// Sends keys to the Worker in pieces that it takes on every plan.
import { api } from './api.ts';

/** Keys of one call. */
export const PIECE = 500;

export type ImportResult = {
  /** Keys that were sent and answered for. */
  done: number;
  added: number;
  duplicate: number;
  failed: { masked: string; detail: string }[];
};
type Batch = {
  summary: { total: number; added: number; duplicate: number; failed: number };
  results: { index: number; masked: string; outcome: 'added' | 'duplicate' | 'failed'; detail?: string }[];
};
export const nothingYet: ImportResult = { done: 0, added: 0, duplicate: 0, failed: [] };

/**
 * Goes on from `from.done`. Throws what a call throws; `onProgress` has said by then how far it came.
 * @param options `provider` and `group` of the new keys
 */
export async function importKeys(keys: string[], from: ImportResult, onProgress: (now: ImportResult) => void, options: { provider?: string; group?: string | null } = {}): Promise<ImportResult> {
  let now = from;
  while (now.done < keys.length) {
    const piece = keys.slice(now.done, now.done + PIECE);
    const { summary, results } = await api.post<Batch>('/api/keys/batch', { input: piece.join('\n'), ...options });
    now = {
      done: now.done + piece.length,
      added: now.added + summary.added,
      duplicate: now.duplicate + summary.duplicate,
      failed: [...now.failed, ...results.filter(({ outcome }) => outcome === 'failed').map(({ masked, detail }) => ({ masked, detail: detail ?? '' }))],
    };
    onProgress(now);
  }
  return now;
}
