// Answers of `GET /api/requests`, `/api/events` and `/api/decisions`.

export type Attempt = {
  key: string;
  masked: string | null;
  model: string;
  /** `ok`, `cut`, `unused`, or the fault. */
  end: string;
  status: number | null;
  duration_ms: number;
  first_event_ms: number | null;
  grant: string | null;
};
/** One client request, told without its content. */
export type Story = {
  seq: number;
  /** `x-request-id`; a client may use one twice. */
  id: string;
  at: string;
  token: { id: string; name: string | null } | null;
  playground?: boolean;
  asked: string | null;
  model: string | null;
  status: number;
  error: boolean;
  cut: boolean;
  stream: boolean;
  usage: { prompt_tokens: number; completion_tokens: number; cached_tokens: number; estimated: boolean } | null;
  wait_ms: number;
  duration_ms: number;
  first_event_ms: number | null;
  attempts: Attempt[];
  dialect: 'chat' | 'completions' | 'responses' | 'messages' | 'gemini';
  /** What the upstream did not get as the client sent it. */
  notes: { path: string; what: 'dropped' | 'translated' }[];
};
export type Stories = { items: Story[]; seq: number; kept: number };
export type Pulse = { at: string; waiting: number; under_way: number };

export type Decision = {
  at: string;
  attempt: number;
  outcome: { kind: string; grant?: string; masked?: string | null; model?: string; delay_ms?: number; reserved?: number; more?: number };
  ahead: number;
  candidates: number;
  passed_over: number;
  skipped: { key: string; masked: string | null; why: string; until: string | null }[];
};
