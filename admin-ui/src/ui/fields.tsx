// Inputs with their label, hint and error. `onValue` gets the new value; everything else is passed to the element.
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { number } from '../format.ts';
import { common as shared } from '../texts/common.ts';
import { Icon } from './icons.tsx';

type Common = { label: string; hint?: ComponentChildren; error?: string | null | undefined; /** The label is read out, not shown. */ hideLabel?: boolean };
/** What is passed to the element as it is. */
type Passed = {
  name?: string;
  class?: string;
  placeholder?: string;
  required?: boolean;
  readOnly?: boolean;
  disabled?: boolean;
  autofocus?: boolean;
  /** Most characters. More is said and not cut off: who pastes too much must see it. */
  maxLength?: number;
  /** Id of a `<datalist>`. */
  list?: string;
  autocomplete?: string;
  autocapitalize?: 'off' | 'on';
  spellcheck?: boolean;
  onBlur?: () => void;
  onKeyDown?: (event: KeyboardEvent) => void;
};
type InputPassed = Passed & { type?: 'text' | 'password' | 'number' | 'search' | 'url' | 'datetime-local'; min?: number | string; max?: number | string; step?: number | string; inputMode?: 'numeric' | 'decimal' | 'text' };

function Frame({ id, label, hint, error, hideLabel, children }: Common & { id: string; children: ComponentChildren }) {
  return (
    <div class={`field${error ? ' wrong' : ''}`}>
      <label for={id} class={hideLabel ? 'unseen' : ''}>
        {label}
      </label>
      {children}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {/* Always there, so that what comes into it is announced. */}
      <p class="field-error" id={`${id}-error`} role="alert">
        {error && (
          <>
            <Icon name="error" size={16} /> {error}
          </>
        )}
      </p>
    </div>
  );
}

/** What is wrong with a text that is too long. */
function tooLong(value: string, most: number | undefined): string | null {
  // Letters are never more than the units they are written in.
  const letters = most === undefined || value.length <= most ? 0 : [...value].length;
  return most !== undefined && letters > most ? shared().tooLong(number(letters), number(most)) : null;
}

const described = (id: string, { hint, error }: Common) => ({
  id,
  'aria-invalid': error ? true : undefined,
  'aria-describedby': [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined,
});

export function Field({ label, hint, error, hideLabel, value, onValue, maxLength, ...rest }: InputPassed & Common & { value: string; onValue: (value: string, event: InputEvent) => void }) {
  const id = useId();
  const common = { label, hint, error: tooLong(value, maxLength) ?? error, hideLabel };
  return (
    <Frame id={id} {...common}>
      <input {...(rest as object)} {...described(id, common)} value={value} onInput={(event) => onValue(event.currentTarget.value, event)} />
    </Frame>
  );
}

export function TextArea({ label, hint, error, hideLabel, value, onValue, maxLength, ...rest }: Passed & Common & { rows?: number } & { value: string; onValue: (value: string) => void }) {
  const id = useId();
  const common = { label, hint, error: tooLong(value, maxLength) ?? error, hideLabel };
  return (
    <Frame id={id} {...common}>
      <textarea rows={5} {...rest} {...described(id, common)} value={value} onInput={(event) => onValue(event.currentTarget.value)} />
    </Frame>
  );
}

export type Option<V extends string> = { value: V; label: string; disabled?: boolean; /** Options of one group stand one after the other. */ group?: string };

function Options<V extends string>({ options }: { options: Option<V>[] }) {
  const groups = [...new Set(options.map((option) => option.group))];
  return (
    <>
      {groups.map((group) => {
        const own = options.filter((option) => option.group === group).map((option) => (
          <option key={option.value} value={option.value} disabled={option.disabled}>
            {option.label}
          </option>
        ));
        return group === undefined ? own : <optgroup key={group} label={group}>{own}</optgroup>;
      })}
    </>
  );
}

export function Select<V extends string>({ label, hint, error, hideLabel, value, onValue, options, ...rest }: Passed & Common & { value: V; onValue: (value: V) => void; options: Option<V>[] }) {
  const id = useId();
  const common = { label, hint, error, hideLabel };
  return (
    <Frame id={id} {...common}>
      <select {...rest} {...described(id, common)} value={value} onChange={(event) => onValue(event.currentTarget.value as V)}>
        <Options options={options} />
      </select>
    </Frame>
  );
}

type Tick = { label: ComponentChildren; hint?: string; checked: boolean; onValue: (checked: boolean) => void; disabled?: boolean };

function Ticked({ label, hint, checked, onValue, disabled, role }: Tick & { role?: 'switch' }) {
  const id = useId();
  return (
    <div class={role === 'switch' ? 'tick switch' : 'tick'}>
      <input type="checkbox" id={id} role={role} checked={checked} disabled={disabled} aria-describedby={hint ? `${id}-hint` : undefined} onChange={(event) => onValue(event.currentTarget.checked)} />
      <label for={id}>{label}</label>
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}
/** For what is sent together with other fields. */
export const Checkbox = (props: Tick) => <Ticked {...props} />;
/** For what acts at once. */
export const Switch = (props: Tick) => <Ticked {...props} role="switch" />;
