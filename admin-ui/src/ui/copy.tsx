import { useEffect, useRef, useState } from 'preact/hooks';
import { common } from '../texts/common.ts';
import { Button } from './button.tsx';

/** Copies `text`; what came of it is shown and announced. */
export function Copy({ text, label, name, small = true, primary }: { text: string; label?: string; /** What is copied, read out where several stand together. */ name?: string; small?: boolean; primary?: boolean }) {
  const t = common();
  const [result, setResult] = useState<'copied' | 'failed' | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setResult('copied');
    } catch {
      setResult('failed');
    }
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setResult(null), 3_000);
  };
  return (
    <span class="copy">
      <Button small={small} tone={primary ? 'primary' : 'normal'} icon={result === 'copied' ? 'ok' : result === 'failed' ? 'error' : 'copy'} onClick={copy}>
        {result === 'copied' ? t.copied : result === 'failed' ? t.copyFailed : (label ?? t.copy)}
        {name && <span class="unseen"> {name}</span>}
      </Button>
      <span class="unseen" role="status">{result === 'copied' ? t.copied : result === 'failed' ? t.copyFailed : ''}</span>
    </span>
  );
}

/** Code to take along, with a button that copies it. */
export const Code = ({ text, label }: { text: string; /** What it is, for those who do not see it. */ label: string }) => (
  <figure class="code">
    <pre tabIndex={0} role="region" aria-label={label}><code>{text}</code></pre>
    <Copy text={text} />
  </figure>
);
