// The page's state and all that changes it. What is kept lies on the server; this is the part of it that is looked at.
import { batch, computed, signal } from "@preact/signals";
import { Answer, type Chunk } from "./answer";
import { call, connected, Failure, get, keyWanted, send as sendJson, sentence } from "./api";
import { events } from "./events";
import { titleOf } from "./format";
import { chatRequest } from "./request";
import { below, branch, latestLeaf, siblings } from "./tree";
import type { Attachment, Conversation, Details, Entry, Message, Props, Role, Settings } from "./types";

export const props = signal<Props>({});
export const entries = signal<Entry[]>([]);
export const nextPage = signal<string | null>(null);
export const query = signal("");
export const current = signal<Conversation>(draft());
export const panel = signal<"" | "settings" | "status" | "attention">("");
export const drawer = signal(false); // the list of conversations, on narrow screens
export const announcement = signal(""); // for screen readers
export const observed = signal<Message[]>([]); // the branch whose attention is looked at

/** An answer that is being written. */
export interface Stream {
  conversation: string;
  parent: string | null;
  answer: Answer;
  stop: AbortController;
  waiting: string; // why nothing comes yet
  begun: number;
  left: boolean; // the page is being left: what has come is kept already
}
export const streams = signal<Stream[]>([]);
export const tick = signal(0); // grows as streams do

export interface Problem {
  conversation: string;
  parent: string | null;
  message: string;
  code: string;
  status: number;
}
export const problem = signal<Problem | undefined>();

export interface Toast {
  id: number;
  text: string;
  action?: { label: string; run: () => void };
}
export const toasts = signal<Toast[]>([]);

export const path = computed(() => branch(current.value.messages, current.value.leaf));
export const stream = computed(() =>
  streams.value.find((one) => one.conversation === current.value.id && one.parent === current.value.leaf),
);
/** How much of the context the branch takes, from 0 to 1, as far as the last answer tells. */
export const fullness = computed(() => {
  const usage = path.value.findLast((message) => message.details.usage)?.details.usage;
  const context = Number(props.value["context"] ?? props.value.model?.context ?? 0);
  return usage && context ? usage.total_tokens / context : 0;
});
export const busy = computed(() => streams.value.some((one) => one.conversation === current.value.id));

const kDefaults = "fieldprint-settings";

function draft(): Conversation {
  let settings: Settings = {};
  try {
    settings = JSON.parse(localStorage.getItem(kDefaults) ?? "{}");
  } catch {
    // somebody else's
  }
  return { id: "", title: "", created: 0, updated: 0, settings, leaf: null, messages: [] };
}

export function rememberSettings() {
  localStorage.setItem(kDefaults, JSON.stringify(current.value.settings));
  toast("New conversations begin with these settings.");
}

// ---- telling

let toastId = 0;
export function toast(text: string, action?: Toast["action"], ms = 7000) {
  const id = ++toastId;
  toasts.value = [...toasts.value.slice(-2), { id, text, ...(action ? { action } : {}) }];
  setTimeout(() => dismiss(id), ms);
}
export function dismiss(id: number) {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}
function complain(error: unknown) {
  if (error instanceof Failure && error.status === 401) return; // a dialog asks for the key
  toast(sentence(error));
}

// ---- conversations

function update(id: string, change: (conversation: Conversation) => Conversation) {
  if (current.value.id === id) current.value = change(current.value);
}

function entryFor(conversation: Conversation): Entry {
  const { id, title, created, updated, messages } = conversation;
  return { id, title, created, updated, messages: messages.length };
}

let listing = 0;
export async function list(more = false) {
  const turn = ++listing;
  try {
    const search = new URLSearchParams({ limit: "60" });
    if (query.value.trim()) search.set("query", query.value.trim());
    if (more && nextPage.value) search.set("before", nextPage.value);
    const found = await get<{ conversations: Entry[]; next: string | null }>(`/api/conversations?${search}`);
    if (turn !== listing) return; // a later search is under way
    batch(() => {
      entries.value = more ? [...entries.value, ...found.conversations] : found.conversations;
      nextPage.value = found.next;
    });
  } catch (error) {
    if (!(error instanceof Failure && error.status === 0)) complain(error);
  }
}

const hash = () => decodeURIComponent(location.hash.slice(1));

export function startNew() {
  batch(() => {
    current.value = draft();
    problem.value = undefined;
    drawer.value = false;
    if (panel.value === "attention") panel.value = "";
  });
  history.pushState(null, "", location.pathname);
}

export async function open(id: string, push = true) {
  drawer.value = false;
  if (id === current.value.id) return;
  try {
    const conversation = await get<Conversation>(`/api/conversations/${encodeURIComponent(id)}`);
    batch(() => {
      current.value = conversation;
      problem.value = undefined;
      if (panel.value === "attention") panel.value = "";
    });
    if (push) history.pushState(null, "", `#${encodeURIComponent(id)}`);
  } catch (error) {
    if (error instanceof Failure && error.status === 404) {
      toast("This conversation is not here any more.");
      startNew();
    } else complain(error);
  }
}

export async function rename(id: string, title: string) {
  title = title.trim().slice(0, 200);
  if (!title) return;
  entries.value = entries.value.map((entry) => (entry.id === id ? { ...entry, title } : entry));
  update(id, (conversation) => ({ ...conversation, title }));
  if (id) await sendJson("PATCH", `/api/conversations/${id}`, { title }).catch(complain);
}

/** Deletes at once; undoing is importing what was there. */
export async function remove(id: string) {
  try {
    streams.value.filter((one) => one.conversation === id).forEach((one) => one.stop.abort());
    const kept = await get<{ conversations: Conversation[] }>(`/api/export?conversation=${encodeURIComponent(id)}`);
    await sendJson("DELETE", `/api/conversations/${id}`);
    const title = kept.conversations[0]?.title || "Untitled";
    if (current.value.id === id) startNew();
    await list();
    toast(`“${titleOf(title)}” is deleted.`, {
      label: "Undo",
      run: async () => {
        try {
          const back = await sendJson<{ conversations: { id: string }[] }>("POST", "/api/import", kept);
          await list();
          if (back.conversations[0]) await open(back.conversations[0].id);
        } catch (error) {
          complain(error);
        }
      },
    }, 10_000);
  } catch (error) {
    complain(error);
  }
}

export async function exportFile(id = "") {
  try {
    const text = await (await call(`/api/export${id ? `?conversation=${encodeURIComponent(id)}` : ""}`)).text();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const title = id ? entries.value.find((entry) => entry.id === id)?.title : "conversations";
    link.download = `fieldprint-${(title || "conversation").replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 50)}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } catch (error) {
    complain(error);
  }
}

export async function importFile(file: File) {
  try {
    let json: unknown;
    try {
      json = JSON.parse(await file.text());
    } catch {
      throw new Failure(400, `“${file.name}” is no JSON: only exported files can be imported`);
    }
    const done = await sendJson<{ conversations: { id: string }[] }>("POST", "/api/import", json);
    query.value = "";
    await list();
    const n = done.conversations.length;
    toast(n === 1 ? "One conversation is imported." : `${n} conversations are imported.`);
    if (n === 1) await open(done.conversations[0]!.id);
  } catch (error) {
    complain(error);
  }
}

let saving: ReturnType<typeof setTimeout> | undefined;
export function changeSettings(settings: Settings) {
  const { id } = current.value;
  current.value = { ...current.value, settings };
  if (!id) return;
  clearTimeout(saving);
  saving = setTimeout(() => sendJson("PATCH", `/api/conversations/${id}`, { settings }).catch(complain), 400);
}

// ---- messages

async function addMessage(conversation: string, parent: string | null, role: Role, content: string, details: Details) {
  const message = await sendJson<Message>("POST", `/api/conversations/${conversation}/messages`, { parent, role, content, details });
  batch(() => {
    update(conversation, (one) => ({
      ...one,
      messages: [...one.messages, message],
      // Whoever has gone to another branch meanwhile stays there.
      leaf: one.leaf === parent ? message.id : one.leaf,
    }));
    const entry = entries.value.find((one) => one.id === conversation);
    if (entry && !query.value) {
      const fresh = { ...entry, updated: message.created, messages: entry.messages + 1 };
      entries.value = [fresh, ...entries.value.filter((one) => one !== entry)];
    }
  });
  return message;
}

/** Sends what was typed below `parent` and has it answered. False where it could not even be kept. */
export async function say(text: string, attachments: Attachment[], parent: string | null = current.value.leaf): Promise<boolean> {
  try {
    problem.value = undefined;
    if (!current.value.id) {
      const made = await sendJson<Conversation>("POST", "/api/conversations", {
        title: titleOf(text || attachments[0]?.name || ""),
        settings: current.value.settings,
      });
      batch(() => {
        current.value = made;
        entries.value = [entryFor(made), ...entries.value];
      });
      history.pushState(null, "", `#${made.id}`);
    }
    const { id } = current.value;
    current.value = { ...current.value, leaf: parent };
    const message = await addMessage(id, parent, "user", text, attachments.length ? { attachments } : {});
    void answer(id, message.id);
    return true;
  } catch (error) {
    complain(error);
    return false;
  }
}

export async function sayAsTool(call: Message, id: string, content: string) {
  try {
    const { id: conversation } = current.value;
    const message = await addMessage(conversation, current.value.leaf, "tool", content, { tool_call_id: id });
    // Only when all calls have their results is it the model's turn.
    const told = new Set(branch(current.value.messages, message.id).map((one) => one.details.tool_call_id));
    if ((call.details.tool_calls ?? []).every((one) => told.has(one.id))) void answer(conversation, message.id);
  } catch (error) {
    complain(error);
  }
}

export function regenerate(message: Message) {
  current.value = { ...current.value, leaf: message.parent };
  void answer(current.value.id, message.parent);
}

/** Has an answer that was cut off written on; the whole is another branch. */
export function goOn(message: Message) {
  current.value = { ...current.value, leaf: message.parent };
  void answer(current.value.id, message.parent, message);
}

export function show(message: Message) {
  const { id, messages } = current.value;
  const leaf = latestLeaf(messages, message.id);
  current.value = { ...current.value, leaf };
  problem.value = undefined;
  sendJson("PATCH", `/api/conversations/${id}`, { leaf }).catch(complain);
}

export async function removeMessage(message: Message) {
  const { id, messages } = current.value;
  try {
    await sendJson("DELETE", `/api/conversations/${id}/messages/${message.id}`);
    const gone = below(messages, message.id);
    const left = messages.filter((one) => !gone.includes(one));
    const other = siblings(left, message).at(-1);
    update(id, (one) => ({ ...one, messages: left, leaf: other ? latestLeaf(left, other.id) : message.parent }));
    toast(gone.length === 1 ? "One message is deleted." : `${gone.length} messages are deleted.`, {
      label: "Undo",
      run: async () => {
        try {
          const ids = new Map<string | null, string | null>(); // as they were and as they are now
          for (const one of gone) {
            const parent = ids.get(one.parent) ?? one.parent;
            ids.set(one.id, (await addMessage(id, parent, one.role, one.content, one.details)).id);
          }
          update(id, (each) => ({ ...each, leaf: latestLeaf(each.messages, ids.get(message.id)!) }));
        } catch (error) {
          complain(error);
        }
      },
    }, 10_000);
  } catch (error) {
    complain(error);
  }
}

export function stopAll() {
  streams.value.filter((one) => one.conversation === current.value.id).forEach((one) => one.stop.abort());
}

const sleep = (ms: number, signal: AbortSignal) =>
  new Promise<void>((done, fail) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), fail(signal.reason)), { once: true });
  });

let frame = 0;
function touch() {
  if (frame) return;
  frame = 1;
  setTimeout(() => ((frame = 0), ++tick.value), 60); // 16 times a second is as fast as anybody reads
}

async function request(one: Stream, messages: Message[], settings: Settings) {
  let merged = false;
  for (let tries = 0; ; ++tries) {
    try {
      return await call("/v1/chat/completions", { method: "POST", json: chatRequest(messages, settings, merged), signal: one.stop.signal });
    } catch (error) {
      // A file with a clearance must not become part of a question that has none.
      const files = messages.flatMap((message) => message.details.attachments ?? []);
      if (error instanceof Failure && error.status === 400 && !error.code && !merged && files.length && !files.some((file) => file.clearance)) {
        merged = true;
        continue;
      }
      if (!(error instanceof Failure) || error.status !== 503 || tries >= 8) throw error;
      const wait = Math.max(1, Math.min(30, error.retryAfter || 2));
      one.waiting = "The server is busy. Waiting for a place in its queue…";
      touch();
      await sleep(wait * 1000, one.stop.signal);
    }
  }
}

/** Lets the model answer below `parent`, where `begun` is there by going on from it; what has come is kept, also where it
 *  was stopped. */
export async function answer(conversation: string, parent: string | null, begun?: Message) {
  const { messages, settings } = current.value.id === conversation
    ? current.value
    : await get<Conversation>(`/api/conversations/${conversation}`); // somebody clicked on another one meanwhile
  const one: Stream = { conversation, parent, answer: new Answer(), stop: new AbortController(), waiting: "", begun: performance.now(), left: false };
  batch(() => {
    streams.value = [...streams.value, one];
    problem.value = undefined;
  });
  const got = one.answer;
  if (begun) got.begin(begun);
  let failed: unknown;
  try {
    const response = await request(one, branch(messages, begun?.id ?? parent), settings);
    one.waiting = "";
    for await (const event of events(response.body!)) {
      if (event === "[DONE]") break;
      got.add(JSON.parse(event) as Chunk, performance.now());
      touch();
    }
    if (!got.details.finish) throw new Failure(0, "the connection broke off before the answer's end");
  } catch (error) {
    if (one.stop.signal.aborted) got.details.stopped = true;
    else failed = error;
  }
  // A browser that leaves the page breaks the connection first and says so then.
  if (failed) await new Promise((done) => setTimeout(done, 300));
  if (one.left) return;
  if (failed && (got.content || got.details.reasoning)) got.details.error = sentence(failed);
  // Calls whose indices came with gaps would leave holes.
  if (got.details.tool_calls) got.details.tool_calls = got.details.tool_calls.filter(Boolean);
  try {
    if (got.content || got.details.reasoning || got.details.tool_calls || !failed) {
      if (got.details.finish || !got.details.stopped || got.content || got.details.reasoning) await keep(one);
    }
  } finally {
    batch(() => {
      streams.value = streams.value.filter((other) => other !== one);
      if (failed && !got.content && !got.details.reasoning) {
        const known = failed instanceof Failure ? failed : new Failure(-1, String((failed as Error)?.message ?? failed));
        problem.value = { conversation, parent, message: sentence(known), code: known.code, status: known.status };
      }
      const n = got.details.usage?.completion_tokens ?? got.details.tokens?.text.length;
      announcement.value = failed ? "The answer failed." : got.details.stopped ? "Stopped." : `Answer complete${n ? `, ${n} tokens` : ""}.`;
    });
  }
}

async function keep(one: Stream) {
  const { conversation, parent, answer: got } = one;
  try {
    await addMessage(conversation, parent, "assistant", got.content, got.details);
  } catch (error) {
    // It stays on the page; nobody should have to ask again because saving failed.
    const local: Message = { id: `local-${Date.now()}`, parent, role: "assistant", content: got.content, created: Date.now(), details: got.details };
    update(conversation, (each) => ({ ...each, messages: [...each.messages, local], leaf: each.leaf === parent ? local.id : each.leaf }));
    toast(`This answer is not saved: ${sentence(error)}`, {
      label: "Try again",
      run: () => {
        update(conversation, (each) => ({ ...each, messages: each.messages.filter((m) => m !== local), leaf: each.leaf === local.id ? parent : each.leaf }));
        void keep(one);
      },
    }, 60_000);
  }
}

// Whoever leaves in the middle of an answer finds its beginning when they come back.
addEventListener("pagehide", () => {
  for (const one of streams.value) {
    const { conversation, parent, answer: got } = one;
    if (!got.content) continue;
    one.left = true;
    void call(`/api/conversations/${conversation}/messages`, {
      method: "POST",
      keepalive: true, // such a body may have 64 kB
      json: { parent, role: "assistant", content: got.content.slice(0, 15_000), details: { stopped: true } },
    }).catch(() => {});
  }
});

// ---- the server

export async function begin() {
  try {
    props.value = await get<Props>("/props");
    await list();
    const id = hash();
    if (id) await open(id, false);
  } catch (error) {
    if (error instanceof Failure && error.status === 0) waitForServer();
    else complain(error);
  }
}

let waiting = false;
export function waitForServer() {
  if (waiting) return;
  waiting = true;
  const timer = setInterval(async () => {
    try {
      await get("/props");
    } catch (error) {
      if (error instanceof Failure && error.status === 0) return;
    }
    clearInterval(timer);
    waiting = false;
    if (!keyWanted.value) void begin();
  }, 2000);
}
connected.subscribe((there) => {
  if (!there) waitForServer();
});

// Somebody may have written in another window meanwhile.
addEventListener("focus", () => {
  if (connected.value && !keyWanted.value && !nextPage.value) void list();
});

addEventListener("popstate", () => {
  const id = hash();
  if (id) void open(id, false);
  else if (current.value.id) current.value = draft();
});
