import { common } from '../../texts/common.ts';
import { Empty, Page } from '../../ui/index.ts';

export default function Playground() {
  const t = common();
  return (
    <Page title={t.names.playground}>
      <Empty icon="playground" title={t.soon} />
    </Page>
  );
}
