import { common } from '../../texts/common.ts';
import { Empty, Page } from '../../ui/index.ts';

export default function Requests() {
  const t = common();
  return (
    <Page title={t.names.requests}>
      <Empty icon="requests" title={t.soon} />
    </Page>
  );
}
