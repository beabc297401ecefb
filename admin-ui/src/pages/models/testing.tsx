// Tests of models: one tiny request each, its outcome kept while the page is open.
import { signal } from '@preact/signals';
import { api, ApiError } from '../../api.ts';
import { explain } from '../../errors.ts';
import { duration } from '../../format.ts';
import { Badge, Button, Notice, type Tone } from '../../ui/index.ts';
import { memberId } from './draft.ts';
import { texts } from './texts.ts';
import type { Outcome, Tested } from './types.ts';

type Named = { model: string; provider: string };
type Result = { busy: true } | { busy: false; tested: Tested } | { busy: false; error: ApiError };
const results = signal<Readonly<Record<string, Result>>>({});
const TONES: Record<Outcome, Tone> = { ok: 'ok', invalid: 'error', suspended: 'error', limited: 'warn', model_missing: 'error', busy: 'warn', refused: 'error', unreachable: 'error' };

async function test({ model, provider }: Named) {
  const id = memberId({ model, provider });
  if (results.value[id]?.busy) return;
  const put = (result: Result) => {
    results.value = { ...results.value, [id]: result };
  };
  put({ busy: true });
  try {
    put({ busy: false, tested: await api.post<Tested>('/api/models/test', { provider, model }) });
  } catch (error) {
    put({ busy: false, error: error instanceof ApiError ? error : new ApiError(0, 'failed', String(error)) });
  }
}

export const TestButton = (named: Named) => {
  const t = texts();
  return <Button small busy={results.value[memberId(named)]?.busy ?? false} onClick={() => test(named)}>{t.test}<span class="unseen"> {named.model}</span></Button>;
};

/** What came of a test; the place of its announcement is always there. */
export function TestResult(named: Named) {
  const t = texts();
  const result = results.value[memberId(named)];
  return (
    <div role="status" class="models-result">
      {result?.busy && <span class="unseen">{t.testing(named.model)}</span>}
      {result && 'error' in result && <Notice tone="error">{explain(result.error)}</Notice>}
      {result && 'tested' in result && (
        <>
          <p class="models-outcome">
            <Badge tone={TONES[result.tested.outcome]}>{t.outcomes[result.tested.outcome]}</Badge>
            <span class="quiet">{t.testedWith(result.tested.masked, duration(result.tested.latency_ms))}</span>
          </p>
          {t.remedies[result.tested.outcome] && <p class="hint">{t.remedies[result.tested.outcome]}</p>}
          {result.tested.outcome !== 'ok' && result.tested.detail && <p class="hint" lang="en">{result.tested.http_status ? `${result.tested.http_status}: ` : ''}{result.tested.detail}</p>}
        </>
      )}
    </div>
  );
}
