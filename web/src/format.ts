// Numbers and times as people read them.

export const percent = (share: number, digits = 0) => `${(share * 100).toFixed(digits)} %`;

export function count(value: number | undefined): string {
  return value === undefined ? "–" : Math.round(value).toLocaleString("en");
}

export function bytes(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (value >= 1000 && at < units.length - 1) (value /= 1000), ++at;
  return `${value >= 100 || at === 0 ? value.toFixed(0) : value.toFixed(1)} ${units[at]}`;
}

export function parameters(value: number | undefined): string {
  if (!value) return "–";
  return value >= 1e9 ? `${(value / 1e9).toFixed(1)} billion` : `${(value / 1e6).toFixed(0)} million`;
}

export function rate(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return "–";
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}

export function seconds(value: number): string {
  if (value < 1) return "less than a second";
  if (value < 60) return `${Math.ceil(value)} s`;
  return `${Math.floor(value / 60)} min ${Math.ceil(value % 60)} s`;
}

/** "Today", "Yesterday", "This week", or the month. */
export function day(time: number, now: number): string {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  if (time >= midnight) return "Today";
  if (time >= midnight - 864e5) return "Yesterday";
  if (time >= midnight - 6 * 864e5) return "This week";
  return new Date(time).toLocaleDateString("en", { month: "long", year: "numeric" });
}

/** A title made of what was asked first. */
export function titleOf(text: string): string {
  const line = text.trim().split("\n")[0]!.replace(/\s+/g, " ");
  return line.length <= 60 ? line : line.slice(0, 58).replace(/\s+\S*$/, "") + "…";
}

/** A token as it can be seen. */
export const visible = (token: string) => token.replace(/ /g, "·").replace(/\n/g, "↵").replace(/\t/g, "→") || "∅";
