// What is sent besides the messages.
import { useEffect } from 'preact/hooks';
import { api } from '../../api.ts';
import { usePoll } from '../../live.ts';
import { route } from '../../router.ts';
import { firstModel, type Models } from '../../types.ts';
import { Field, Failed, Select, Switch, TextArea, type Option } from '../../ui/index.ts';
import { badMaxTokens, badTemperature, choices, choose } from './talk.ts';
import { texts } from './texts.ts';

type Catalog = { models: { id: string; name: string | null }[] };
const DEFAULT_POOL = 'default';

/** Pools by name (not under `passthrough`, which sends names on as they are), then their models, then the catalog's. */
function optionsOf(models: Models, catalog: Catalog | undefined): Option<string>[] {
  const t = texts();
  const seen = new Set<string>();
  const fresh = (value: string) => !seen.has(value) && seen.add(value) && true;
  const pools = models.policy === 'passthrough' ? [] : models.pools.map(({ name }) => name).filter(fresh);
  const members = models.pools.flatMap((pool) => pool.members.filter((member) => member.enabled).map(({ model }) => model)).filter(fresh);
  const others = (catalog?.models ?? []).map(({ id }) => id).filter(fresh);
  return [
    ...pools.map((value) => ({ value, label: value === DEFAULT_POOL ? t.defaultPool : value, group: t.pools })),
    ...members.map((value) => ({ value, label: value, group: t.inPools })),
    ...others.map((value) => ({ value, label: value, group: t.inCatalog })),
  ];
}

export function OptionsForm() {
  const t = texts();
  const models = usePoll((signal) => api.get<Models>('/api/models', {}, signal), 60_000);
  // Without the catalog there are the pools' models still.
  const catalog = usePoll((signal) => api.get<Catalog>('/api/models/catalog', {}, signal), 0);
  const chosen = choices.value;
  const asked = route.value.query.get('model');
  const known = models.data ? optionsOf(models.data, catalog.data) : [];
  const options = chosen.model && models.data && !known.some(({ value }) => value === chosen.model) ? [...known, { value: chosen.model, label: chosen.model }] : known;
  useEffect(() => {
    if (asked) choose({ model: asked });
  }, [asked]);
  useEffect(() => {
    if (models.data && !choices.peek().model) choose({ model: firstModel(models.data) ?? known[0]?.value ?? '' });
  }, [models.data]);
  const hint = models.data?.policy === 'rotate' ? t.rotate : t.modelHint;
  return (
    <div class="form">
      {models.error && !models.data && <Failed error={models.error} retry={models.reload} busy={models.busy} />}
      <Select
        label={t.model}
        value={chosen.model}
        onValue={(model) => choose({ model })}
        disabled={options.length === 0}
        options={options.length > 0 ? options : [{ value: '', label: models.data ? t.noModels : t.loadingModels }]}
        hint={hint}
      />
      <TextArea label={t.system} rows={3} value={chosen.system} onValue={(system) => choose({ system })} placeholder={t.systemPlaceholder} autocomplete="off" />
      <Field label={t.temperature} inputMode="decimal" value={chosen.temperature} onValue={(temperature) => choose({ temperature })} hint={t.temperatureHint} error={badTemperature(chosen) ? t.badTemperature : null} autocomplete="off" />
      <Field label={t.maxTokens} inputMode="numeric" value={chosen.maxTokens} onValue={(maxTokens) => choose({ maxTokens })} hint={t.maxTokensHint} error={badMaxTokens(chosen) ? t.badMaxTokens : null} autocomplete="off" />
      <Switch label={t.stream} hint={t.streamHint} checked={chosen.stream} onValue={(stream) => choose({ stream })} />
    </div>
  );
}
