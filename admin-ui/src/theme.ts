// Light, dark, or as the system says: `data-theme` on <html>, which style/tokens.css reads.
import { effect, signal } from '@preact/signals';
import { store, stored } from './stored.ts';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const dark = matchMedia('(prefers-color-scheme: dark)');
const system = signal(dark.matches);
dark.addEventListener('change', () => {
  system.value = dark.matches;
});

const kept = stored('theme');
export const theme = signal<Theme>(THEMES.find((name) => name === kept) ?? 'system');

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

export function setTheme(next: Theme) {
  theme.value = next;
  store('theme', next === 'system' ? null : next);
}

/** Whether the page is dark now; for what CSS cannot colour (canvas). */
export const isDark = () => (theme.value === 'system' ? system.value : theme.value === 'dark');
