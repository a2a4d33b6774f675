// What a branch of a conversation and its settings become: a request to the chat API.
import type { Message, Settings } from "./types";
import { samplingFields } from "./sampling";

type Wire = Record<string, unknown>;

/** Each attachment is a message of its own, so that it has a source, and a colour where influence is shown. Templates that
 *  take users and assistants in turns alone refuse that: `merged` puts it before the question that it belongs to. */
export function wireMessages(path: Message[], settings: Settings, merged = false): Wire[] {
  const out: Wire[] = [];
  if (settings.system?.trim()) out.push({ role: "system", content: settings.system });
  for (const { role, content, details } of path) {
    const files = details.attachments ?? [];
    if (!merged) {
      for (const { name, text, clearance } of files) {
        out.push({ role: "user", content: text, source: name, ...(clearance ? { clearance } : {}) });
      }
    }
    const message: Wire = { role, content: merged ? [...files.map(({ name, text }) => `${name}:\n\n${text}\n`), content].join("\n") : content };
    if (role === "assistant") {
      if (details.reasoning) message["reasoning_content"] = details.reasoning;
      if (details.tool_calls?.length) message["tool_calls"] = details.tool_calls;
    }
    if (role === "tool" && details.tool_call_id) message["tool_call_id"] = details.tool_call_id;
    out.push(message);
  }
  return out;
}

export function chatRequest(path: Message[], settings: Settings, merged = false): Wire {
  const request: Wire = {
    messages: wireMessages(path, settings, merged),
    stream: true,
    stream_options: { include_usage: true },
    return_progress: true,
    exchange: true,
    ...samplingFields(settings.sampling),
  };
  if (settings.record_influence !== false) request["influence"] = true;
  // Influence comes in step with the tokens of log-probabilities: it needs them to be told apart.
  if (settings.record_probabilities !== false || settings.record_influence !== false) {
    request["logprobs"] = true;
    request["top_logprobs"] = settings.record_probabilities !== false ? 5 : 0;
  }
  if (settings.thinking !== undefined) request["chat_template_kwargs"] = { enable_thinking: settings.thinking };
  if (settings.clearance !== undefined) request["clearance"] = settings.clearance;
  if (settings.tools?.trim()) request["tools"] = JSON.parse(settings.tools);
  return request;
}

/** What is wrong with a list of tools as typed; nothing where it will do. */
export function toolsFault(text: string): string | undefined {
  if (!text.trim()) return undefined;
  try {
    const tools = JSON.parse(text);
    if (!Array.isArray(tools)) return "This must be a list: [ … ].";
    if (tools.some((tool) => tool?.type !== "function" || typeof tool?.function?.name !== "string")) {
      return 'Each tool is {"type": "function", "function": {"name": …, "parameters": …}}.';
    }
  } catch (error) {
    return `This is no JSON: ${(error as Error).message}`;
  }
  return undefined;
}
