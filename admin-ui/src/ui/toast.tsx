// Short messages at the edge of the page. What went well goes away by itself; errors stay until they are closed.
import { signal } from '@preact/signals';
import { ApiError } from '../api.ts';
import { explain } from '../errors.ts';
import { common } from '../texts/common.ts';
import { Button } from './button.tsx';
import { Icon } from './icons.tsx';

type Message = { id: number; kind: 'ok' | 'error'; text: string; undo?: () => void };
const messages = signal<Message[]>([]);
const SHOWN_MS = 6_000;
const SHOWN_WITH_UNDO_MS = 12_000;
const MOST = 4;
let last = 0;

const drop = (id: number) => {
  messages.value = messages.value.filter((message) => message.id !== id);
};
function add(message: Omit<Message, 'id'>) {
  last += 1;
  const id = last;
  messages.value = [...messages.value.filter(({ text }) => text !== message.text), { ...message, id }].slice(-MOST);
  if (message.kind === 'ok') setTimeout(() => drop(id), message.undo ? SHOWN_WITH_UNDO_MS : SHOWN_MS);
}

export const toast = {
  ok: (text: string, undo?: () => void) => add({ kind: 'ok', text, ...(undo ? { undo } : {}) }),
  /** A sentence, or what a call threw. */
  error: (what: unknown) => add({ kind: 'error', text: typeof what === 'string' ? what : explain(what instanceof ApiError ? what : new ApiError(0, 'failed', String(what))) }),
};

/** Where they show; once in the page. */
export function Toasts() {
  const t = common();
  return (
    <div class="toasts" role="status" aria-live="polite">
      {messages.value.map(({ id, kind, text, undo }) => (
        <div key={id} class={`toast ${kind}`}>
          <Icon name={kind} />
          <p>{text}</p>
          {undo && (
            <Button small onClick={() => { drop(id); undo(); }}>{t.undo}</Button>
          )}
          <Button tone="plain" small icon="close" label={t.close} onClick={() => drop(id)} />
        </div>
      ))}
    </div>
  );
}
