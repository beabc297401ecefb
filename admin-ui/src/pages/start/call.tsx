import { useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError } from '../../api.ts';
import { chat, type ChatEnd } from '../../chat.ts';
import { duration } from '../../format.ts';
import { firstModel, type Models } from '../../types.ts';
import { Button } from '../../ui/button.tsx';
import { Field } from '../../ui/fields.tsx';
import { Badge, Notice, Stat } from '../../ui/parts.tsx';
import { texts } from './texts.ts';

type Props = { token: string | null; onNeedToken: () => void; onDone: () => void };

/** What to do about a failed call. */
function Remedy({ error }: { error: ApiError }) {
  const t = texts().call;
  const status = error.status >= 500 && error.status !== 503 ? 502 : error.status;
  return (
    <Notice tone="error" alert>
      <p>{t.remedies[status] ?? t.other}</p>
      {error.retryAfterMs !== null && <p>{t.waitFor(duration(error.retryAfterMs))}</p>}
      {error.detail && <p class="quiet">{error.detail}</p>}
    </Notice>
  );
}

export function TestCall({ token, onNeedToken, onDone }: Props) {
  const t = texts();
  const [prompt, setPrompt] = useState(t.call.defaultPrompt);
  const [answer, setAnswer] = useState('');
  const [thinking, setThinking] = useState('');
  const [model, setModel] = useState('');
  const [end, setEnd] = useState<ChatEnd | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);
  if (!token) {
    return (
      <>
        <Notice tone="info">{t.call.noToken}</Notice>
        <Button tone="primary" onClick={onNeedToken}>{t.call.makeToken}</Button>
      </>
    );
  }
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    if (busy) return;
    const own = new AbortController();
    running.current = own;
    setBusy(true);
    setProblem(null);
    setEnd(null);
    setAnswer('');
    setThinking('');
    try {
      const asked = firstModel(await api.get<Models>('/api/models', {}, own.signal)) ?? 'default';
      setModel(asked);
      const ended = await chat({
        path: '/v1/chat/completions',
        token,
        body: { model: asked, messages: [{ role: 'user', content: prompt }] },
        signal: own.signal,
        onHeaders: (headers) => setModel(headers.get('x-rondo-model') ?? asked),
        onText: (piece, kind) => (kind === 'answer' ? setAnswer : setThinking)((before) => before + piece),
      });
      setEnd(ended);
    } catch (error) {
      if (!own.signal.aborted) setProblem(error instanceof ApiError ? error : new ApiError(502, 'broken', String(error)));
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <form class="form" onSubmit={send}>
        <Field label={t.call.prompt} name="prompt" value={prompt} onValue={setPrompt} required />
        <div class="row">
          <Button type="submit" tone={end ? 'normal' : 'primary'} busy={busy}>{t.call.send}</Button>
          {busy && <Button onClick={() => running.current?.abort()}>{t.call.stop}</Button>}
        </div>
      </form>
      {(busy || answer || thinking) && (
        <div class="answer" aria-busy={busy}>
          <p class="stat-label">{t.call.answer}</p>
          {thinking && <p class="quiet thinking">{thinking}</p>}
          <p id="answer">{answer}{busy && <span class="caret" aria-hidden="true" />}</p>
        </div>
      )}
      {problem && <Remedy error={problem} />}
      {end && (
        <>
          <p role="status">{answer || thinking ? <Badge tone="ok">{t.call.ok}</Badge> : <Badge tone="warn">{t.call.empty}</Badge>}</p>
          <div class="stats">
            <Stat label={t.call.first} value={end.firstTokenMs === null ? '–' : duration(end.firstTokenMs)} />
            <Stat label={t.call.total} value={duration(end.durationMs)} />
            <Stat label={t.call.model} value={<span class="small-value">{model}</span>} />
          </div>
          <Button tone="primary" onClick={onDone}>{t.next}</Button>
        </>
      )}
    </>
  );
}
