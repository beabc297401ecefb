// What is shown at all: log-in, first run, or the shell with a page.
import type { ComponentType } from 'preact';
import { useEffect, useErrorBoundary, useState } from 'preact/hooks';
import { ApiError, askSession, connection, session } from './api.ts';
import { pages, route, type RouteName } from './router.ts';
import { Shell } from './shell.tsx';
import { setupStep } from './setup-step.ts';
import { common } from './texts/common.ts';
import { Button } from './ui/button.tsx';
import { Confirmations } from './ui/dialog.tsx';
import { Failed, Notice, Skeleton } from './ui/parts.tsx';
import { Toasts } from './ui/toast.tsx';

type Loader = () => Promise<{ default: ComponentType }>;
const login: Loader = () => import('./pages/login/index.tsx');
const start: Loader = () => import('./pages/start/index.tsx');
const loaders: Record<RouteName, Loader> = { ...pages, start };
const loaded = new Map<Loader, ComponentType>();

/** Shows a module's component as soon as it is there. */
function Lazy({ load }: { load: Loader }) {
  const t = common();
  const [, again] = useState(0);
  const [failed, setFailed] = useState(false);
  const [broken, mend] = useErrorBoundary();
  const Component = loaded.get(load);
  useEffect(() => {
    if (Component) return;
    let gone = false;
    load().then(
      (module) => {
        loaded.set(load, module.default);
        if (!gone) again((n) => n + 1);
      },
      () => gone || setFailed(true),
    );
    return () => {
      gone = true;
    };
  }, [load]);
  useEffect(() => {
    if (Component) document.documentElement.dataset.loaded = 'true';
  });
  if (broken || failed) {
    // A module that failed is not asked for again by the browser; after an update its name has changed as well.
    return (
      <Notice tone="error" alert actions={<Button small onClick={() => (failed ? location.reload() : mend())}>{t.retry}</Button>}>
        {t.pageBroken}
      </Notice>
    );
  }
  return Component ? <Component /> : <div class="page"><Skeleton height={2} /><Skeleton height={6} rows={3} /></div>;
}

function Content() {
  const [error, setError] = useState<ApiError>();
  const ask = () => askSession().then(() => setError(undefined), (failure) => setError(failure));
  const { lost } = connection.value;
  useEffect(() => {
    if (session.peek() === 'asking' && !lost) void ask();
  }, [lost]);
  if (session.value === 'asking') {
    return <main class="alone" id="main">{error ? <Failed error={error} retry={ask} /> : <Skeleton height={3} rows={3} />}</main>;
  }
  if (session.value === 'out') return <Lazy key="login" load={login} />;
  if (session.value === 'new' || route.value.page === 'start') return <Lazy key="start" load={start} />;
  const { page } = route.value;
  return (
    <Shell page={page} pendingSetup={setupStep.value !== null}>
      <Lazy key={page} load={loaders[page]} />
    </Shell>
  );
}

export const App = () => (
  <>
    <Content />
    <Confirmations />
    <Toasts />
  </>
);
