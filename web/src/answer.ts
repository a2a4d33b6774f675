// An answer as it grows, chunk by chunk (the OpenAI API's, with what Fieldprint adds).
import type { Details, Fingerprint, Message, Source, Timings, ToolCall, Usage } from "./types";

export interface Progress {
  total: number;
  cache: number;
  processed: number;
  time_ms: number;
}

interface LogprobEntry {
  token: string;
  bytes?: number[] | null;
  logprob: number;
  top_logprobs?: { token: string; logprob: number }[];
}

export interface Chunk {
  model?: string;
  choices?: {
    delta?: {
      content?: string | null;
      reasoning_content?: string | null;
      tool_calls?: { index?: number; id?: string; function?: { name?: string; arguments?: string } }[];
    };
    logprobs?: { content?: LogprobEntry[] | null } | null;
    influence?: number[][] | null;
    finish_reason?: string | null;
  }[];
  usage?: Usage | null;
  timings?: Timings;
  prompt_progress?: Progress;
  fieldprint?: Fingerprint & { sources?: Source[] };
  error?: { message?: string };
}

const round = (value: number, digits: number) => {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
};

export class Answer {
  content = "";
  details: Details = {};
  progress: Progress | undefined;
  begun = 0; // ms, of the first token
  private readonly decoder = new TextDecoder(); // a letter may take several tokens: the last of them shows it

  /** Of one that is to be gone on with: its tokens' figures stay with it, since their context was another. */
  begin({ content, details }: Message) {
    this.content = content;
    if (details.reasoning) this.details.reasoning = details.reasoning;
  }

  add(chunk: Chunk, now: number) {
    const { details } = this;
    if (chunk.error) throw new Error(chunk.error.message ?? "the server broke the answer off");
    if (chunk.model) details.model = chunk.model;
    if (chunk.prompt_progress) this.progress = chunk.prompt_progress;
    if (chunk.usage) details.usage = chunk.usage;
    if (chunk.timings) details.timings = chunk.timings;
    if (chunk.fieldprint) details.fieldprint = { ...details.fieldprint, ...chunk.fieldprint };
    const choice = chunk.choices?.[0];
    if (!choice) return;
    const delta = choice.delta ?? {};
    if (delta.content || delta.reasoning_content || delta.tool_calls) {
      this.progress = undefined;
      this.begun ||= now;
    }
    if (delta.reasoning_content) {
      details.reasoning = (details.reasoning ?? "") + delta.reasoning_content;
      details.reasoning_ms = Math.round(now - this.begun);
    }
    if (delta.content) this.content += delta.content;
    for (const call of delta.tool_calls ?? []) {
      const calls: ToolCall[] = (details.tool_calls ??= []);
      const index = call.index ?? calls.length;
      const known = (calls[index] ??= { id: "", type: "function", function: { name: "", arguments: "" } });
      if (call.id) known.id = call.id;
      known.function.name += call.function?.name ?? "";
      known.function.arguments += call.function?.arguments ?? "";
    }
    for (const entry of choice.logprobs?.content ?? []) {
      const tokens = (details.tokens ??= { text: [], logprob: [], top: [], influence: [] });
      tokens.text.push(entry.bytes ? this.decoder.decode(Uint8Array.from(entry.bytes), { stream: true }) : entry.token);
      tokens.logprob.push(round(entry.logprob ?? -100, 4));
      tokens.top.push((entry.top_logprobs ?? []).map((top) => [top.token, round(top.logprob ?? -100, 3)]));
    }
    for (const shares of choice.influence ?? []) {
      const tokens = (details.tokens ??= { text: [], logprob: [], top: [], influence: [] });
      tokens.influence.push(shares.map((share) => round(share, 4)));
    }
    if (choice.finish_reason) details.finish = choice.finish_reason;
  }
}

/** Seconds until the prompt is read, or nothing while nobody can tell. */
export function timeLeft(progress: Progress): number | undefined {
  const done = progress.processed - progress.cache;
  if (done <= 0 || progress.time_ms <= 0) return undefined;
  return ((progress.total - progress.processed) * progress.time_ms) / done / 1000;
}
