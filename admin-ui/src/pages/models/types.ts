// Shapes of calls that only this page makes.
export type Outcome = 'ok' | 'invalid' | 'suspended' | 'limited' | 'model_missing' | 'busy' | 'refused' | 'unreachable';
export type Tested = { outcome: Outcome; http_status: number | null; latency_ms: number; detail: string; masked: string };

export type CatalogModel = {
  id: string;
  name: string | null;
  context_length: number | null;
  max_completion_tokens: number | null;
  deprecated: boolean;
  preview: boolean;
  /** US dollars a token, as decimal texts. */
  pricing: { prompt: string | null; completion: string | null } | null;
};
export type Catalog = { source: string; fetched_at: string | null; stale: boolean; last_error: string | null; models: CatalogModel[] };

/** Provider of what the catalog lists. */
export const CATALOG_PROVIDER = 'cerebras';
