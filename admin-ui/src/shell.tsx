// The frame around every page: header, navigation, state of the connection.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, connection, demo, session } from './api.ts';
import { duration } from './format.ts';
import { language, setLanguage } from './i18n.ts';
import { useNow } from './live.ts';
import { href, pageNames, type PageName, type RouteName } from './router.ts';
import { common } from './texts/common.ts';
import { setTheme, theme, THEMES } from './theme.ts';
import { Button, ButtonLink } from './ui/button.tsx';
import { Icon, Mark } from './ui/icons.tsx';
import { Badge } from './ui/parts.tsx';
import { toast } from './ui/toast.tsx';

/** Shown in the bottom bar of a narrow page; the others are behind "More". */
const FIRST: readonly PageName[] = ['overview', 'keys', 'tokens', 'requests'];
const THEME_ICONS = { system: 'system', light: 'sun', dark: 'moon' } as const;

export function DemoBadge() {
  const t = common();
  return demo.value ? <span id="demo" class="demo" title={t.demoHint}>DEMO</span> : null;
}

/** Language and colours. */
export function Choices() {
  const t = common();
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? 'system';
  return (
    <div class="choices">
      <Button tone="plain" small class="language" onClick={() => setLanguage(language.value === 'zh' ? 'en' : 'zh')}>
        <span lang={language.value === 'zh' ? 'en' : 'zh-Hans'}>{language.value === 'zh' ? 'English' : '中文'}</span>
      </Button>
      <Button tone="plain" small icon={THEME_ICONS[theme.value]} label={`${t.theme}: ${t.themes[theme.value]}`} onClick={() => setTheme(next)} />
    </div>
  );
}

/** Says that the Worker does not answer, for as long as that is so. */
export function ConnectionBar() {
  const t = common();
  const state = connection.value;
  const now = useNow(1_000, state.lost);
  return (
    <>
      <p class="unseen" role="status">{state.lost ? t.lost : ''}</p>
      {state.lost && (
        <div class="lost-bar">
          <Icon name="warn" />
          {t.lostFor(duration(Math.max(1_000, now - state.since)))}
        </div>
      )}
    </>
  );
}

async function logOut() {
  try {
    await api.post('/api/auth/logout');
    session.value = 'out';
    toast.ok(common().loggedOut);
  } catch (error) {
    toast.error(error);
  }
}

function Navigation({ page }: { page: RouteName }) {
  const t = common();
  const [open, setOpen] = useState(false);
  const bar = useRef<HTMLElement>(null);
  useEffect(() => setOpen(false), [page]);
  useEffect(() => {
    if (!open) return;
    const away = (event: Event) => {
      if (event instanceof KeyboardEvent ? event.key === 'Escape' : !bar.current?.contains(event.target as Node)) setOpen(false);
    };
    addEventListener('keydown', away);
    addEventListener('pointerdown', away);
    return () => {
      removeEventListener('keydown', away);
      removeEventListener('pointerdown', away);
    };
  }, [open]);
  return (
    <nav ref={bar} class={`navigation${open ? ' open' : ''}`} aria-label={t.navigation}>
      <ul>
        {pageNames.map((name) => (
          <li key={name} class={FIRST.includes(name) ? 'first' : 'later'}>
            <a href={href(name)} aria-current={name === page ? 'page' : undefined} onClick={() => setOpen(false)}>
              <Icon name={name} size={20} />
              <span>{t.names[name]}</span>
            </a>
          </li>
        ))}
        <li class="more">
          <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
            <Icon name="more" size={20} />
            <span>{t.more}</span>
          </button>
        </li>
      </ul>
    </nav>
  );
}

export function Shell({ page, pendingSetup, children }: { page: RouteName; pendingSetup: boolean; children: ComponentChildren }) {
  const t = common();
  const { lost } = connection.value;
  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById('main')?.focus(); }}>
        {t.skip}
      </a>
      <header class="top">
        <a class="brand" href={href('overview')}><Mark /> Rondo</a>
        <DemoBadge />
        <span class="top-state">{lost ? <Badge tone="error" icon="warn">{t.lost}</Badge> : <Badge tone="ok">{t.online}</Badge>}</span>
        <span class="space" />
        {pendingSetup && <ButtonLink href={href('start')} tone="plain">{t.continueSetup}</ButtonLink>}
        <Choices />
        <Button tone="plain" small icon="out" label={t.logOut} onClick={logOut} />
      </header>
      <Navigation page={page} />
      <main id="main" tabIndex={-1}>
        <ConnectionBar />
        {children}
        <footer class="foot">{t.notice}</footer>
      </main>
    </div>
  );
}

/** The frame of pages without navigation: log-in and first run. */
export function Alone({ children, wide }: { children: ComponentChildren; wide?: boolean }) {
  const t = common();
  return (
    <div class="alone-frame">
      <header class="top">
        <span class="brand"><Mark /> Rondo</span>
        <DemoBadge />
        <span class="space" />
        <Choices />
      </header>
      <main id="main" class={`alone${wide ? ' wide' : ''}`}>
        <ConnectionBar />
        {children}
      </main>
      <footer class="foot">{t.notice}</footer>
    </div>
  );
}
