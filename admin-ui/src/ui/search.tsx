// A field for searching: what is typed is asked for when typing rests.
import { useEffect, useRef, useState } from 'preact/hooks';
import { Field } from './fields.tsx';

/** After the last keystroke. */
const TYPING_MS = 300;

type Props = { label: string; placeholder: string; value: string; most: number; list?: string; onRest: (text: string, picked: boolean) => void; onTyped?: (text: string) => void };

/** A field whose text goes into the address when typing rests; what was picked from its list goes at once. */
export function SearchField({ label, placeholder, value, most, list, onRest, onTyped }: Props) {
  const [text, setText] = useState(value);
  const sent = useRef(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => {
    // The address changed by something else: a link, the history, "Clear filters".
    if (value !== sent.current) setText(value);
    sent.current = value;
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const change = (next: string, event: InputEvent) => {
    setText(next);
    clearTimeout(timer.current);
    if ([...next].length > most) return;
    onTyped?.(next);
    // Browsers tell a pick from a list of suggestions apart from typing by this, or by saying nothing.
    const picked = !event.inputType || event.inputType === 'insertReplacementText';
    timer.current = setTimeout(() => {
      sent.current = next.trim();
      onRest(next.trim(), picked);
    }, picked ? 0 : TYPING_MS);
  };
  return <Field label={label} hideLabel type="search" placeholder={placeholder} value={text} maxLength={most} autocomplete="off" spellcheck={false} onValue={change} {...(list ? { list } : {})} />;
}
