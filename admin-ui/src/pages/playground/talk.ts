// The conversation: in the page's memory only, so that it is still there after a look at another page.
import { effect, signal } from '@preact/signals';
import { api, ApiError, session } from '../../api.ts';
import { chat, type ChatEnd, type ChatMessage } from '../../chat.ts';

/** What is known of one call from its headers; null where the header is not there. */
export type Told = { id: string | null; model: string | null; attempts: string | null; waitMs: number | null };
export type Turn = {
  id: number;
  prompt: string;
  answer: string;
  reasoning: string;
  state: 'running' | 'done' | 'stopped' | 'failed';
  told: Told;
  /** The keys it was tried with, masked, in their order; null until that is known. */
  keys: string[] | null;
  /** What was asked for. */
  asked: string;
  end: ChatEnd | null;
  error: ApiError | null;
};
/** Texts as typed; empty is the model's own default. */
export type Choices = { model: string; system: string; temperature: string; maxTokens: string; stream: boolean };

const FRESH: Choices = { model: '', system: '', temperature: '', maxTokens: '', stream: true };
export const TEMPERATURE_MAX = 2;

export const turns = signal<Turn[]>([]);
export const choices = signal<Choices>(FRESH);
export const draft = signal('');
let running: AbortController | undefined;
let last = 0;

export const choose = (change: Partial<Choices>) => {
  choices.value = { ...choices.value, ...change };
};
export const badTemperature = ({ temperature }: Choices) => {
  const value = Number(temperature);
  return temperature.trim() !== '' && !(value >= 0 && value <= TEMPERATURE_MAX);
};
export const badMaxTokens = ({ maxTokens }: Choices) => maxTokens.trim() !== '' && !/^[1-9]\d{0,6}$/.test(maxTokens.trim());

export function stop() {
  running?.abort();
}
export function clear() {
  stop();
  turns.value = [];
}
// Whoever logs in next finds nothing of it.
effect(() => {
  if (session.value !== 'out') return;
  clear();
  draft.value = '';
  choices.value = FRESH;
});

const change = (id: number, next: (turn: Turn) => Partial<Turn>) => {
  turns.value = turns.value.map((turn) => (turn.id === id ? { ...turn, ...next(turn) } : turn));
};

const header = (headers: Headers): Told => {
  const wait = headers.get('x-rondo-wait-ms');
  return { id: headers.get('x-request-id'), model: headers.get('x-rondo-model'), attempts: headers.get('x-rondo-attempts'), waitMs: wait === null ? null : Number(wait) };
};

/** Earlier turns that were answered, as the model is told them. */
function history(earlier: Turn[]): ChatMessage[] {
  return earlier
    .filter((turn) => turn.answer !== '')
    .flatMap((turn) => [{ role: 'user', content: turn.prompt }, { role: 'assistant', content: turn.answer }] as ChatMessage[]);
}

/** Sends `prompt` as the next turn; never rejects: how it ended is in the turn. */
export async function send(prompt: string) {
  if (turns.value.some((turn) => turn.state === 'running')) return;
  const { model, system, temperature, maxTokens, stream } = choices.value;
  const own = new AbortController();
  running = own;
  last += 1;
  const id = last;
  const messages = [...(system.trim() ? [{ role: 'system' as const, content: system }] : []), ...history(turns.value), { role: 'user' as const, content: prompt }];
  const told: Told = { id: null, model: null, attempts: null, waitMs: null };
  turns.value = [...turns.value, { id, prompt, answer: '', reasoning: '', state: 'running', told, keys: null, asked: model, end: null, error: null }];
  try {
    const end = await chat({
      path: '/api/playground',
      body: {
        model,
        messages,
        ...(stream ? {} : { stream: false }),
        ...(temperature.trim() ? { temperature: Number(temperature) } : {}),
        ...(maxTokens.trim() ? { max_completion_tokens: Number(maxTokens) } : {}),
      },
      signal: own.signal,
      onHeaders: (headers) => change(id, () => ({ told: header(headers) })),
      onText: (piece, kind) => change(id, (turn) => (kind === 'answer' ? { answer: turn.answer + piece } : { reasoning: turn.reasoning + piece })),
    });
    change(id, () => ({ state: 'done', end }));
  } catch (error) {
    if (own.signal.aborted) change(id, () => ({ state: 'stopped' }));
    else change(id, () => ({ state: 'failed', error: error instanceof ApiError ? error : new ApiError(200, 'broken', '') }));
  }
  void learnKeys(id);
}

/** A request is told of a moment after its end. */
const STORY_MS = 400;
const STORY_TRIES = 6;

/** Which keys it was tried with: the answer does not say, its story does. */
async function learnKeys(id: number) {
  for (let n = 0; n < STORY_TRIES; n += 1) {
    await new Promise((resolve) => setTimeout(resolve, STORY_MS));
    const request = turns.peek().find((turn) => turn.id === id)?.told.id;
    if (!request || session.peek() === 'out') return;
    try {
      const { items } = await api.get<{ items: { id: string; attempts: { masked: string | null }[] }[] }>('/api/requests', { limit: 50 });
      const story = items.find((item) => item.id === request);
      if (!story) continue;
      change(id, () => ({ keys: story.attempts.flatMap(({ masked }) => (masked ? [masked] : [])) }));
      return;
    } catch {
      // The link to the story is there all the same.
      return;
    }
  }
}

/** The last turn once more, in its place. */
export function again() {
  const turn = turns.value.at(-1);
  if (!turn || turn.state === 'running') return;
  turns.value = turns.value.slice(0, -1);
  void send(turn.prompt);
}

/** The last turn's message back into the box, to change it. */
export function takeBack() {
  const turn = turns.value.at(-1);
  if (!turn || turn.state === 'running') return;
  turns.value = turns.value.slice(0, -1);
  draft.value = turn.prompt;
}

const LEAST_MS = 50;
/** Tokens a second from the first one on (of a whole answer: from the beginning); null when that cannot be said. */
export function speedOf(end: ChatEnd): number | null {
  if (!end.usage || end.usage.completion_tokens < 1) return null;
  const speaking = end.durationMs - (end.firstTokenMs ?? 0);
  // All of it came in one piece: only the whole time says something.
  const ms = speaking >= LEAST_MS ? speaking : end.durationMs;
  return ms > 0 ? (end.usage.completion_tokens / ms) * 1_000 : null;
}
