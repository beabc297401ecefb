// One request's whole story, in a dialog at the side.
import { dateTime, duration, number } from '../../format.ts';
import { usePoll } from '../../live.ts';
import { Badge, Copy, Dialog, Empty, Failed, Skeleton, Stat, Typed, type Tone } from '../../ui/index.ts';
import { findStory } from './feed.ts';
import { texts } from './texts.ts';
import { Timeline } from './timeline.tsx';
import type { Attempt, Story } from './types.ts';
import { Why } from './why.tsx';

/** A status in words and colour, as everywhere on this page. */
export function StatusBadge({ story }: { story: Story }) {
  const t = texts();
  const { status, error, cut } = story;
  if (cut) return <Badge tone="off">{status} · {t.cut}</Badge>;
  if (!error) return <Badge tone="ok">{status}</Badge>;
  if (status < 400) return <Badge tone="error">{status} · {t.brokeOff}</Badge>;
  return <Badge tone={status === 429 || status === 503 ? 'wait' : 'error'}>{status}</Badge>;
}

export function tokenName(story: Story, t = texts()) {
  if (story.playground) return t.playground;
  return story.token ? (story.token.name ?? t.gone) : t.publicUse;
}

/** Names of APIs, the same in every language. */
const dialects: Record<Story['dialect'], string> = {
  chat: 'Chat Completions',
  completions: 'Completions',
  responses: 'Responses',
  messages: 'Anthropic Messages',
  gemini: 'Gemini',
};

function told(story: Story, t: ReturnType<typeof texts>) {
  if (story.cut) return t.toldCut;
  if (story.error && story.status < 400) return t.toldBroken;
  return t.toldBy[story.status] ?? t.toldOther(story.status);
}

const endTone = (end: string): Tone => (end === 'ok' ? 'ok' : end === 'cut' || end === 'unused' ? 'off' : end === 'quota' || end === 'queue' ? 'wait' : 'error');

function AttemptItem({ attempt, place, last }: { attempt: Attempt; place: number; last: boolean }) {
  const t = texts();
  return (
    <li>
      <p class="requests-attempt">
        <span class="quiet">{place}.</span>
        <code>{attempt.masked ?? t.goneKey}</code>
        <Badge tone={endTone(attempt.end)}>{t.ends[attempt.end] ?? attempt.end}{attempt.status && attempt.end !== 'ok' ? ` (${attempt.status})` : ''}</Badge>
      </p>
      <p class="quiet requests-small">
        <Typed>{attempt.model}</Typed> · {t.took(duration(attempt.duration_ms))}
        {attempt.first_event_ms !== null && ` · ${t.firstAfter(duration(attempt.first_event_ms))}`}
      </p>
      {attempt.grant && <Why grant={attempt.grant} begin={last} />}
    </li>
  );
}

function Told({ story }: { story: Story }) {
  const t = texts();
  const { usage, attempts } = story;
  return (
    <>
      <div class="requests-told">
        <div class="row">
          {story.cut ? <Badge tone="off">{t.cutOff}</Badge> : story.error ? <Badge tone="error">{t.failed}</Badge> : <Badge tone="ok">{t.success}</Badge>}
          <strong>{story.status}</strong>
        </div>
        <h3 class="unseen">{t.told}</h3>
        <p>{told(story, t)}</p>
      </div>
      <div class="requests-stats">
        <Stat label={t.columns.duration} value={duration(story.duration_ms)} />
        <Stat label={t.columns.wait} value={duration(story.wait_ms)} />
        <Stat label={t.columns.first} value={story.first_event_ms === null ? '–' : duration(story.first_event_ms)} />
      </div>
      <section>
        <h3>{t.timeline}</h3>
        <Timeline story={story} />
      </section>
      <section>
        <h3>{t.attempts}</h3>
        {attempts.length === 0 ? <p class="quiet">{t.noAttempts}</p> : (
          <ol class="requests-attempts">
            {attempts.map((attempt, at) => <AttemptItem key={at} attempt={attempt} place={at + 1} last={at === attempts.length - 1} />)}
          </ol>
        )}
      </section>
      {story.notes.length > 0 && (
        <section>
          <h3>{t.notes}</h3>
          <p class="quiet requests-small">{t.notesHint}</p>
          <ul class="requests-notes">
            {story.notes.map(({ path, what }) => <li key={path}><code>{path}</code> <span class="quiet">{t.changed[what]}</span></li>)}
          </ul>
        </section>
      )}
      <section>
        <h3>{t.facts}</h3>
        <dl class="pairs">
          <dt>{t.at}</dt><dd>{dateTime(story.at)}</dd>
          <dt>{t.id}</dt><dd><code>{story.id}</code><Copy text={story.id} /></dd>
          <dt>{t.columns.token}</dt><dd><Typed>{tokenName(story, t)}</Typed></dd>
          <dt>{t.asked}</dt><dd><Typed>{story.asked ?? '–'}</Typed></dd>
          <dt>{t.answered}</dt><dd><Typed>{story.model ?? '–'}</Typed></dd>
          <dt>{t.form}</dt><dd>{story.stream ? t.streamed : t.whole}</dd>
          <dt>{t.dialect}</dt><dd>{dialects[story.dialect] ?? story.dialect}</dd>
          <dt>{t.promptTokens}</dt>
          <dd><span>{usage ? t.tokens(number(usage.prompt_tokens)) : t.noUsage}{usage && usage.cached_tokens > 0 && <span class="quiet"> ({t.cachedOf(number(usage.cached_tokens))})</span>}</span></dd>
          <dt>{t.completionTokens}</dt>
          <dd><span>{usage ? t.tokens(number(usage.completion_tokens)) : t.noUsage}{usage?.estimated && <span class="quiet"> ({t.estimated})</span>}</span></dd>
        </dl>
      </section>
      <p class="hint">{t.privacy}</p>
    </>
  );
}

/** @param known from the list, when it has the story */
export function StoryDialog({ id, known, onClose }: { id: string; known: Story | undefined; onClose: () => void }) {
  const t = texts();
  const { data, error, reload, busy } = usePoll(async (signal) => ({ story: known ?? (await findStory(id, signal)) }), 0, [id]);
  const story = known ?? data?.story;
  return (
    <Dialog title={t.title} onClose={onClose} side>
      {story ? <Told story={story} /> : error ? <Failed error={error} retry={reload} busy={busy} /> : data ? <Empty title={t.notKept}>{t.notKeptText}</Empty> : <Skeleton rows={5} height={3} />}
    </Dialog>
  );
}
