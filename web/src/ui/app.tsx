import { useEffect, useRef, useState } from "preact/hooks";
import { connected, keyWanted } from "../api";
import { announcement, current, dismiss, drawer, panel, rename, startNew, stopAll, busy, toasts } from "../store";
import { AttentionPanel } from "./attention";
import { Chat } from "./chat";
import { Composer, dropFiles } from "./composer";
import { Close, Menu, Pulse, Sliders } from "./icons";
import { KeyDialog } from "./key";
import { SettingsPanel } from "./settings";
import { narrow } from "../theme";
import { focusSearch, Sidebar } from "./sidebar";
import { StatusPanel } from "./status";

function Title() {
  const { id, title } = current.value;
  const [editing, setEditing] = useState(false);
  if (!id) return <h1 class="title quiet">New conversation</h1>;
  if (!editing) {
    return (
      <h1 class="title">
        <button type="button" title="Rename" onClick={() => setEditing(true)}>{title || "Untitled"}</button>
      </h1>
    );
  }
  const done = (event: Event) => {
    void rename(id, (event.currentTarget as HTMLInputElement).value);
    setEditing(false);
  };
  return (
    <input
      class="title"
      aria-label="Title"
      value={title}
      maxLength={200}
      ref={(input) => input?.select()}
      onBlur={done}
      onKeyDown={(event) => {
        if (event.key === "Enter") event.currentTarget.blur();
        if (event.key === "Escape") {
          event.stopPropagation();
          setEditing(false);
        }
      }}
    />
  );
}

function PanelButton({ name, label, children }: { name: "settings" | "status"; label: string; children: preact.ComponentChildren }) {
  const open = panel.value === name;
  return (
    <button type="button" class="icon" aria-label={label} title={label} aria-expanded={open} onClick={() => (panel.value = open ? "" : name)}>
      {children}
    </button>
  );
}

const kPanels = { settings: ["Settings", SettingsPanel], status: ["Server", StatusPanel], attention: ["Attention", AttentionPanel] } as const;

function Panel() {
  const name = panel.value;
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => head.current?.focus(), [name]);
  if (!name) return null;
  const [title, Body] = kPanels[name];
  return (
    <aside class={`panel panel-${name}`} aria-label={title}>
      <header>
        <h2 tabIndex={-1} ref={head}>{title}</h2>
        <button type="button" class="icon" aria-label={`Close ${title.toLowerCase()}`} onClick={() => (panel.value = "")}><Close /></button>
      </header>
      <div class="panel-body"><Body /></div>
    </aside>
  );
}

function keys(event: KeyboardEvent) {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    drawer.value = narrow.value;
    setTimeout(focusSearch);
  } else if ((event.ctrlKey || event.metaKey) && event.shiftKey && event.key.toLowerCase() === "o") {
    event.preventDefault();
    startNew();
  } else if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open]")) {
    if (drawer.value) drawer.value = false;
    else if (busy.value) stopAll();
    else panel.value = "";
  }
}

function openDrawer() {
  drawer.value = true;
  setTimeout(() => document.querySelector<HTMLElement>(".new")?.focus(), 50);
}

export function App() {
  const [dropping, setDropping] = useState(false);
  useEffect(() => {
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, []);
  useEffect(() => {
    document.title = current.value.title ? `${current.value.title} – Fieldprint` : "Fieldprint";
  }, [current.value.title]);
  const carries = (event: DragEvent) => event.dataTransfer?.types.includes("Files");
  return (
    <div
      class={`app${panel.value ? " with-panel" : ""}${drawer.value ? " with-drawer" : ""}`}
      onDragOver={(event) => {
        if (!carries(event)) return;
        event.preventDefault();
        setDropping(true);
      }}
      onDragLeave={(event) => event.relatedTarget === null && setDropping(false)}
      onDrop={(event) => {
        if (!carries(event)) return;
        event.preventDefault();
        setDropping(false);
        void dropFiles([...(event.dataTransfer?.files ?? [])]);
      }}
    >
      <a class="skip" href="#prompt" onClick={(event) => (event.preventDefault(), document.getElementById("prompt")?.focus())}>To the question</a>
      <Sidebar />
      {drawer.value && <div class="shade" onClick={() => (drawer.value = false)} />}
      <main class="main" inert={drawer.value}>
        <header class="top">
          <button type="button" class="icon only-narrow" aria-label="Conversations" aria-expanded={drawer.value} onClick={openDrawer}><Menu /></button>
          <Title />
          <PanelButton name="settings" label="Settings"><Sliders /></PanelButton>
          <PanelButton name="status" label="Server"><Pulse /></PanelButton>
        </header>
        {!connected.value && <p class="banner" role="alert">The server does not answer. Trying again…</p>}
        <Chat />
        <Composer />
      </main>
      <Panel />
      {dropping && <div class="dropping">Drop text files to attach them</div>}
      <div class="toasts" role="status">
        {toasts.value.map((toast) => (
          <div class="toast" key={toast.id}>
            <span>{toast.text}</span>
            {toast.action && <button type="button" onClick={() => (dismiss(toast.id), toast.action!.run())}>{toast.action.label}</button>}
            <button type="button" class="icon" aria-label="Dismiss" onClick={() => dismiss(toast.id)}><Close /></button>
          </div>
        ))}
      </div>
      <div class="unseen" role="status">{announcement.value}</div>
      {keyWanted.value && <KeyDialog />}
    </div>
  );
}
