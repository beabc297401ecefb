import { Fragment } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../../api.ts';
import { bareBase, findGuides, guides, mayBe, openaiBase, TOKEN_PLACEHOLDER, tokenProblem, type Given, type Guide } from '../../connect.ts';
import { heldToken } from '../../held-token.ts';
import { usePoll } from '../../live.ts';
import { named } from '../../named.ts';
import { href, route, setParams } from '../../router.ts';
import { store, stored } from '../../stored.ts';
import { common } from '../../texts/common.ts';
import { firstModel, type Models, type Paged, type Token } from '../../types.ts';
import { Button, ButtonLink, Card, Code, Copy, Failed, Field, Notice, Page, Select, Skeleton } from '../../ui/index.ts';
import { texts } from './texts.ts';

const KEPT = 'connect.tool';
const GROUPS = ['code', 'agents', 'apps'] as const;

/** Names a client can ask for: aliases, then the models of all pools; of a limited token only its own. */
function askable(models: Models | undefined, token: Token | undefined): string[] {
  if (token?.models) return token.models;
  const pools = models?.pools ?? [];
  const aliases = pools.map(({ name }) => name).filter((name) => name !== 'default');
  return [...new Set([...pools.flatMap(({ members }) => members.filter(({ enabled }) => enabled).map(({ model }) => model)), ...aliases])];
}

function Values({ given, list, token, names, onModel }: { given: Given; list: Token[]; token: Token | undefined; names: string[]; onModel: (model: string) => void }) {
  const t = texts();
  const held = heldToken.value?.value ?? '';
  const problem = tokenProblem(held);
  const wrong = problem ? { spaces: t.spaces, key: t.isKey }[problem] : token && held && !mayBe(held, token.masked) ? t.notThis(named(token.name)) : null;
  const bases = [[t.base, openaiBase(given.origin)], [t.bareBase, bareBase(given.origin)]] as const;
  return (
    <Card title={t.values}>
      <dl class="pairs connect-bases">
        {bases.map(([name, value]) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd><code>{value}</code> <Copy text={value} name={name} /></dd>
          </Fragment>
        ))}
      </dl>
      <div class="connect-choices">
        <Select label={t.which} value={token?.id ?? ''} options={[{ value: '', label: t.anyToken }, ...list.map(({ id, name, masked }) => ({ value: id, label: `${named(name)} (${masked})` }))]}
          onValue={(id) => setParams({ token: id || null })} />
        <Select label={t.model} value={given.model} options={names.map((name) => ({ value: name, label: name }))} onValue={onModel} />
        <div class="connect-token">
          <Field label={t.token} autocomplete="off" autocapitalize="off" class="mono" spellcheck={false} placeholder={TOKEN_PLACEHOLDER} maxLength={512} value={held} error={wrong}
            hint={held ? t.tokenHeld : t.tokenHint} onValue={(value) => { heldToken.value = value.trim() ? { id: token?.id ?? null, value: value.trim() } : null; }} />
          {held && <Button small tone="plain" icon="close" onClick={() => { heldToken.value = null; }}>{t.clear}</Button>}
        </div>
      </div>
      {token && !token.enabled && <Notice tone="warn">{t.paused(named(token.name))}</Notice>}
      {token?.expires_at && Date.parse(token.expires_at) <= Date.now() && <Notice tone="warn">{t.expired(named(token.name))}</Notice>}
    </Card>
  );
}

function GuideView({ guide, given }: { guide: Guide; given: Given }) {
  const t = texts();
  const note = t.notes[guide.id];
  const name = t.names[guide.id] ?? guide.name;
  return (
    <section class="card connect-guide" aria-labelledby="connect-guide-name">
      <header><h2 id="connect-guide-name">{name}</h2></header>
      {guide.entries && (
        <dl class="pairs">
          {guide.entries(given).map(({ name, value }) => (
            <Fragment key={name}>
              <dt>{t.entries[name]}</dt>
              <dd><code>{value}</code> <Copy text={value} name={t.entries[name]} /></dd>
            </Fragment>
          ))}
        </dl>
      )}
      {guide.blocks.map((block, at) => {
        const what = typeof block.what === 'string' ? t.what[block.what] : block.what.file;
        return (
          <div key={at} class="connect-block">
            <h3>{typeof block.what === 'string' ? what : <code>{what}</code>}</h3>
            <Code text={block.lines(given)} label={t.linesOf(what, name)} />
          </div>
        );
      })}
      {note && <p class="hint">{note}</p>}
    </section>
  );
}

export default function Connect() {
  const t = texts();
  const { query } = route.value;
  const models = usePoll((signal) => api.get<Models>('/api/models', {}, signal), 0);
  const tokens = usePoll((signal) => api.get<Paged<Token>>('/api/tokens', { per_page: 200 }, signal), 0);
  const [search, setSearch] = useState('');
  const [wanted, setWanted] = useState('');
  const [kept, setKept] = useState(stored(KEPT));
  const guide = guides.find(({ id }) => id === (query.get('tool') ?? kept)) ?? guides[0];
  const list = tokens.data?.items ?? [];
  const token = list.find(({ id }) => id === query.get('token'));
  const names = askable(models.data, token);
  const model = names.includes(wanted) ? wanted : token?.models ? (names[0] ?? '') : ((models.data && firstModel(models.data)) ?? names[0] ?? 'gpt-oss-120b');
  const held = heldToken.value?.value ?? '';
  const usable = held !== '' && tokenProblem(held) === null && (!token || mayBe(held, token.masked));
  const given: Given = { origin: location.origin, token: usable ? held : TOKEN_PLACEHOLDER, model };
  const choose = (id: string) => {
    store(KEPT, id);
    setKept(id);
    if (query.has('tool')) setParams({ tool: null });
  };
  const found = findGuides(search);
  const loading = (!models.data && !models.error) || (!tokens.data && !tokens.error);
  return (
    <Page title={common().names.connect} intro={t.intro}>
      {models.error && <Failed error={models.error} retry={models.reload} busy={models.busy} />}
      {tokens.error && <Failed error={tokens.error} retry={tokens.reload} busy={tokens.busy} />}
      {loading ? <Skeleton height={20} /> : <Values given={given} list={list} token={token} names={names.length > 0 ? names : [model]} onModel={setWanted} />}
      {tokens.data?.total === 0 && <Notice tone="info" actions={<ButtonLink href={href('tokens', { new: 1 })} icon="plus">{t.makeToken}</ButtonLink>}>{t.noTokens}</Notice>}
      <div class="connect-tools">
        <nav class="connect-list" aria-label={t.tools}>
          <Field label={t.search} hideLabel placeholder={t.search} type="search" value={search} onValue={setSearch}
            onKeyDown={(event) => { const first = found[0]; if (event.key === 'Enter' && first) choose(first.id); }} />
          {GROUPS.map((group) => {
            const own = found.filter((one) => one.group === group);
            return own.length > 0 && (
              <div key={group}>
                <h3 class="connect-group">{t.groups[group]}</h3>
                <ul>
                  {own.map(({ id, name }) => (
                    <li key={id}>
                      <button type="button" aria-current={id === guide?.id ? 'true' : undefined} onClick={() => choose(id)}>
                        {t.names[id] ?? name}
                      </button>
                    </li>
                  ))}
                </ul>
              </div>
            );
          })}
          <p role="status" class="hint">{found.length === 0 && t.none(search.trim())}</p>
        </nav>
        {guide && (
          <div class="connect-shown">
            <div class="connect-pick">
              <Select label={t.tool} value={guide.id} options={guides.map(({ id, name }) => ({ value: id, label: t.names[id] ?? name }))} onValue={choose} />
            </div>
            <GuideView key={guide.id} guide={guide} given={given} />
          </div>
        )}
      </div>
    </Page>
  );
}
