// From shares of attention to colours and words.
import type { Source, Tokens } from "./types";

/** A column to show: equal sources are one. */
export interface Column {
  label: string;
  kind: string;
  colour: string; // a CSS variable's name
  tokens: number;
  mean: number; // share over all tokens of the answer
}

export interface Shares {
  columns: Column[];
  rows: number[][]; // [token][column]
  usual: number[][]; // [token][column]: the mean of the tokens around it, since shares drift as an answer grows
}

const kAround = 32; // tokens before and after

function means(rows: number[][]): number[][] {
  const columns = rows[0]?.length ?? 0;
  const sums = [new Array<number>(columns).fill(0)]; // of all rows before
  for (const row of rows) sums.push(sums.at(-1)!.map((sum, c) => sum + row[c]!));
  return rows.map((_, t) => {
    const begin = Math.max(0, t - kAround), end = Math.min(rows.length, t + kAround + 1);
    return sums[end]!.map((sum, c) => (sum - sums[begin]![c]!) / (end - begin));
  });
}

const kColours: Record<string, string[]> = {
  system: ["--s-system"],
  user: ["--s-user", "--s-user-2"],
  retrieved: ["--s-doc-1", "--s-doc-2", "--s-doc-3", "--s-doc-4", "--s-doc-5"],
  tool: ["--s-tool"],
  anchor: ["--s-anchor"],
  generated: ["--s-generated"],
  text: ["--s-text"],
};

export function labelOf(source: Source): string {
  const names: Record<string, string> = {
    system: "System prompt",
    user: "Question",
    retrieved: "Document",
    tool: "Tool result",
    anchor: "Anchor",
    generated: "Answer so far",
    text: "Other text",
  };
  const name = names[source.kind] ?? source.kind;
  if (source.kind === "system" && source.source) return source.source === "chat template" ? "Template" : source.source;
  if (source.kind === "retrieved" && source.source) return source.source;
  return source.source ? `${name}: ${source.source}` : name;
}

/** Rows and sources as they come: the prompt's parts, then the answer (not yet at its first token), last the anchor rows
 *  of the model file. The server names the prompt's parts only. */
function aligned(rows: number[][], sources: Source[]): [number[][], Source[]] {
  const width = Math.max(...rows.map((row) => row.length));
  const more = (kind: string): Source => ({ kind, source: "", clearance: 0, tokens: 0 });
  const all = [...sources];
  if (width >= all.length + 2) all.push(more("generated"));
  if (width >= all.length + 1) all.push(more("anchor"));
  return [rows.map((row) => (row.length === width - 1 ? [...row.slice(0, -1), 0, ...row.slice(-1)] : row)), all];
}

/** Columns of equal label are added up; columns that nobody looked at are left out. */
export function shares(tokens: Tokens, named: Source[]): Shares | undefined {
  if (!tokens.influence.length || !named.length) return undefined;
  const [rows, sources] = aligned(tokens.influence, named);
  const columns: Column[] = [];
  const of: number[] = []; // source -> column
  const counts: Record<string, number> = {};
  sources.forEach((source, s) => {
    const label = labelOf(source);
    let at = columns.findIndex((column) => column.label === label && column.kind === source.kind);
    if (at < 0) {
      const palette = kColours[source.kind] ?? ["--s-text"];
      const nth = (counts[source.kind] = (counts[source.kind] ?? -1) + 1);
      at = columns.push({ label, kind: source.kind, colour: palette[nth % palette.length]!, tokens: 0, mean: 0 }) - 1;
    }
    of[s] = at;
    columns[at]!.tokens += source.tokens;
  });
  const summed = rows.map((row) => {
    const out = columns.map(() => 0);
    row.forEach((share, s) => {
      const at = of[s];
      if (at !== undefined) out[at]! += share;
    });
    return out;
  });
  columns.forEach((column, c) => (column.mean = summed.reduce((sum, row) => sum + row[c]!, 0) / summed.length));
  const kept = columns.flatMap((column, c) => (column.mean > 0.0005 ? [c] : []));
  const shown = summed.map((row) => kept.map((c) => row[c]!));
  return { columns: kept.map((c) => columns[c]!), rows: shown, usual: means(shown) };
}

/** Which column stands out at a token, and how much, from 0 to 1: its share next to what is usual around there. The
 *  beginning of a context draws attention whatever it says, so the largest share says little. */
export function standout(data: Shares, token: number): { column: number; strength: number } {
  const row = data.rows[token] ?? [];
  let column = 0, most = -Infinity;
  row.forEach((share, c) => {
    const above = share - data.usual[token]![c]!;
    if (above > most) (most = above), (column = c);
  });
  return { column, strength: Math.max(0, Math.min(1, most * 8)) };
}

/** How strongly one column drove a token, from 0 (its least) to 1 (its most). */
export function drive(data: Shares, column: number): number[] {
  const shares = data.rows.map((row) => row[column] ?? 0);
  const least = Math.min(...shares), most = Math.max(...shares);
  return shares.map((share) => (most - least < 1e-6 ? 0 : (share - least) / (most - least)));
}

/** The tokens that got the most from a column, most first. */
export function strongest(data: Shares, column: number, count: number): number[] {
  return data.rows
    .map((row, t) => [row[column] ?? 0, t] as const)
    .sort((a, b) => b[0] - a[0])
    .slice(0, count)
    .map(([, t]) => t);
}
