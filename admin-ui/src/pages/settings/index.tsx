import { common } from '../../texts/common.ts';
import { Empty, Page } from '../../ui/index.ts';

export default function Settings() {
  const t = common();
  return (
    <Page title={t.names.settings}>
      <Empty icon="settings" title={t.soon} />
    </Page>
  );
}
