// Changes of many things, in pieces that the Worker takes on every plan. A piece that fails does not hold up the others,
// and what is said at the end is true: how much was done, what was not, and why.
import { ApiError, session } from './api.ts';

/** Things of one call. */
export const PIECE = 500;
/** After so many failures in a row the rest is not tried: the next would fail as well. */
const IN_A_ROW = 3;

export type Bulk<T> = {
  /** Sent and answered for. */
  done: number;
  /** What the Worker says has changed. */
  changed: number;
  /** What no good answer came for, and what was not sent any more. */
  left: T[];
  /** What the last failure said. */
  problem: ApiError | null;
};
export const nothingDone = <T>(): Bulk<T> => ({ done: 0, changed: 0, left: [], problem: null });

const asProblem = (error: unknown) => (error instanceof ApiError ? error : new ApiError(0, 'failed', String(error)));
/** Whether it makes no sense to go on: nobody is there, or nobody is logged in. */
const ends = (problem: ApiError) => problem.offline || problem.status === 401 || session.peek() === 'out';

/**
 * Sends `all`, piece by piece. Never throws: what failed is in the result.
 * @param call gives how many of its piece changed
 */
export async function inPieces<T>(all: readonly T[], call: (piece: T[]) => Promise<number>, onProgress: (now: Bulk<T>) => void, { size = PIECE, signal }: { size?: number; signal?: AbortSignal } = {}): Promise<Bulk<T>> {
  let now: Bulk<T> = nothingDone();
  let failures = 0;
  for (let at = 0; at < all.length; at += size) {
    if (signal?.aborted) return { ...now, left: [...now.left, ...all.slice(at)] };
    const piece = all.slice(at, at + size);
    try {
      const changed = await call(piece);
      now = { ...now, done: now.done + piece.length, changed: now.changed + changed };
      failures = 0;
    } catch (error) {
      const problem = asProblem(error);
      failures += 1;
      now = { ...now, left: [...now.left, ...piece], problem };
      if (ends(problem) || failures >= IN_A_ROW) return { ...now, left: [...now.left, ...all.slice(at + size)] };
    }
    onProgress(now);
  }
  return now;
}
