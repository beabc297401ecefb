import { common } from '../../texts/common.ts';
import { Empty, Page } from '../../ui/index.ts';

export default function Tokens() {
  const t = common();
  return (
    <Page title={t.names.tokens}>
      <Empty icon="tokens" title={t.soon} />
    </Page>
  );
}
