import { common } from '../../texts/common.ts';
import { Empty, Page } from '../../ui/index.ts';

export default function Models() {
  const t = common();
  return (
    <Page title={t.names.models}>
      <Empty icon="models" title={t.soon} />
    </Page>
  );
}
