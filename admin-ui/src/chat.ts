// One chat completion, read as it comes.
import { ApiError, problemOf, reach } from './api.ts';

export type ChatMessage = { role: 'system' | 'user' | 'assistant'; content: string };
export type Usage = { prompt_tokens: number; completion_tokens: number; total_tokens: number };
export type ChatCall = {
  /** `/v1/chat/completions`, or a path that takes the same body. */
  path: string;
  /** Client token; none where the session's cookie does. */
  token?: string;
  /** Streamed unless `stream` is false. */
  body: { model: string; messages: ChatMessage[]; stream?: boolean; [name: string]: unknown };
  signal?: AbortSignal;
  /** Each piece of the answer, and of the reasoning where the model sends it. */
  onText: (piece: string, kind: 'answer' | 'reasoning') => void;
  /** The answer's headers, those of an error too. */
  onHeaders?: (headers: Headers) => void;
};
export type ChatEnd = {
  /** Null when nothing was said, and for an answer that came whole. */
  firstTokenMs: number | null;
  durationMs: number;
  usage: Usage | null;
  finish: string | null;
};

type Said = { content?: unknown; reasoning?: unknown };
const pieces = (said: Said | undefined) =>
  ([[said?.reasoning, 'reasoning'], [said?.content, 'answer']] as const).filter((pair): pair is [string, 'answer' | 'reasoning'] => typeof pair[0] === 'string' && pair[0] !== '');

/** Runs one call. Throws `ApiError`, for an error within the stream too (its status is then 200). */
export async function chat({ path, token, body, signal, onText, onHeaders }: ChatCall): Promise<ChatEnd> {
  const begun = performance.now();
  const streamed = body.stream !== false;
  const response = await reach(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify({ ...(streamed ? { stream: true, stream_options: { include_usage: true } } : {}), ...body }),
    signal: signal ?? null,
  });
  onHeaders?.(response.headers);
  if (!response.ok || !response.body) throw await problemOf(response);
  const end: ChatEnd = { firstTokenMs: null, durationMs: 0, usage: null, finish: null };
  if (!streamed) {
    const whole = await response.json();
    const choice = whole.choices?.[0];
    for (const [piece, kind] of pieces(choice?.message)) onText(piece, kind);
    return { ...end, durationMs: performance.now() - begun, usage: whole.usage ?? null, finish: choice?.finish_reason ?? null };
  }
  const take = (data: string) => {
    if (data === '[DONE]') return;
    const event = JSON.parse(data);
    if (event.error) throw new ApiError(200, 'broken', typeof event.error.message === 'string' ? event.error.message : '');
    const choice = event.choices?.[0];
    for (const [piece, kind] of pieces(choice?.delta)) {
      end.firstTokenMs ??= performance.now() - begun;
      onText(piece, kind);
    }
    end.finish = choice?.finish_reason ?? end.finish;
    end.usage = event.usage ?? end.usage;
  };
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let kept = ''; ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (kept + value).split(/\r?\n/);
    kept = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('data:')) take(line.slice(5).trim());
  }
  end.durationMs = performance.now() - begun;
  return end;
}
