// Where the first run stands, so that it can be left and resumed. Kept per browser; never a secret.
import { signal } from '@preact/signals';
import { store, stored } from './stored.ts';

/** `password` comes first and cannot be skipped: without it there is no session. */
export const STEPS = ['password', 'keys', 'token', 'call', 'connect'] as const;
export type Step = (typeof STEPS)[number];

const kept = stored('setup');
/** The step to go on with; null when the first run is over, or never was in this browser. */
export const setupStep = signal<Step | null>(STEPS.find((step) => step === kept) ?? null);

export function setSetupStep(step: Step | null) {
  setupStep.value = step;
  store('setup', step);
}
