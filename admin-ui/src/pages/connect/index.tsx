import { common } from '../../texts/common.ts';
import { Empty, Page } from '../../ui/index.ts';

export default function Connect() {
  const t = common();
  return (
    <Page title={t.names.connect}>
      <Empty icon="connect" title={t.soon} />
    </Page>
  );
}
