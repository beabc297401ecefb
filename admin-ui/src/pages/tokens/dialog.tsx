// Making and changing a token, and the only time that its value is seen.
import { useState } from 'preact/hooks';
import { api, ApiError } from '../../api.ts';
import { explain } from '../../errors.ts';
import { heldToken } from '../../held-token.ts';
import { named } from '../../named.ts';
import { go } from '../../router.ts';
import { common } from '../../texts/common.ts';
import type { NewToken, Token } from '../../types.ts';
import { Button, Checkbox, confirm, Copy, Dialog, Field, Notice, Select, toast, Typed } from '../../ui/index.ts';
import { bodyOf, formOf, LIMITS, localTime, OWN_MAX, type Expiry, type Form, type Wrong } from './form.ts';
import { texts } from './texts.ts';

/** Longest name of a model. */
const MODEL_MAX = 256;

function ModelsChoice({ models, known, error, onModels }: { models: string[] | null; known: string[]; error: string | null; onModels: (models: string[] | null) => void }) {
  const t = texts();
  const [more, setMore] = useState('');
  const names = [...new Set([...known, ...(models ?? [])])];
  const unfit = more.trim() === '' || [...more].length > MODEL_MAX;
  const add = () => {
    if (unfit || !models) return;
    onModels([...new Set([...models, more.trim()])]);
    setMore('');
  };
  return (
    <div class="tokens-models">
      <Select label={t.models} value={models ? 'some' : 'all'} onValue={(value) => onModels(value === 'all' ? null : [])} error={error}
        options={[{ value: 'all', label: t.allModels }, { value: 'some', label: t.someModels }]} />
      {models && (
        <fieldset class="tokens-some">
          <legend class="hint">{t.modelsHint}</legend>
          {names.map((name) => (
            <Checkbox key={name} label={<Typed>{name}</Typed>} checked={models.includes(name)} onValue={(on) => onModels(on ? [...models, name] : models.filter((one) => one !== name))} />
          ))}
          <div class="tokens-more">
            <Field label={t.addModel} value={more} onValue={setMore} maxLength={MODEL_MAX} autocapitalize="off" spellcheck={false}
              onKeyDown={(event) => { if (event.key === 'Enter') { event.preventDefault(); add(); } }} />
            <Button icon="plus" disabled={unfit} onClick={add}>{t.add}</Button>
          </div>
        </fieldset>
      )}
    </div>
  );
}

type Props = { token?: Token | undefined; known: string[]; onClose: () => void; onMade: (made: NewToken) => void; onSaved: (saved: Token) => void };

/** Without `token` a new one. */
export function TokenForm({ token, known, onClose, onMade, onSaved }: Props) {
  const t = texts();
  const [first] = useState(() => formOf(token));
  const [form, setForm] = useState<Form>(first);
  const [wrong, setWrong] = useState<Wrong>({});
  const [problem, setProblem] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const change = (part: Partial<Form>) => {
    setForm((before) => ({ ...before, ...part }));
    setWrong({});
    setProblem(null);
  };
  const close = async () => {
    if (busy) return;
    const touched = JSON.stringify(form) !== JSON.stringify(first);
    if (!touched || (await confirm({ title: t.discardTitle, action: t.discard }))) onClose();
  };
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    const frame = event.currentTarget as HTMLFormElement;
    if (busy) return;
    const { body, wrong: found } = bodyOf(form, Date.now(), token);
    if (!body) {
      setWrong(found);
      requestAnimationFrame(() => frame.querySelector<HTMLElement>('[aria-invalid]')?.focus());
      return;
    }
    if (token && Object.keys(body).length === 0) {
      toast.ok(t.unchanged);
      return onClose();
    }
    setBusy(true);
    setProblem(null);
    try {
      if (token) onSaved(await api.patch<Token>(`/api/tokens/${encodeURIComponent(token.id)}`, body));
      else onMade(await api.post<NewToken>('/api/tokens', body));
    } catch (error) {
      if (error instanceof ApiError) setProblem(error);
      else throw error;
    } finally {
      setBusy(false);
    }
  };
  const say = (field: keyof Wrong) => {
    const what = wrong[field];
    if (what) return t.wrong[what];
    return problem?.field === field ? problem.detail : null;
  };
  const placed = problem?.field && ['name', 'expires_at', 'models', 'token', ...LIMITS].includes(problem.field);
  return (
    <Dialog
      wide
      title={token ? t.editTitle(named(token.name)) : t.makeTitle}
      onClose={close}
      actions={
        <>
          <Button onClick={close}>{common().cancel}</Button>
          <Button type="submit" form="token-form" tone="primary" busy={busy}>{token ? t.save : t.make}</Button>
        </>
      }
    >
      <form id="token-form" class="form" noValidate onSubmit={send}>
        <Field label={t.name} name="token-name" value={form.name} onValue={(name) => change({ name })} maxLength={100} placeholder={t.namePlaceholder} autofocus autocomplete="off" required error={say('name')} />
        <div class="tokens-pair">
          <Select label={t.expiry} value={form.expiry} options={(['never', '7', '30', '90', '365', 'at'] as Expiry[]).map((value) => ({ value, label: t.expiries[value] }))}
            onValue={(expiry) => change({ expiry, at: form.at || localTime(Date.now() + 86_400_000) })} error={form.expiry === 'at' ? null : say('expires_at')} />
          {form.expiry === 'at' && <Field label={t.at} type="datetime-local" value={form.at} onValue={(at) => change({ at })} error={say('expires_at')} />}
        </div>
        <ModelsChoice models={form.models} known={known} onModels={(models) => change({ models })} error={say('models')} />
        <fieldset class="tokens-limits">
          <legend>{t.limits}</legend>
          <p class="hint">{t.limitsHint}</p>
          {LIMITS.map((limit) => (
            <Field key={limit} label={t.limit[limit]} inputMode="numeric" autocomplete="off" placeholder="∞" maxLength={24} value={form.limits[limit]} error={say(limit)}
              onValue={(value) => change({ limits: { ...form.limits, [limit]: value } })} />
          ))}
        </fieldset>
        <Checkbox label={t.metrics} hint={t.metricsHint} checked={form.metrics} onValue={(metrics) => change({ metrics })} />
        {!token && (
          <details class="tokens-own" open={wrong.token || problem?.field === 'token' ? true : undefined}>
            <summary>{t.ownSummary}</summary>
            <Field label={t.own} hint={t.ownHint} value={form.own} onValue={(own) => change({ own })} maxLength={OWN_MAX} autocomplete="off" autocapitalize="off" spellcheck={false} class="mono" error={say('token')} />
          </details>
        )}
        {problem && !placed && <Notice tone="error" alert>{explain(problem)}</Notice>}
      </form>
    </Dialog>
  );
}

/** The new token's value, until it is said to be saved. */
export function Made({ made, onClose }: { made: NewToken; onClose: () => void }) {
  const t = texts();
  const leave = async () => {
    if (await confirm({ title: t.notSavedTitle, text: t.notSavedText, items: [named(made.name)], action: t.closeAnyway })) onClose();
  };
  const setUp = () => {
    heldToken.value = { id: made.id, value: made.token };
    onClose();
    go('connect', { token: made.id });
  };
  return (
    <Dialog
      title={t.madeTitle(named(made.name))}
      onClose={leave}
      actions={
        <>
          <Button icon="connect" onClick={setUp}>{t.setUp}</Button>
          <Button icon="ok" onClick={onClose}>{t.haveSaved}</Button>
        </>
      }
    >
      <div class="secret">
        <p class="stat-label">{t.yours}</p>
        <code id="new-token" class="tokens-secret">{made.token}</code>
        <Copy text={made.token} label={t.copy} primary />
      </div>
      <Notice tone="warn">{t.once}</Notice>
    </Dialog>
  );
}
