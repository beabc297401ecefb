// A streamed chat completion, read as it comes.
import { problemOf, reach } from './api.ts';

export type ChatMessage = { role: 'system' | 'user' | 'assistant'; content: string };
export type Usage = { prompt_tokens: number; completion_tokens: number; total_tokens: number };
export type ChatCall = {
  /** `/v1/chat/completions`, or a path that takes the same body. */
  path: string;
  /** Client token; none where the session's cookie does. */
  token?: string;
  body: { model: string; messages: ChatMessage[]; [name: string]: unknown };
  signal?: AbortSignal;
  /** Each piece of the answer, and of the reasoning where the model sends it. */
  onText: (piece: string, kind: 'answer' | 'reasoning') => void;
  onHeaders?: (headers: Headers) => void;
};
export type ChatEnd = { firstTokenMs: number | null; durationMs: number; usage: Usage | null; finish: string | null };

/** Runs one call. Throws `ApiError`, for an error within the stream too (its status is then 200). */
export async function chat({ path, token, body, signal, onText, onHeaders }: ChatCall): Promise<ChatEnd> {
  const begun = performance.now();
  const response = await reach(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify({ stream: true, stream_options: { include_usage: true }, ...body }),
    signal: signal ?? null,
  });
  if (!response.ok || !response.body) throw await problemOf(response);
  onHeaders?.(response.headers);
  const end: ChatEnd = { firstTokenMs: null, durationMs: 0, usage: null, finish: null };
  const take = async (data: string) => {
    if (data === '[DONE]') return;
    const event = JSON.parse(data);
    if (event.error) throw await problemOf(new Response(JSON.stringify({ message: event.error.message }), { status: 200 }));
    const choice = event.choices?.[0];
    for (const [piece, kind] of [
      [choice?.delta?.reasoning, 'reasoning'],
      [choice?.delta?.content, 'answer'],
    ] as const) {
      if (typeof piece !== 'string' || piece === '') continue;
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
    for (const line of lines) if (line.startsWith('data:')) await take(line.slice(5).trim());
  }
  end.durationMs = performance.now() - begun;
  return end;
}
