// Attention maps of an exchange: rows look at columns, one picture a head, layer by layer.
import { useEffect, useRef, useState } from "preact/hooks";
import { send, sentence } from "../api";
import { percent, visible } from "../format";
import { wireMessages } from "../request";
import { current, observed, path } from "../store";
import { dark } from "../theme";
import type { Observation } from "../types";

function paint(canvas: HTMLCanvasElement, map: number[][], row: number) {
  const n = map.length;
  canvas.width = canvas.height = n;
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(n, n);
  const exponent = n > 64 ? 0.36 : 0.5; // most shares are small, and smaller where there are more
  const style = getComputedStyle(canvas);
  const [r, g, b] = style.getPropertyValue("--heat").split(" ").map(Number);
  const [pr, pg, pb] = style.getPropertyValue("--heat-0").split(" ").map(Number);
  map.forEach((shares, y) =>
    shares.forEach((share, x) => {
      const strength = x > y ? 0 : Math.min(1, share ** exponent * 1.1);
      const at = (y * n + x) * 4;
      const fade = row >= 0 && row !== y ? 0.35 : 1;
      image.data[at] = pr! + (r! - pr!) * strength * fade;
      image.data[at + 1] = pg! + (g! - pg!) * strength * fade;
      image.data[at + 2] = pb! + (b! - pb!) * strength * fade;
      image.data[at + 3] = x > y ? 0 : 255;
    }),
  );
  context.putImageData(image, 0, 0);
}

function Map({ map, row = -1, label, onPoint }: { map: number[][]; row?: number; label?: string; onPoint?: (row: number, column: number) => void }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const isDark = dark.value;
  useEffect(() => paint(canvas.current!, map, row), [map, row, isDark]);
  return (
    <canvas
      ref={canvas}
      {...(label ? { role: "img" as const, "aria-label": label } : { "aria-hidden": true })}
      onPointerMove={(event) => {
        if (!onPoint) return;
        const place = event.currentTarget.getBoundingClientRect();
        const cell = (offset: number, size: number) => Math.max(0, Math.min(map.length - 1, Math.floor((offset / size) * map.length)));
        onPoint(cell(event.clientY - place.top, place.height), cell(event.clientX - place.left, place.width));
      }}
    />
  );
}

export function AttentionPanel() {
  const messages = observed.value.length ? observed.value : path.value;
  const [layer, setLayer] = useState(0);
  const [head, setHead] = useState(0);
  const [row, setRow] = useState(-1);
  const [data, setData] = useState<Observation>();
  const [fault, setFault] = useState("");
  const [loading, setLoading] = useState(false);
  const key = messages.map((message) => message.id).join();
  useEffect(() => {
    if (!messages.length) return;
    const stop = new AbortController();
    setLoading(true);
    const timer = setTimeout(() => {
      send<Observation>("POST", "/api/observe", { messages: wireMessages(messages, current.value.settings), layer }, stop.signal)
        .then((found) => {
          setData(found);
          setFault("");
          setRow((was) => (was < 0 || was >= found.tokens.length ? found.tokens.length - 1 : was));
        })
        .catch((error) => stop.signal.aborted || (setFault(sentence(error)), setData(undefined)))
        .finally(() => stop.signal.aborted || setLoading(false));
    }, 150);
    return () => (clearTimeout(timer), stop.abort());
  }, [key, layer]);
  if (!messages.length) return <p class="hint">Ask something first: this shows where each head of the model looked.</p>;
  const layers = data?.layers ?? layer + 1;
  const map = data?.attention[Math.min(head, data.attention.length - 1)];
  const shares = map?.[row] ?? [];
  const order = shares.map((share, t) => [share, t] as const).sort((a, b) => b[0] - a[0]).slice(0, 6);
  return (
    <div class="attention" aria-busy={loading}>
      <label class="field">
        <span>Layer {layer + 1} of {layers}</span>
        <input type="range" min={0} max={layers - 1} value={layer} disabled={!data} onInput={(event) => setLayer(Number(event.currentTarget.value))} />
      </label>
      {data?.cut && <p class="hint">Of the last {data.tokens.length} tokens.</p>}
      {fault && <p class="fault" role="alert">{fault}</p>}
      {data && !data.attention.length && <p class="hint">This layer has no attention: it is a convolution or keeps a recurrent state.</p>}
      {map && (
        <>
          <ul class="heads" aria-label="Heads">
            {data!.attention.map((each, h) => (
              <li>
                <button type="button" aria-label={`Head ${h + 1}`} aria-pressed={h === head} onClick={() => setHead(h)}>
                  <Map map={each} />
                  <span>{h + 1}</span>
                </button>
              </li>
            ))}
          </ul>
          <h3>Head {Math.min(head, data!.attention.length - 1) + 1}</h3>
          <div class="big-map"><Map map={map} row={row} label={`Attention of head ${head + 1}: rows look at columns`} onPoint={(y) => setRow(y)} /></div>
          <label class="field">
            <span>Token that looks</span>
            <select value={row} onChange={(event) => setRow(Number(event.currentTarget.value))}>
              {data!.tokens.map((token, t) => <option value={t}>{t + 1}: {visible(token)}</option>)}
            </select>
          </label>
          <table class="looks">
            <caption>It looks at</caption>
            {order.map(([share, t]) => (
              <tr>
                <th scope="row"><q>{visible(data!.tokens[t] ?? "")}</q> <small>{t + 1}</small></th>
                <td><span class="meter"><i style={{ width: `${share * 100}%` }} /></span></td>
                <td>{percent(share, 1)}</td>
              </tr>
            ))}
          </table>
        </>
      )}
      {(data?.experts?.[row]?.length ?? 0) > 0 && (
        <table class="looks">
          <caption>Its experts</caption>
          {data!.experts![row]!.map(({ expert, weight }) => (
            <tr>
              <th scope="row">Expert {expert + 1}</th>
              <td><span class="meter"><i style={{ width: `${weight * 100}%` }} /></span></td>
              <td>{percent(weight, 1)}</td>
            </tr>
          ))}
        </table>
      )}
      {loading && !data && <p class="hint">Computing…</p>}
    </div>
  );
}
