import { common } from '../../texts/common.ts';
import { Empty, Page } from '../../ui/index.ts';

export default function Overview() {
  const t = common();
  return (
    <Page title={t.names.overview}>
      <Empty icon="overview" title={t.soon} />
    </Page>
  );
}
