// The settings of the sampler, by the names that the API takes.

export interface Field {
  name: string;
  label: string;
  hint: string;
  min?: number;
  max?: number;
  step?: number;
  text?: boolean;
}

export interface Group {
  title: string;
  open?: boolean;
  fields: Field[];
}

export const kGroups: Group[] = [
  {
    title: "Choice of tokens",
    open: true,
    fields: [
      { name: "temperature", label: "Temperature", hint: "0 always takes the likeliest token", min: 0, max: 5, step: 0.05 },
      { name: "top_p", label: "Top p", hint: "only the likeliest tokens that together have this probability", min: 0, max: 1, step: 0.01 },
      { name: "top_k", label: "Top k", hint: "only this many of the likeliest; 0 is off", min: 0, step: 1 },
      { name: "min_p", label: "Min p", hint: "only tokens with this share of the likeliest one's probability", min: 0, max: 1, step: 0.01 },
      { name: "max_tokens", label: "Longest answer", hint: "in tokens", min: 1, step: 1 },
      { name: "seed", label: "Seed", hint: "the same seed gives the same answer", min: 0, step: 1 },
      { name: "stop", label: "Stop at", hint: "texts that end the answer, separated by commas", text: true },
    ],
  },
  {
    title: "Repetition",
    fields: [
      { name: "repeat_penalty", label: "Repeat penalty", hint: "1 is off", min: 0, step: 0.05 },
      { name: "repeat_last_n", label: "Looks back", hint: "tokens; -1 is all", min: -1, step: 1 },
      { name: "presence_penalty", label: "Presence penalty", hint: "0 is off", min: -2, max: 2, step: 0.1 },
      { name: "frequency_penalty", label: "Frequency penalty", hint: "0 is off", min: -2, max: 2, step: 0.1 },
      { name: "dry_multiplier", label: "DRY multiplier", hint: "against repeated sequences; 0 is off", min: 0, step: 0.1 },
      { name: "dry_base", label: "DRY base", hint: "how fast its penalty grows", min: 1, step: 0.05 },
      { name: "dry_allowed_length", label: "DRY allowed length", hint: "tokens that may be repeated", min: 0, step: 1 },
      { name: "dry_penalty_last_n", label: "DRY looks back", hint: "tokens; -1 is all", min: -1, step: 1 },
    ],
  },
  {
    title: "Other cuts",
    fields: [
      { name: "typical_p", label: "Typical p", hint: "1 is off", min: 0, max: 1, step: 0.01 },
      { name: "top_n_sigma", label: "Top n sigma", hint: "0 is off", min: 0, step: 0.1 },
      { name: "xtc_probability", label: "XTC probability", hint: "how often the likeliest are left out; 0 is off", min: 0, max: 1, step: 0.05 },
      { name: "xtc_threshold", label: "XTC threshold", hint: "above 0.5 nothing is left out", min: 0, max: 1, step: 0.05 },
      { name: "dynatemp_range", label: "Dynamic temperature", hint: "range; 0 is off", min: 0, step: 0.05 },
      { name: "dynatemp_exponent", label: "Its exponent", hint: "of dynamic temperature", min: 0, step: 0.1 },
      { name: "mirostat", label: "Mirostat", hint: "0 is off, 2 aims at a constant surprise", min: 0, max: 2, step: 2 },
      { name: "mirostat_tau", label: "Mirostat tau", hint: "surprise aimed at, in bits", min: 0, step: 0.1 },
      { name: "mirostat_eta", label: "Mirostat eta", hint: "learning rate", min: 0, max: 1, step: 0.01 },
      { name: "samplers", label: "Order", hint: "names separated by commas; one that is not named does not run", text: true },
    ],
  },
];

const kLists = new Set(["samplers", "stop"]);

/** As a request carries it: texts of lists become lists. */
export function samplingFields(sampling: Record<string, number | string> = {}): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(sampling)) {
    if (value === "") continue;
    out[name] = kLists.has(name)
      ? String(value).split(",").map((part) => part.trim().replaceAll("\\n", "\n")).filter(Boolean)
      : value;
  }
  return out;
}

/** What the server does where a field is left empty, as text. */
export function defaultOf(settings: Record<string, unknown> | undefined, name: string): string {
  const params = (settings?.["params"] as Record<string, unknown> | undefined) ?? settings;
  if (name === "seed") return "random";
  const value = params?.[name];
  if (name === "max_tokens" && Number(value) < 0) return "no limit";
  if (Array.isArray(value)) return value.join(", ");
  if (typeof value === "number") return String(Math.round(value * 1e4) / 1e4);
  return "";
}
