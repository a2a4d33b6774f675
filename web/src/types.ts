// What goes over the wire and what is kept of it.

export type Role = "user" | "assistant" | "system" | "tool";

export interface Attachment {
  name: string;
  text: string;
  clearance?: number;
}

export interface ToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

/** A column of influence: a part of the context. */
export interface Source {
  kind: string; // "system", "user", "retrieved", "generated", "anchor", "tool", "text"
  source: string;
  clearance: number;
  tokens: number;
}

/** The tokens of an answer, field by field: far smaller as JSON than a list of objects. */
export interface Tokens {
  text: string[];
  logprob: number[];
  top: [string, number][][]; // the likeliest, by falling probability
  influence: number[][]; // [token][source]; empty where it was not asked for
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number };
}

export interface Timings {
  cache_n?: number;
  prompt_n?: number;
  prompt_ms?: number;
  prompt_per_second?: number;
  predicted_n?: number;
  predicted_ms?: number;
  predicted_per_second?: number;
}

export interface Fingerprint {
  model_hash?: string;
  logits_hash?: string;
  prompt_hash?: string;
  seed?: number;
  finish_reason?: string; // why it ended, told finer than the API has it
  exchange?: unknown; // everything that replaying it takes
  sources?: Source[];
}

/** What a message holds besides its text; the server keeps it as it comes. */
export interface Details {
  reasoning?: string;
  reasoning_ms?: number;
  tool_calls?: ToolCall[];
  tool_call_id?: string;
  attachments?: Attachment[];
  tokens?: Tokens;
  usage?: Usage;
  timings?: Timings;
  fieldprint?: Fingerprint;
  finish?: string;
  stopped?: boolean;
  error?: string;
  model?: string;
}

export interface Message {
  id: string;
  parent: string | null;
  role: Role;
  content: string;
  created: number;
  details: Details;
}

export interface Settings {
  system?: string;
  tools?: string;
  thinking?: boolean;
  record_influence?: boolean;
  record_probabilities?: boolean;
  clearance?: number;
  sampling?: Record<string, number | string>;
}

export interface Conversation {
  id: string;
  title: string;
  created: number;
  updated: number;
  settings: Settings;
  leaf: string | null;
  messages: Message[];
}

export interface Entry {
  id: string;
  title: string;
  created: number;
  updated: number;
  messages: number;
  snippet?: string;
}

export interface Props {
  model?: {
    name?: string;
    path?: string;
    architecture?: string;
    parameters?: number;
    context?: number;
    size?: number;
    hash?: string;
    encoder?: boolean; // makes vectors, and no text
  };
  default_generation_settings?: Record<string, unknown>;
  slots?: number;
  features?: Record<string, unknown> | string[];
  [name: string]: unknown;
}

export interface Slot {
  id: number | string;
  prompt_tokens?: number;
  processed?: number;
  generated?: number;
  seconds?: number;
}

export interface Observation {
  layers: number;
  heads: number;
  tokens: string[];
  attention: number[][][]; // [head][token][tokens up to it]
  cut?: boolean; // only the last tokens are shown
  experts?: { expert: number; weight: number }[][]; // [token], in order of choice
}

export interface Replay {
  same: boolean;
  expected: Record<string, unknown>;
  got: Record<string, unknown>;
}
