// The course of a request as a bar: waits, attempts, first token, end.
import { duration } from '../../format.ts';
import { texts } from './texts.ts';
import type { Story } from './types.ts';

type Part = { kind: 'wait' | 'rest' | 'good' | 'bad'; name: string; from: number; ms: number };

/** Where each part begins. The records say how long, not when: waits come first, the last attempt ends with the request. */
export function partsOf(story: Story, t = texts()): { parts: Part[]; total: number } {
  const tried = story.attempts.map((attempt, at) => ({ ...attempt, number: at + 1 })).filter(({ end }) => end !== 'unused');
  const sent = tried.reduce((all, { duration_ms }) => all + duration_ms, 0);
  const total = Math.max(story.duration_ms, story.wait_ms, sent, 1);
  const begin = Math.max(0, total - sent);
  const wait = Math.min(story.wait_ms, begin);
  const parts: Part[] = [];
  if (wait > 0) parts.push({ kind: 'wait', name: t.waitPart, from: 0, ms: wait });
  if (begin - wait > total / 100) parts.push({ kind: 'rest', name: t.restPart, from: wait, ms: begin - wait });
  let from = begin;
  for (const { number, end, duration_ms: ms } of tried) {
    parts.push({ kind: end === 'ok' || end === 'cut' ? 'good' : 'bad', name: t.attemptPart(number), from, ms });
    from += ms;
  }
  return { parts, total };
}

export function Timeline({ story }: { story: Story }) {
  const t = texts();
  const { parts, total } = partsOf(story, t);
  const share = (ms: number) => `${Math.min(100, (100 * ms) / total)}%`;
  return (
    <div class="requests-course">
      <div class="requests-bar" role="img" aria-label={t.timelineSaid(duration(total), duration(story.wait_ms), story.attempts.length)}>
        {parts.map(({ kind, name, from, ms }) => (
          <i key={name} class={kind} style={{ left: share(from), width: share(ms) }} title={`${name}: ${duration(ms)}`} />
        ))}
        {story.first_event_ms !== null && <b style={{ left: share(story.first_event_ms) }} title={`${t.firstPart}: ${duration(story.first_event_ms)}`} />}
      </div>
      <ul class="requests-legend">
        {parts.map(({ kind, name, ms }) => (
          <li key={name}><i class={kind} aria-hidden="true" /> {name} <span class="quiet">{duration(ms)}</span></li>
        ))}
        {story.first_event_ms !== null && <li><i class="first" aria-hidden="true" /> {t.firstPart} <span class="quiet">{duration(story.first_event_ms)}</span></li>}
        <li><i class="end" aria-hidden="true" /> {t.endPart} <span class="quiet">{duration(story.duration_ms)}</span></li>
      </ul>
      {parts.length > 1 && <p class="hint">{t.timelineHint}</p>}
    </div>
  );
}
