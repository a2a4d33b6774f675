import { useEffect, useRef } from "preact/hooks";
import { dark } from "../theme";
import type { Shares } from "../influence";
import { percent } from "../format";
import type { Tokens } from "../types";

/** An answer's print: a column for each token, cut into the shares of its sources; without them its probability. */
export function Print({ tokens, data, pressed, onClick }: { tokens: Tokens; data: Shares | undefined; pressed: boolean; onClick: () => void }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const isDark = dark.value;
  useEffect(() => {
    const element = canvas.current!;
    const draw = () => {
      const scale = devicePixelRatio || 1;
      const width = element.clientWidth, height = element.clientHeight;
      element.width = Math.round(width * scale);
      element.height = Math.round(height * scale);
      const context = element.getContext("2d")!;
      context.scale(scale, scale);
      const style = getComputedStyle(element);
      const n = tokens.text.length;
      const step = Math.min(10, width / Math.max(n, 1));
      const gap = step > 4 ? 1 : 0;
      const colours = data?.columns.map((column) => style.getPropertyValue(column.colour).trim()) ?? [];
      for (let t = 0; t < n; ++t) {
        let y = 0;
        if (data) {
          (data.rows[t] ?? []).forEach((share, c) => {
            context.fillStyle = `rgb(${colours[c]})`;
            context.fillRect(t * step, y * height, step - gap, share * height + 0.5);
            y += share;
          });
        } else {
          const p = Math.exp(tokens.logprob[t] ?? 0);
          context.fillStyle = style.color;
          context.fillRect(t * step, (1 - p) * height, step - gap, p * height);
        }
      }
    };
    draw();
    const observer = new ResizeObserver(draw);
    observer.observe(element);
    return () => observer.disconnect();
  }, [tokens, data, isDark]);
  const words = data
    ? data.columns.toSorted((a, b) => b.mean - a.mean).slice(0, 4).map((column) => `${column.label} ${percent(column.mean)}`).join(", ")
    : "";
  return (
    <button type="button" class="print" aria-pressed={pressed} title={data ? "Show where each token came from" : "Show probabilities"} onClick={onClick}>
      <canvas ref={canvas} aria-hidden="true" />
      <span class="unseen">{data ? `Sources of this answer: ${words}` : "Probabilities of this answer"}</span>
    </button>
  );
}
