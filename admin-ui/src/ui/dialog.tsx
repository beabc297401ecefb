// Dialogs on the browser's own <dialog>: it keeps the focus inside, closes on Esc and gives the focus back.
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';
import { common } from '../texts/common.ts';
import { Button } from './button.tsx';

type DialogProps = {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  /** Buttons at its foot. */
  actions?: ComponentChildren;
  wide?: boolean;
  /** A drawer at the side for details. */
  side?: boolean;
};

/** Open for as long as it is rendered. */
export function Dialog({ title, onClose, children, actions, wide, side }: DialogProps) {
  const t = common();
  const id = useId();
  const element = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      class={`dialog${wide ? ' wide' : ''}${side ? ' side' : ''}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === element.current && onClose()}
    >
      <div class="dialog-frame">
        <header>
          <h2 id={id}>{title}</h2>
          <Button tone="plain" icon="close" label={t.close} onClick={onClose} />
        </header>
        <div class="dialog-body">{children}</div>
        {actions && <footer>{actions}</footer>}
      </div>
    </dialog>
  );
}

type Question = {
  title: string;
  text?: string;
  /** What is deleted or changed, by name; the first ten are shown. */
  items?: string[];
  /** Of the button that does it: a verb. */
  action: string;
  danger?: boolean;
};
const asked = signal<(Question & { answer: (yes: boolean) => void }) | null>(null);

/** Asks; true when it was confirmed. */
export function confirm(question: Question): Promise<boolean> {
  asked.value?.answer(false);
  return new Promise((resolve) => {
    asked.value = {
      ...question,
      answer(yes) {
        asked.value = null;
        resolve(yes);
      },
    };
  });
}

/** Where questions of `confirm` show; once in the page. */
export function Confirmations() {
  const t = common();
  const question = asked.value;
  if (!question) return null;
  const { title, text, items = [], action, danger = true, answer } = question;
  return (
    <Dialog
      title={title}
      onClose={() => answer(false)}
      actions={
        <>
          <Button autofocus onClick={() => answer(false)}>{t.cancel}</Button>
          <Button tone={danger ? 'danger' : 'primary'} onClick={() => answer(true)}>{action}</Button>
        </>
      }
    >
      {text && <p>{text}</p>}
      {items.length > 0 && (
        <ul class="named">
          {items.slice(0, 10).map((item) => (
            <li key={item}>{item}</li>
          ))}
          {items.length > 10 && <li class="quiet">{t.andMore(items.length - 10)}</li>}
        </ul>
      )}
    </Dialog>
  );
}
