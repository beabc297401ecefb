import { useState } from 'preact/hooks';
import { api } from '../../api.ts';
import { bareBase, firstGuides, openaiBase, TOKEN_PLACEHOLDER } from '../../connect.ts';
import { usePoll } from '../../live.ts';
import { firstModel, type Models } from '../../types.ts';
import { Button } from '../../ui/button.tsx';
import { Code, Copy } from '../../ui/copy.tsx';
import { Tabs } from '../../ui/parts.tsx';
import { texts } from './texts.ts';

export function ConnectStep({ token, onDone }: { token: string | null; onDone: () => void }) {
  const t = texts().connect;
  const [tool, setTool] = useState(firstGuides[0]?.id ?? '');
  const models = usePoll((signal) => api.get<Models>('/api/models', {}, signal), 0);
  const { origin } = location;
  const given = { origin, token: token ?? TOKEN_PLACEHOLDER, model: (models.data && firstModel(models.data)) ?? 'gpt-oss-120b' };
  const guide = firstGuides.find(({ id }) => id === tool) ?? firstGuides[0];
  const block = guide?.blocks.at(-1);
  return (
    <>
      <dl class="pairs">
        <dt>{t.base}</dt>
        <dd><code id="openai-base">{openaiBase(origin)}</code> <Copy text={openaiBase(origin)} /></dd>
        <dt>{t.bareBase}</dt>
        <dd><code>{bareBase(origin)}</code> <Copy text={bareBase(origin)} /></dd>
        <dt>{t.token}</dt>
        <dd>{token ? <><code>{token}</code> <Copy text={token} /></> : <span class="quiet">{t.noToken} ({TOKEN_PLACEHOLDER})</span>}</dd>
      </dl>
      <Tabs label={t.tools} value={tool} onValue={setTool} tabs={firstGuides.map(({ id, name }) => ({ value: id, label: name }))}>
        {guide && block && <Code text={block.lines(given)} label={guide.name} />}
      </Tabs>
      <Button tone="primary" onClick={onDone}>{t.done}</Button>
    </>
  );
}
