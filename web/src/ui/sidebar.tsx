import { useEffect, useRef, useState } from "preact/hooks";
import { day } from "../format";
import { current, drawer, entries, exportFile, importFile, list, nextPage, open, query, remove, rename, startNew, streams } from "../store";
import { theme, type Theme } from "../theme";
import type { Entry } from "../types";
import { Dots, Down, Half, Mark, Moon, Plus, Search, Sun, Up } from "./icons";

export const focusSearch = () => document.getElementById("search")?.focus();

function Row({ entry }: { entry: Entry }) {
  const [menu, setMenu] = useState(false);
  const [editing, setEditing] = useState(false);
  const box = useRef<HTMLLIElement>(null);
  const isCurrent = current.value.id === entry.id;
  useEffect(() => {
    if (!menu) return;
    const outside = (event: Event) => !box.current?.contains(event.target as Node) && setMenu(false);
    addEventListener("pointerdown", outside);
    addEventListener("focusin", outside);
    box.current?.querySelector<HTMLElement>(".menu button")?.focus();
    return () => (removeEventListener("pointerdown", outside), removeEventListener("focusin", outside));
  }, [menu]);
  const close = () => {
    setMenu(false);
    box.current?.querySelector<HTMLElement>(".more")?.focus();
  };
  if (editing) {
    return (
      <li class="row">
        <input
          aria-label="Title"
          value={entry.title}
          maxLength={200}
          ref={(input) => input?.select()}
          onBlur={(event) => (rename(entry.id, event.currentTarget.value), setEditing(false))}
          onKeyDown={(event) => {
            if (event.key === "Enter") event.currentTarget.blur();
            if (event.key === "Escape") (event.stopPropagation(), (event.currentTarget.value = ""), setEditing(false));
          }}
        />
      </li>
    );
  }
  return (
    <li class={`row${isCurrent ? " current" : ""}`} ref={box}>
      <a
        href={`#${entry.id}`}
        aria-current={isCurrent ? "page" : undefined}
        title={entry.title}
        onClick={(event) => {
          if (event.ctrlKey || event.metaKey || event.shiftKey) return;
          event.preventDefault();
          void open(entry.id);
        }}
      >
        <span class="row-title">{entry.title || "Untitled"}</span>
        {entry.snippet && <span class="snippet">{entry.snippet}</span>}
        {streams.value.some((one) => one.conversation === entry.id) && <span class="writing" role="img" aria-label="an answer is being written" />}
      </a>
      <button type="button" class="icon more" aria-label={`More for ${entry.title || "Untitled"}`} aria-expanded={menu} onClick={() => setMenu(!menu)}><Dots /></button>
      {menu && (
        <div
          class="menu"
          onKeyDown={(event) => {
            const buttons = [...event.currentTarget.querySelectorAll("button")];
            const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
            if (event.key === "Escape") (event.stopPropagation(), close());
            if (event.key === "ArrowDown") (event.preventDefault(), buttons[(at + 1) % buttons.length]!.focus());
            if (event.key === "ArrowUp") (event.preventDefault(), buttons[(at + buttons.length - 1) % buttons.length]!.focus());
          }}
        >
          <button type="button" onClick={() => (setMenu(false), setEditing(true))}>Rename</button>
          <button type="button" onClick={() => (close(), exportFile(entry.id))}>Export</button>
          <button type="button" class="danger" onClick={() => (setMenu(false), remove(entry.id))}>Delete</button>
        </div>
      )}
    </li>
  );
}

const kThemes: [Theme, string, typeof Sun][] = [["auto", "As the system", Half], ["light", "Light", Sun], ["dark", "Dark", Moon]];

export function Sidebar() {
  const file = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const groups: [string, Entry[]][] = [];
  for (const entry of entries.value) {
    const name = day(entry.updated, Date.now());
    if (groups.at(-1)?.[0] === name) groups.at(-1)![1].push(entry);
    else groups.push([name, [entry]]);
  }
  return (
    <nav class="sidebar" aria-label="Conversations">
      <div class="brand"><Mark width="26" height="26" /><span>Fieldprint</span></div>
      <button type="button" class="new" onClick={() => (startNew(), document.getElementById("prompt")?.focus())}><Plus /> New conversation</button>
      <label class="search">
        <Search />
        <input
          id="search"
          type="search"
          placeholder="Search"
          aria-label="Search conversations"
          aria-keyshortcuts="Control+K"
          value={query.value}
          onInput={(event) => {
            query.value = event.currentTarget.value;
            clearTimeout(timer.current);
            timer.current = setTimeout(() => list(), 150);
          }}
          onKeyDown={(event) => {
            if (event.key === "Escape" && query.value) {
              event.stopPropagation();
              query.value = "";
              void list();
            }
          }}
        />
        <kbd aria-hidden="true">Ctrl K</kbd>
      </label>
      <div class="rows">
        {groups.map(([name, list]) => (
          <section key={name}>
            <h2>{name}</h2>
            <ul>{list.map((entry) => <Row key={entry.id} entry={entry} />)}</ul>
          </section>
        ))}
        {!entries.value.length && <p class="none">{query.value ? "Nothing is found." : "Conversations will be listed here. They stay on this server."}</p>}
        {nextPage.value && <button type="button" class="plain" onClick={() => list(true)}>Show more</button>}
      </div>
      <footer>
        <button type="button" class="icon" aria-label="Import conversations" title="Import" onClick={() => file.current?.click()}><Up /></button>
        <button type="button" class="icon" aria-label="Export all conversations" title="Export all" onClick={() => exportFile()}><Down /></button>
        <input
          ref={file}
          class="unseen"
          type="file"
          accept="application/json,.json"
          tabIndex={-1}
          aria-label="File to import"
          onChange={(event) => {
            const picked = event.currentTarget.files?.[0];
            if (picked) void importFile(picked);
            event.currentTarget.value = "";
          }}
        />
        <div class="themes" role="radiogroup" aria-label="Colours">
          {kThemes.map(([name, label, Icon]) => (
            <label title={label}>
              <input type="radio" name="theme" class="unseen" checked={theme.value === name} onChange={() => (theme.value = name)} aria-label={label} />
              <Icon width="16" height="16" />
            </label>
          ))}
        </div>
        <button type="button" class="icon only-narrow" aria-label="Close the list" onClick={() => (drawer.value = false)}>×</button>
      </footer>
    </nav>
  );
}
