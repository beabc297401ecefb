import { useState } from 'preact/hooks';
import { api, demo } from '../../api.ts';
import { number } from '../../format.ts';
import type { ImportResult } from '../../import-keys.ts';
import { usePoll } from '../../live.ts';
import type { Key, Paged } from '../../types.ts';
import { Button } from '../../ui/button.tsx';
import { Imported, KeysPaste } from '../../ui/keys-paste.tsx';
import { Notice } from '../../ui/parts.tsx';
import { texts } from './texts.ts';

export function AddKeys({ onDone }: { onDone: () => void }) {
  const t = texts();
  const [result, setResult] = useState<ImportResult | null>(null);
  const there = usePoll((signal) => api.get<Paged<Key>>('/api/keys', { per_page: 1 }, signal), 0);
  const total = there.data?.total ?? 0;
  if (result) {
    return (
      <>
        <Imported result={result} />
        <div class="row">
          <Button tone="primary" onClick={onDone}>{t.next}</Button>
          <Button onClick={() => setResult(null)}>{t.keys.more}</Button>
        </div>
      </>
    );
  }
  return (
    <>
      {demo.value ? <Notice tone="info">{t.keys.demoText}</Notice> : total > 0 && <Notice tone="info">{t.keys.have(number(total))}</Notice>}
      <KeysPaste onDone={(done) => { setResult(done); void there.reload(); }} />
    </>
  );
}
