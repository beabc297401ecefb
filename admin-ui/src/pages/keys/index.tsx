import { common } from '../../texts/common.ts';
import { Empty, Page } from '../../ui/index.ts';

export default function Keys() {
  const t = common();
  return (
    <Page title={t.names.keys}>
      <Empty icon="keys" title={t.soon} />
    </Page>
  );
}
