import type { ComponentChildren, JSX } from 'preact';
import { Icon, type IconName } from './icons.tsx';

type Props = Omit<JSX.IntrinsicElements['button'], 'icon' | 'size'> & {
  children?: ComponentChildren;
  /** `plain` has no frame; `danger` deletes. */
  tone?: 'primary' | 'normal' | 'plain' | 'danger';
  icon?: IconName;
  /** Under way: shown and announced, and presses do nothing, but the focus stays. */
  busy?: boolean;
  small?: boolean;
  /** Name of a button that shows only its icon. */
  label?: string;
};

export function Button({ tone = 'normal', icon, busy = false, small = false, label, children, onClick, type = 'button', class: more, ...rest }: Props) {
  return (
    <button
      {...rest}
      type={type}
      class={`button ${tone}${small ? ' small' : ''}${children === undefined ? ' bare' : ''}${more ? ` ${more}` : ''}`}
      aria-busy={busy || undefined}
      aria-disabled={busy || undefined}
      aria-label={label}
      title={label}
      onClick={(event) => {
        if (busy) event.preventDefault();
        else onClick?.(event);
      }}
    >
      {busy ? <span class="spinner" aria-hidden="true" /> : icon && <Icon name={icon} />}
      {children !== undefined && <span>{children}</span>}
    </button>
  );
}

/** A link that looks like a button. */
export const ButtonLink = ({ href, tone = 'normal', icon, children }: { href: string; tone?: 'primary' | 'normal' | 'plain'; icon?: IconName; children: ComponentChildren }) => (
  <a class={`button ${tone}`} href={href}>
    {icon && <Icon name={icon} />}
    <span>{children}</span>
  </a>
);
