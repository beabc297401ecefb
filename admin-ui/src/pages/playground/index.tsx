import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { common } from '../../texts/common.ts';
import { Button, Empty, Page, TextArea } from '../../ui/index.ts';
import { OptionsForm } from './options.tsx';
import { badMaxTokens, badTemperature, choices, clear, draft, send, stop, turns } from './talk.ts';
import { texts } from './texts.ts';
import { TurnView } from './turn.tsx';

const WIDE = '(min-width: 64rem)';
/** So near to the end, one reads along. */
const NEAR_PX = 60;
const KEYS = /Mac|iPhone|iPad/.test(navigator.platform) ? '⌘ Enter' : 'Ctrl Enter';

/** Options stand beside the conversation where there is room, else they fold. */
function Options() {
  const t = texts();
  const [open, setOpen] = useState(matchMedia(WIDE).matches);
  useEffect(() => {
    const query = matchMedia(WIDE);
    const follow = () => setOpen(query.matches);
    query.addEventListener('change', follow);
    return () => query.removeEventListener('change', follow);
  }, []);
  return (
    <details class="card playground-options" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <h2>{t.settings}</h2>
        {!open && <span class="quiet mono">{choices.value.model}</span>}
      </summary>
      <OptionsForm />
    </details>
  );
}

function Conversation() {
  const t = texts();
  const log = useRef<HTMLDivElement>(null);
  const along = useRef(true);
  const all = turns.value;
  const count = all.length;
  useLayoutEffect(() => {
    along.current = true;
  }, [count]);
  useLayoutEffect(() => {
    const box = log.current;
    if (box && along.current) box.scrollTop = box.scrollHeight;
  });
  const latest = all.at(-1);
  const said = latest && { running: t.answering, done: t.answered, stopped: t.stopped, failed: '' }[latest.state];
  return (
    <>
      <div
        ref={log}
        class="playground-log"
        role="region"
        aria-label={t.conversation}
        tabIndex={0}
        onScroll={({ currentTarget: box }) => {
          along.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;
        }}
      >
        {count === 0 && <Empty icon="playground" title={t.emptyTitle}>{t.emptyText}</Empty>}
        {all.map((turn, at) => (
          <TurnView key={turn.id} turn={turn} isLast={at === count - 1} streamed={choices.value.stream} />
        ))}
      </div>
      <p class="unseen" role="status">{said}</p>
    </>
  );
}

function Composer() {
  const t = texts();
  const box = useRef<HTMLFormElement>(null);
  const busy = turns.value.some((turn) => turn.state === 'running');
  const ready = draft.value.trim() !== '' && choices.value.model !== '' && !badTemperature(choices.value) && !badMaxTokens(choices.value);
  const go = () => {
    if (busy || !ready) return;
    const prompt = draft.value;
    draft.value = '';
    void send(prompt);
    box.current?.querySelector('textarea')?.focus();
  };
  return (
    <form ref={box} class="playground-composer" onSubmit={(event) => { event.preventDefault(); go(); }}>
      <TextArea
        label={t.message}
        hideLabel
        rows={3}
        value={draft.value}
        onValue={(value) => { draft.value = value; }}
        placeholder={t.placeholder}
        autocomplete="off"
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !event.isComposing) {
            event.preventDefault();
            go();
          }
        }}
      />
      <div class="row">
        {busy ? <Button icon="close" onClick={stop}>{t.stop}</Button> : <Button type="submit" tone="primary" disabled={!ready}>{t.send}</Button>}
        <span class="hint">{t.shortcut(KEYS)}</span>
        <span class="space" />
        <Button tone="plain" icon="trash" disabled={turns.value.length === 0} onClick={() => { clear(); box.current?.querySelector('textarea')?.focus(); }}>{t.clear}</Button>
      </div>
    </form>
  );
}

export default function Playground() {
  const t = texts();
  return (
    <Page title={common().names.playground} intro={t.intro}>
      <div class="playground">
        <Options />
        <div class="card playground-talk">
          <Conversation />
          <Composer />
        </div>
      </div>
    </Page>
  );
}
