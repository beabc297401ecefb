// What this is, how it stands, and where to read more.
import { useEffect, useState } from 'preact/hooks';
import { demo, reach } from '../../api.ts';
import { common } from '../../texts/common.ts';
import { Badge, Card, Copy } from '../../ui/index.ts';
import { texts } from './texts.ts';

const LINKS = {
  cerebras: 'https://inference-docs.cerebras.ai/',
  limits: 'https://inference-docs.cerebras.ai/support/rate-limits',
  workers: 'https://developers.cloudflare.com/workers/',
} as const;
/** In the project's folder. */
const FILES = ['README.md', 'docs/architecture.md', 'docs/pool.md', 'docs/admin-api.md', 'docs/openapi.json'] as const;

export function About() {
  const t = texts().about;
  const [state, setState] = useState<{ ready: boolean; version: string | null } | null>(null);
  useEffect(() => {
    const own = new AbortController();
    // 503 is an answer too: it says that it is not ready.
    reach('/health', { signal: own.signal })
      .then(async (response) => {
        const said = await response.json();
        setState({ ready: response.ok, version: typeof said.version === 'string' ? said.version : null });
      })
      .catch(() => undefined);
    return () => own.abort();
  }, []);
  return (
    <Card title={t.title}>
      <p>{t.text}</p>
      <dl class="pairs">
        {state?.version && <><dt>{t.version}</dt><dd>{state.version}</dd></>}
        <dt>{t.state}</dt>
        <dd>{state ? <Badge tone={state.ready ? 'ok' : 'warn'}>{state.ready ? t.ready : t.notReady}</Badge> : '–'}</dd>
        {demo.value && <><dt>{t.mode}</dt><dd>{common().demoHint}</dd></>}
        <dt>{t.address}</dt>
        <dd><code>{location.origin}</code><Copy text={location.origin} /></dd>
      </dl>
      <p>{common().notice}</p>
      <h3>{t.read}</h3>
      <ul class="settings-links">
        {(Object.keys(LINKS) as (keyof typeof LINKS)[]).map((name) => (
          <li key={name}><a href={LINKS[name]} target="_blank" rel="noreferrer">{t.links[name]}</a></li>
        ))}
      </ul>
      <h3>{t.files}</h3>
      <ul class="settings-links">
        {FILES.map((name) => <li key={name}><code>{name}</code> <span class="quiet">{t.fileTexts[name]}</span></li>)}
      </ul>
    </Card>
  );
}
