// Prometheus's text format, as far as one server's own counters need it.

/** Values by name, labels included as they stand: "name{a=\"b\"}". */
export function parseMetrics(text: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (!line || line.startsWith("#")) continue;
    const found = line.match(/^([a-zA-Z_:][\w:]*(?:\{.*\})?)\s+(\S+)/);
    if (found) values.set(found[1]!, Number(found[2]));
  }
  return values;
}

/** The sum over all labels of a name. */
export function total(values: Map<string, number>, name: string): number | undefined {
  let sum: number | undefined;
  for (const [key, value] of values) if (key === name || key.startsWith(name + "{")) sum = (sum ?? 0) + value;
  return sum;
}
