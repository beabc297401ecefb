// The time for which the limiter of log-ins refuses this address.
import { useEffect, useState } from 'preact/hooks';
import { ApiError } from '../../api.ts';
import { duration } from '../../format.ts';
import { useNow } from '../../live.ts';
import { Notice } from '../../ui/parts.tsx';
import { texts } from './texts.ts';

const DEFAULT_WAIT_MS = 60_000;

/** What to do with a failed attempt: `lockedUntil` of a 429, else the error is for the caller. */
export function useLock() {
  const [until, setUntil] = useState<number | null>(null);
  const now = useNow(500, until !== null);
  const left = until === null ? 0 : Math.max(0, until - now);
  useEffect(() => {
    if (until !== null && left === 0) setUntil(null);
  }, [until, left]);
  return {
    locked: left > 0,
    left,
    /** @returns whether the error was a lock-out */
    take(error: ApiError) {
      if (error.status !== 429) return false;
      setUntil(Date.now() + (error.retryAfterMs ?? DEFAULT_WAIT_MS));
      return true;
    },
  };
}

export function Locked({ left }: { left: number }) {
  const t = texts();
  if (left <= 0) return null;
  return (
    <Notice tone="wait">
      <span role="alert">{t.locked}</span> <strong class="countdown">{duration(Math.ceil(left / 1_000) * 1_000)}</strong>
    </Notice>
  );
}
