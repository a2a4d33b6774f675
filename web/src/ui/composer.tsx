import { signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { bytes, percent } from "../format";
import { busy, current, fullness, path, say, stopAll, toast } from "../store";
import type { Attachment } from "../types";
import { Clip, Close, File as FileIcon, Send, Stop } from "./icons";

const kMost = 2_000_000; // bytes of a file

const attached = signal<Attachment[]>([]);
const text = signal("");
/** The message that Up in an empty field asks to edit. */
export const editing = signal<string>("");

export async function readFiles(files: File[]): Promise<Attachment[]> {
  const out: Attachment[] = [];
  for (const file of files) {
    if (file.size > kMost) {
      toast(`“${file.name}” has ${bytes(file.size)}; at most ${bytes(kMost)} can be attached.`);
      continue;
    }
    try {
      const content = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
      if (content.includes("\0")) throw new Error("binary");
      if (!content.trim()) toast(`“${file.name}” is empty.`);
      else out.push({ name: file.name, text: content });
    } catch {
      toast(`“${file.name}” is no text: only text files can be attached.`);
    }
  }
  return out;
}

export async function dropFiles(files: File[]) {
  attached.value = [...attached.value, ...(await readFiles(files))];
  document.getElementById("prompt")?.focus();
}

export function Chips({ files, change }: { files: Attachment[]; change: (files: Attachment[]) => void }) {
  if (!files.length) return null;
  return (
    <ul class="chips" aria-label="Attached files">
      {files.map((file, at) => (
        <li class="chip">
          <FileIcon width="15" height="15" />
          <span class="chip-name">{file.name}</span>
          <span class="chip-size">{bytes(new Blob([file.text]).size)}</span>
          {current.value.settings.clearance !== undefined && (
            <input
              type="number"
              min={0}
              step={1}
              title="Clearance: answers of a lower one do not see this file"
              aria-label={`Clearance of ${file.name}`}
              value={file.clearance ?? 0}
              onChange={(event) => {
                const clearance = Math.max(0, Math.floor(Number(event.currentTarget.value) || 0));
                change(files.map((each, i) => (i === at ? { ...each, clearance } : each)));
              }}
            />
          )}
          <button type="button" class="icon" aria-label={`Remove ${file.name}`} onClick={() => change(files.filter((_, i) => i !== at))}><Close width="14" height="14" /></button>
        </li>
      ))}
    </ul>
  );
}

export function fit(area: HTMLTextAreaElement | null) {
  if (!area) return;
  area.style.height = "auto";
  area.style.height = `${Math.min(area.scrollHeight, innerHeight * 0.4)}px`;
}

export function Composer() {
  const area = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const { id } = current.value;
  useLayoutEffect(() => fit(area.current), [text.value]);
  useEffect(() => {
    if (matchMedia("(hover: hover)").matches) area.current?.focus();
  }, [id]);
  const ready = text.value.trim() !== "" || attached.value.length > 0;
  const submit = async () => {
    if (!ready || busy.value) return;
    const [was, files] = [text.value, attached.value];
    text.value = "";
    attached.value = [];
    if (!(await say(was.trim(), files))) {
      text.value = was; // nothing that was typed is lost
      attached.value = files;
    }
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <div class="composer-box">
        <Chips files={attached.value} change={(files) => (attached.value = files)} />
        <textarea
          id="prompt"
          ref={area}
          rows={1}
          dir="auto"
          enterkeyhint="send"
          placeholder="Ask something"
          aria-label="Your message"
          value={text.value}
          onInput={(event) => (text.value = event.currentTarget.value)}
          onPaste={(event) => {
            const files = [...(event.clipboardData?.files ?? [])];
            if (files.length) {
              event.preventDefault();
              void dropFiles(files);
            }
          }}
          onKeyDown={(event) => {
            if (event.isComposing) return;
            if (event.key === "Enter" && !event.shiftKey) {
              event.preventDefault();
              void submit();
            } else if (event.key === "ArrowUp" && !text.value && !busy.value) {
              const last = path.value.findLast((message) => message.role === "user");
              if (last) {
                event.preventDefault();
                editing.value = last.id;
              }
            }
          }}
        />
        <div class="composer-bar">
          <button type="button" class="icon" aria-label="Attach text files" title="Attach text files" onClick={() => picker.current?.click()}><Clip /></button>
          <input
            ref={picker}
            class="unseen"
            type="file"
            multiple
            tabIndex={-1}
            aria-label="Files to attach"
            onChange={(event) => {
              void dropFiles([...(event.currentTarget.files ?? [])]);
              event.currentTarget.value = "";
            }}
          />
          {fullness.value > 0.6
            ? <span class="keys full">{percent(Math.min(1, fullness.value))} of the context is used</span>
            : <span class="keys" aria-hidden="true">Enter sends, Shift Enter begins a line</span>}
          {busy.value ? (
            <button type="button" class="send stop" aria-label="Stop" title="Stop (Esc)" onClick={stopAll}><Stop /></button>
          ) : (
            <button type="submit" class="send" aria-label="Send" disabled={!ready}><Send /></button>
          )}
        </div>
      </div>
    </form>
  );
}
