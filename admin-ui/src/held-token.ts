// The client token that lines are filled in with: in the memory of the page only, gone with a reload or the session.
import { effect, signal } from '@preact/signals';
import { session } from './api.ts';

/** `id` is the row's, null when it is not known whose value it is. */
export const heldToken = signal<{ id: string | null; value: string } | null>(null);

effect(() => {
  if (session.value === 'out') heldToken.value = null;
});
