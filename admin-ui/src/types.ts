// Shapes of the admin API that more than one page needs; docs/openapi.json has them all.

export type Paged<T> = { items: T[]; total: number; page: number; per_page: number };

type Counts = { requests: number; errors: number; prompt_tokens: number; completion_tokens: number };

export type KeyStatus = 'active' | 'cooling' | 'suspended' | 'invalid' | 'disabled';
export type Key = Counts & {
  id: string;
  provider: string;
  masked: string;
  label: string;
  /** Quota group; null is one of its own. */
  group: string | null;
  weight: number;
  enabled: boolean;
  status: KeyStatus;
  reason: string | null;
  until: string | null;
  source: 'admin' | 'env';
  variable: string | null;
  base_url: string | null;
  created_at: string | null;
  last_used_at: string | null;
};

export type Token = Counts & {
  id: string;
  masked: string;
  source: 'admin' | 'env';
  created_at: string | null;
  last_used_at: string | null;
  name: string;
  enabled: boolean;
  expires_at: string | null;
  models: string[] | null;
  metrics: boolean;
  requests_per_minute: number | null;
  tokens_per_minute: number | null;
  tokens_per_day: number | null;
  tokens_per_month: number | null;
  max_concurrent: number | null;
};
/** The answer of `POST /api/tokens`: the only time that the secret is seen. */
export type NewToken = Token & { token: string };

export type Member = {
  model: string;
  provider: string;
  weight: number;
  enabled: boolean;
  state: 'active' | 'doubtful' | 'retired' | 'disabled' | 'unknown';
  reason: string | null;
  until: string | null;
};
export type Pool = { name: string; strategy: 'rotate' | 'order'; members: Member[] };
export type Models = { policy: 'rotate' | 'prefer_requested' | 'passthrough'; pools: Pool[] };

/** The model to try first: the first of the default pool that takes part. */
export const firstModel = ({ pools }: Models): string | undefined =>
  (pools.find((pool) => pool.name === 'default') ?? pools[0])?.members.find((member) => member.enabled && member.state !== 'retired')?.model;
