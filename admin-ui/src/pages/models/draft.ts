// Changes of pools that are not saved yet. They outlive the page (not a reload), so that a look elsewhere loses none.
import { signal } from '@preact/signals';
import type { Member, Pool } from '../../types.ts';

/** What is set of a member; its state is the Worker's. */
export type DraftMember = Pick<Member, 'model' | 'provider' | 'weight' | 'enabled'>;
export type Draft = {
  strategy: Pool['strategy'];
  members: DraftMember[];
  /** The pool as it was when the first change was made: `written` of it. */
  base: string;
};

export const DEFAULT_POOL = 'default';
export const WEIGHT_MAX = 100;
export const MEMBERS_MAX = 100;

// Names as `constructor` and `__proto__` are aliases like any other: no object that has them by itself.
const none = (): Record<string, Draft> => Object.create(null) as Record<string, Draft>;
export const drafts = signal<Readonly<Record<string, Draft>>>(none());
const put = (name: string, draft: Draft | null) => {
  const next = Object.assign(none(), drafts.value);
  if (draft) next[name] = draft;
  else delete next[name];
  drafts.value = next;
};
/** Takes a draft back that was dropped. */
export const keep = (name: string, draft: Draft) => put(name, draft);

const settable = ({ model, provider, weight, enabled }: DraftMember): DraftMember => ({ model, provider, weight, enabled });
/** The part of a pool that is written, as one text to compare. */
export const written = ({ strategy, members }: { strategy: string; members: DraftMember[] }) => JSON.stringify([strategy, members.map(settable)]);
export const memberId = ({ model, provider }: Pick<Member, 'model' | 'provider'>) => `${provider}/${model}`;
export const sameModel = (a: Pick<Member, 'model' | 'provider'>, b: Pick<Member, 'model' | 'provider'>) => memberId(a) === memberId(b);

/** The pool as it is being changed. */
export function shownOf(pool: Pool): { strategy: Pool['strategy']; members: DraftMember[] } {
  return drafts.value[pool.name] ?? { strategy: pool.strategy, members: pool.members.map(settable) };
}

/** Takes a change; one that leads back to what is saved ends the draft. */
export function change(pool: Pool, to: Partial<Pick<Draft, 'strategy' | 'members'>>) {
  const base = drafts.value[pool.name]?.base ?? written(pool);
  const next = { ...shownOf(pool), ...to, base };
  put(pool.name, written(next) === written(pool) ? null : next);
}

export const drop = (name: string) => put(name, null);

/** `members` with the one at `from` standing at `to`. */
export function movedTo<T>(members: T[], from: number, to: number): T[] {
  const next = [...members];
  const [one] = next.splice(from, 1);
  if (one === undefined) return members;
  next.splice(Math.max(0, Math.min(to, next.length)), 0, one);
  return next;
}

/** Why the pool cannot be saved so; null when it can. */
export function problemOfPool(name: string, members: DraftMember[]): 'empty' | 'defaultOff' | 'weight' | null {
  if (members.length === 0) return 'empty';
  if (members.some(({ weight }) => !Number.isInteger(weight) || weight < 1 || weight > WEIGHT_MAX)) return 'weight';
  return name === DEFAULT_POOL && !members.some(({ enabled }) => enabled) ? 'defaultOff' : null;
}

const RESERVED = ['catalog', 'catalog/refresh', 'test'];
/** What is wrong with a new pool's name; null when nothing is. */
export function nameProblem(name: string, taken: string[]): 'form' | 'dots' | 'taken' | 'reserved' | null {
  if (!/^[\w.:/-]{1,64}$/.test(name)) return 'form';
  // An address loses such a part before it is sent.
  if (name.split('/').some((part) => part === '.' || part === '..')) return 'dots';
  if (RESERVED.includes(name)) return 'reserved';
  return taken.includes(name) ? 'taken' : null;
}

/** Whether a text can be a model's id. */
export const isModelId = (id: string) => /^[\x21-\x7e]{1,256}$/.test(id);

/** The call of a pool; a name may hold slashes. */
export const poolPath = (name: string) => `/api/models/${name.split('/').map(encodeURIComponent).join('/')}`;
