// Icons: 20 × 20, drawn with the colour of the text. They are decoration; what they mean is said in words beside them.
const paths = {
  overview: 'M3 11.5a7 7 0 1 1 14 0M10 11.5l3-3.5M6 16h8',
  keys: 'M7 9.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM9.5 10.5l7-7M13.5 6.5l2.5 2.5',
  tokens: 'M3 7.5v-2h14v2a2.5 2.5 0 0 0 0 5v2H3v-2a2.5 2.5 0 0 0 0-5ZM11 6v8',
  models: 'M10 3l6.5 3.5L10 10 3.5 6.5ZM3.5 10l6.5 3.5 6.5-3.5M3.5 13.5 10 17l6.5-3.5',
  requests: 'M4 5h12M4 10h12M4 15h7',
  playground: 'M4 4h12v9H9l-4 3v-3H4ZM7.5 8.5h5',
  connect: 'M8 12l4-4M9 5.5l1-1a3.9 3.9 0 0 1 5.5 5.5l-1 1M11 14.5l-1 1A3.9 3.9 0 0 1 4.5 10l1-1',
  settings: 'M4 6h7M15 6h1M4 14h1M9 14h7M13 4v4M7 12v4',
  ok: 'M4.5 10.5l3.5 3.5 7.5-8',
  warn: 'M10 3.5 17.5 16h-15ZM10 8.5v3.5M10 14h.01',
  error: 'M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15ZM10 6.5v4.5M10 13.5h.01',
  wait: 'M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15ZM10 6v4.2l2.8 1.8',
  off: 'M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15ZM4.9 4.9l10.2 10.2',
  info: 'M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15ZM10 9.5v4M10 6.5h.01',
  copy: 'M7 7V4h9v9h-3M4 7h9v9H4Z',
  close: 'M5 5l10 10M15 5 5 15',
  menu: 'M3.5 6h13M3.5 10h13M3.5 14h13',
  more: 'M4.5 10h.01M10 10h.01M15.5 10h.01',
  out: 'M8 4H4v12h4M8 10h9M13.5 6.5 17 10l-3.5 3.5',
  up: 'M6 12l4-4 4 4',
  down: 'M6 8l4 4 4-4',
  left: 'M12 5l-5 5 5 5',
  right: 'M8 5l5 5-5 5',
  sun: 'M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM10 2v1.5M10 16.5V18M2 10h1.5M16.5 10H18M4.3 4.3l1.1 1.1M14.6 14.6l1.1 1.1M15.7 4.3l-1.1 1.1M5.4 14.6l-1.1 1.1',
  moon: 'M16.5 12A7 7 0 0 1 8 3.5a7 7 0 1 0 8.5 8.5Z',
  system: 'M3 4h14v9H3ZM7.5 16.5h5M10 13v3.5',
  plus: 'M10 4v12M4 10h12',
  trash: 'M4 6h12M8 6V4h4v2M5.5 6l.7 10h7.6l.7-10',
  refresh: 'M16 10a6 6 0 1 1-1.8-4.3M16 3.5V7h-3.5',
  pause: 'M7 4.5v11M13 4.5v11',
  play: 'M6.5 4.5v11l9-5.5Z',
  edit: 'M4 16h3l9-9-3-3-9 9ZM11.5 5.5l3 3',
  download: 'M10 3v9M6.5 8.5 10 12l3.5-3.5M4 16h12',
  group: 'M3.5 3.5h5v5h-5ZM11.5 11.5h5v5h-5ZM8.5 6H14v5.5M6 8.5V14h5.5',
  grip: 'M7.5 5h.01M12.5 5h.01M7.5 10h.01M12.5 10h.01M7.5 15h.01M12.5 15h.01',
  search: 'M8.5 3.5a5 5 0 1 0 0 10 5 5 0 0 0 0-10ZM12.2 12.2l4.3 4.3',
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" width={size} height={size} aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}

/** Rondo's sign: the ring of the favicon. */
export const Mark = ({ size = 24 }: { size?: number }) => (
  <svg class="mark" viewBox="0 0 32 32" width={size} height={size} aria-hidden="true">
    <circle cx="16" cy="16" r="11" fill="none" stroke-width="5" stroke-dasharray="52 18" stroke-linecap="round" />
  </svg>
);
