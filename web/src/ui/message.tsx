import { memo } from "../memo";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { send, sentence } from "../api";
import { count, rate } from "../format";
import { shares } from "../influence";
import { blocks } from "../markdown";
import { busy, current, goOn, observed, panel, path, regenerate, removeMessage, say, sayAsTool, show, toast } from "../store";
import { siblings } from "../tree";
import type { Attachment, Message, Replay, ToolCall } from "../types";
import { editing, fit } from "./composer";
import { Again, Check, Copy, Grid, Left, Onward, Pencil, Right, Tool, Trash } from "./icons";
import { Print } from "./print";
import { TokenView } from "./tokens";

export async function copy(text: string) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Over plain HTTP from another machine browsers give no clipboard: the old way.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "unseen";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

function CopyButton({ text, label }: { text: string; label: string }) {
  const [done, setDone] = useState(false);
  return (
    <button
      type="button"
      class="icon"
      aria-label={done ? "Copied" : label}
      title={label}
      onClick={async () => {
        await copy(text);
        setDone(true);
        setTimeout(() => setDone(false), 1500);
      }}
    >
      {done ? <Check /> : <Copy />}
    </button>
  );
}

const Block = memo(function Block({ html }: { html: string }) {
  return <div class="block" dir="auto" dangerouslySetInnerHTML={{ __html: html }} />;
});

export const Markdown = memo(function Markdown({ text }: { text: string }) {
  return (
    <div
      class="prose"
      onClick={(event) => {
        const button = (event.target as Element).closest<HTMLElement>("[data-copy=code]");
        const code = button?.closest(".code")?.querySelector("code")?.textContent;
        if (!button || code === undefined || code === null) return;
        void copy(code);
        button.textContent = "Copied";
        setTimeout(() => (button.textContent = "Copy"), 1500);
      }}
    >
      {blocks(text).map((html) => <Block html={html} />)}
    </div>
  );
});

export function Reasoning({ text, open, thinking, ms }: { text: string; open?: boolean; thinking?: boolean; ms?: number | undefined }) {
  return (
    <details class="reasoning" open={open}>
      <summary>{thinking ? "Thinking…" : ms && ms > 999 ? `Thought for ${rate(ms / 1000)} s` : "Thoughts"}</summary>
      <Markdown text={text} />
    </details>
  );
}

function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json; // still being written
  }
}

export function ToolCalls({ calls, answering }: { calls: ToolCall[]; answering?: Message }) {
  const told = new Set(path.value.map((message) => message.details.tool_call_id));
  return (
    <>
      {calls.map((call) => (
        <section class="tool" aria-label={`Call of ${call.function.name}`}>
          <p class="tool-name"><Tool width="16" height="16" /> {call.function.name}</p>
          <pre tabIndex={0}>{pretty(call.function.arguments)}</pre>
          {answering && !told.has(call.id) && (
            <form
              onSubmit={(event) => {
                event.preventDefault();
                void sayAsTool(answering, call.id, String(new FormData(event.currentTarget).get("result")));
              }}
            >
              <label class="field"><span>What it gives back</span><textarea name="result" rows={2} required /></label>
              <button>Send result</button>
            </form>
          )}
        </section>
      ))}
    </>
  );
}

function Branches({ message }: { message: Message }) {
  const all = siblings(current.value.messages, message);
  if (all.length < 2) return null;
  const at = all.findIndex((one) => one.id === message.id);
  return (
    <div class="branches" role="group" aria-label="Branches">
      <button type="button" class="icon" aria-label="Branch before" disabled={at === 0} onClick={() => show(all[at - 1]!)}><Left /></button>
      <span>{at + 1}/{all.length}</span>
      <button type="button" class="icon" aria-label="Next branch" disabled={at === all.length - 1} onClick={() => show(all[at + 1]!)}><Right /></button>
    </div>
  );
}

function Editor({ message, done }: { message: Message; done: () => void }) {
  const [text, setText] = useState(message.content);
  const area = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => fit(area.current), [text]);
  useEffect(() => {
    area.current?.focus();
    area.current?.setSelectionRange(text.length, text.length);
  }, []);
  const submit = () => {
    if (!text.trim() || busy.value) return;
    done();
    void say(text.trim(), message.details.attachments ?? [], message.parent);
  };
  return (
    <form class="editor" onSubmit={(event) => (event.preventDefault(), submit())}>
      <textarea
        ref={area}
        aria-label="Edit the question"
        dir="auto"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.isComposing) return;
          if (event.key === "Enter" && !event.shiftKey) (event.preventDefault(), submit());
          if (event.key === "Escape") (event.preventDefault(), event.stopPropagation(), done());
        }}
      />
      <div class="editor-bar">
        <span>The first version stays, as a branch.</span>
        <button type="button" class="plain" onClick={done}>Cancel</button>
        <button class="primary">Ask</button>
      </div>
    </form>
  );
}

function Attachments({ files }: { files: Attachment[] }) {
  const [open, setOpen] = useState(-1);
  const file = files[open];
  return (
    <>
      <ul class="chips" aria-label="Attached files">
        {files.map((each, at) => (
          <li><button type="button" class="chip" aria-expanded={open === at} onClick={() => setOpen(open === at ? -1 : at)}>{each.name}{each.clearance ? ` (clearance ${each.clearance})` : ""}</button></li>
        ))}
      </ul>
      {file && <pre class="attachment" tabIndex={0}>{file.text}</pre>}
    </>
  );
}

function Question({ message }: { message: Message }) {
  const isEdited = editing.value === message.id;
  const done = () => {
    editing.value = "";
    document.getElementById("prompt")?.focus();
  };
  return (
    <article class="message user" aria-label="Question">
      {isEdited ? (
        <Editor message={message} done={done} />
      ) : (
        <>
          {message.details.attachments && <Attachments files={message.details.attachments} />}
          <p class="question" dir="auto">{message.content}</p>
          <div class="actions">
            <Branches message={message} />
            <button type="button" class="icon" aria-label="Edit" title="Edit" disabled={busy.value} onClick={() => (editing.value = message.id)}><Pencil /></button>
            <CopyButton text={message.content} label="Copy the question" />
            <button type="button" class="icon" aria-label="Delete from here" title="Delete from here" disabled={busy.value} onClick={() => removeMessage(message)}><Trash /></button>
          </div>
        </>
      )}
    </article>
  );
}

function Figures({ message }: { message: Message }) {
  const { usage, timings, finish, stopped, fieldprint } = message.details;
  const parts: string[] = [];
  if (timings?.predicted_per_second) parts.push(`${rate(timings.predicted_per_second)} tokens/s`);
  if (usage) {
    parts.push(`${count(usage.completion_tokens)} written`);
    const cached = usage.prompt_tokens_details?.cached_tokens ?? timings?.cache_n ?? 0;
    parts.push(`${count(usage.prompt_tokens)} read${cached ? `, ${count(cached)} of them from the cache` : ""}`);
  }
  if (stopped) parts.push("stopped");
  const why = { loop: "ended, since it repeated itself", context: "cut off: the context is full", length: "cut off at the limit" };
  if (finish === "length") parts.push(why[(fieldprint?.finish_reason ?? "length") as keyof typeof why] ?? why.length);
  return (
    <p class="figures">
      {parts.join(" · ")}
      {fieldprint?.logits_hash && <ReplayButton message={message} />}
    </p>
  );
}

function ReplayButton({ message }: { message: Message }) {
  const [state, setState] = useState<"" | "running" | Replay>("");
  const hash = message.details.fieldprint!.logits_hash!;
  const run = async () => {
    setState("running");
    try {
      setState(await send<Replay>("POST", "/api/replay", { exchange: message.details.fieldprint!.exchange }));
    } catch (error) {
      toast(sentence(error));
      setState("");
    }
  };
  const result = typeof state === "object" ? state : undefined;
  return (
    <span class="replay">
      {" · "}<code title="Hash of all logits that the answer was chosen from">{hash.slice(0, 12)}</code>{" "}
      {message.details.fieldprint!.exchange !== undefined && (
        <button type="button" class="link" disabled={state === "running"} onClick={run}>
          {state === "running" ? "replaying…" : "replay and compare"}
        </button>
      )}
      {result && (
        <span class={result.same ? "same" : "differs"} role="status">
          {result.same ? " ✓ the same, bit for bit" : ` ✗ differs: got ${String(result.got["logits_hash"] ?? "").slice(0, 12)}`}
        </span>
      )}
    </span>
  );
}

type View = "text" | "sources" | "probabilities";

function AnswerView({ message, last }: { message: Message; last: boolean }) {
  const [view, setView] = useState<View>("text");
  const { details } = message;
  const { tokens } = details;
  const data = useMemo(() => (tokens ? shares(tokens, details.fieldprint?.sources ?? []) : undefined), [tokens]);
  const hasProbabilities = (tokens?.logprob.length ?? 0) > 0;
  const views: [View, string][] = [["text", "Text"]];
  if (data) views.push(["sources", "Sources"]);
  if (hasProbabilities) views.push(["probabilities", "Probabilities"]);
  return (
    <article class="message assistant" aria-label="Answer">
      {details.reasoning && <Reasoning text={details.reasoning} ms={details.reasoning_ms} />}
      {view === "text" || !tokens
        ? <Markdown text={message.content} />
        : <TokenView tokens={tokens} data={view === "sources" ? data : undefined} />}
      {details.tool_calls && <ToolCalls calls={details.tool_calls} {...(last ? { answering: message } : {})} />}
      {details.error && <p class="broken" role="alert">{details.error}</p>}
      {tokens && (data || hasProbabilities) && (
        <Print tokens={tokens} data={data} pressed={view === "sources"} onClick={() => setView(view === "sources" ? "text" : data ? "sources" : "probabilities")} />
      )}
      <Figures message={message} />
      <div class="actions">
        <Branches message={message} />
        <CopyButton text={message.content} label="Copy the answer" />
        {last && (details.stopped || (details.finish === "length" && details.fieldprint?.finish_reason !== "context")) && !details.tool_calls && (
          <button type="button" class="icon" aria-label="Go on" title="Go on from here" disabled={busy.value} onClick={() => goOn(message)}><Onward /></button>
        )}
        <button type="button" class="icon" aria-label="Answer again" title="Answer again" disabled={busy.value} onClick={() => regenerate(message)}><Again /></button>
        <button
          type="button"
          class="icon"
          aria-label="Attention maps"
          title="Attention maps"
          onClick={() => {
            const all = path.value;
            observed.value = all.slice(0, all.findIndex((one) => one.id === message.id) + 1);
            panel.value = "attention";
          }}
        >
          <Grid />
        </button>
        {views.length > 1 && (
          <div class="views" role="radiogroup" aria-label="Show the answer as">
            {views.map(([name, label]) => (
              <label class={view === name ? "on" : ""}>
                <input type="radio" class="unseen" name={`view-${message.id}`} checked={view === name} onChange={() => setView(name)} />
                {label}
              </label>
            ))}
          </div>
        )}
      </div>
    </article>
  );
}

// An answer that grows next to it is no reason to make it anew.
export const MessageView = memo(function MessageView({ message, last }: { message: Message; last: boolean }) {
  if (message.role === "user") return <Question message={message} />;
  if (message.role === "assistant") return <AnswerView message={message} last={last} />;
  return (
    <article class="message tool-result" aria-label="Tool result">
      <p class="tool-name">{message.role === "tool" ? "Result" : "System"}</p>
      <pre tabIndex={0}>{message.content}</pre>
    </article>
  );
});
