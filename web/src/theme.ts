import { effect, signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";
const kName = "fieldprint-theme";

export const theme = signal<Theme>((localStorage.getItem(kName) as Theme | null) ?? "auto");
const system = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(system.matches);
system.addEventListener("change", () => (systemDark.value = system.matches));

const small = matchMedia("(max-width: 800px)"); // as in style.css
/** The list of conversations is a drawer. */
export const narrow = signal(small.matches);
small.addEventListener("change", () => (narrow.value = small.matches));

export const dark = signal(false);
effect(() => {
  dark.value = theme.value === "auto" ? systemDark.value : theme.value === "dark";
  document.documentElement.dataset["theme"] = dark.value ? "dark" : "light";
  if (theme.value === "auto") localStorage.removeItem(kName);
  else localStorage.setItem(kName, theme.value);
});
