// What failed, in a sentence that says what to do where that is known. The Worker's own details are English.
import type { ApiError } from './api.ts';
import { duration } from './format.ts';
import { common } from './texts/common.ts';

export function explain(error: ApiError): string {
  const t = common().errors;
  if (error.offline) return error.title === 'failed' ? `${t.failed} ${error.detail}` : t.unreachable;
  if (error.status === 401) return t.session;
  if (error.status === 404 && !error.detail) return t.missing;
  if (error.status === 429) return error.retryAfterMs ? t.limitedFor(duration(error.retryAfterMs)) : t.limited;
  return error.detail || `${t.failed} (${error.status} ${error.title})`;
}
