import { useEffect } from 'preact/hooks';
import { api } from '../../api.ts';
import { usePoll, type Polled } from '../../live.ts';
import { route, setParams } from '../../router.ts';
import { common } from '../../texts/common.ts';
import { Age, confirm, Failed, Notice, Page, Skeleton, Tabs } from '../../ui/index.ts';
import { About } from './about.tsx';
import { Audit } from './audit.tsx';
import { Backup, Restore } from './backup.tsx';
import { Limits } from './limits.tsx';
import { changedOf, drafts, rowsChanged, type Name, type Settings } from './model.ts';
import { Password } from './password.tsx';
import { Section } from './section.tsx';
import { Sessions, type Session } from './sessions.tsx';
import { texts } from './texts.ts';

const TABS = ['requests', 'timing', 'limits', 'security', 'audit', 'backup', 'about'] as const;
type Tab = (typeof TABS)[number];
const ACCESS = ['access_mode', 'address_requests_per_minute'] as const;
const POLICY = ['model_policy'] as const;
const WAITS = ['max_wait_ms', 'attempt_budget'] as const;
const PACING = ['pace_ms', 'key_pace_ms'] as const;
const TIMEOUTS = ['timeouts.headers_ms', 'timeouts.headers_whole_ms', 'timeouts.first_event_ms', 'timeouts.silence_ms', 'timeouts.total_ms'] as const;
const BOOKS = ['metering', 'flush_interval_ms'] as const;
const NAMES: Partial<Record<Tab, readonly Name[]>> = { requests: [...ACCESS, ...POLICY, ...BOOKS], timing: [...WAITS, ...PACING, ...TIMEOUTS] };

type Shared = { settings: Settings; onSaved: (settings: Settings) => void };

function RequestSettings(shared: Shared) {
  const t = texts();
  const isPublic = (drafts.value.access_mode ?? shared.settings.access_mode) === 'public';
  const askPublic = async (changed: Name[]) =>
    !changed.includes('access_mode') || drafts.value.access_mode !== 'public' || confirm({ title: t.publicTitle, text: t.publicWarning, action: t.publicAction });
  return (
    <>
      <Section title={t.sections.access} names={ACCESS} before={askPublic} {...shared}>
        {isPublic && <Notice tone="warn">{t.publicWarning}</Notice>}
      </Section>
      <Section title={t.sections.policy} names={POLICY} {...shared} />
      <Section title={t.sections.books} names={BOOKS} {...shared} />
    </>
  );
}

function TimingSettings(shared: Shared) {
  const t = texts();
  return (
    <>
      <Section title={t.sections.waits} names={WAITS} {...shared} />
      <Section title={t.sections.pacing} names={PACING} {...shared} />
      <Section title={t.sections.timeouts} names={TIMEOUTS} {...shared} />
    </>
  );
}

function Security() {
  const sessions = usePoll((signal) => api.get<{ items: Session[] }>('/api/sessions', {}, signal), 30_000);
  return (
    <>
      <Sessions list={sessions} />
      <Password onChanged={sessions.reload} />
    </>
  );
}

function Panel({ tab, list }: { tab: Tab; list: Polled<Settings> }) {
  if (tab === 'security') return <Security />;
  if (tab === 'audit') return <Audit />;
  if (tab === 'about') return <About />;
  if (tab === 'backup') return <><Backup /><Restore /></>;
  if (!list.data) return list.error ? <Failed error={list.error} retry={list.reload} busy={list.busy} /> : <Skeleton rows={3} height={11} />;
  const shared = { settings: list.data, onSaved: (next: Settings) => list.set(() => next) };
  return tab === 'limits' ? <Limits {...shared} /> : tab === 'timing' ? <TimingSettings {...shared} /> : <RequestSettings {...shared} />;
}

export default function SettingsPage() {
  const t = texts();
  const asked = route.value.query.get('tab');
  const tab = TABS.find((name) => name === asked) ?? 'requests';
  useEffect(() => {
    document.querySelector('.tabs [aria-selected=true]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }, [tab]);
  const list = usePoll((signal) => api.get<Settings>('/api/settings', {}, signal), 60_000);
  const settings = list.data;
  const unsaved = (name: Tab) => !!settings && (name === 'limits' ? rowsChanged(settings) : changedOf(settings, NAMES[name] ?? []).length > 0);
  const any = TABS.some(unsaved);
  useEffect(() => {
    if (!any) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener('beforeunload', ask);
    return () => removeEventListener('beforeunload', ask);
  }, [any]);
  return (
    <Page title={common().names.settings} actions={(tab === 'limits' || NAMES[tab]) && <Age at={list.at} error={list.error} />}>
      <div>
        <Tabs
          label={common().names.settings}
          value={tab}
          onValue={(next) => setParams({ tab: next === 'requests' ? null : next, page: null })}
          tabs={TABS.map((value) => ({ value, label: unsaved(value) ? t.unsavedTab(t.tabs[value]) : t.tabs[value] }))}
        >
          <div class="settings">
            <Panel key={tab} tab={tab} list={list} />
          </div>
        </Tabs>
      </div>
    </Page>
  );
}
