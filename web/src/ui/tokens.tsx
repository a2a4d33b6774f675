// An answer token by token: coloured by its sources or by its probability, with figures for the one that is pointed at.
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { percent, visible } from "../format";
import { drive, standout, strongest, type Shares } from "../influence";
import type { Tokens } from "../types";

const tint = (colour: string, strength: number) => ({ backgroundColor: `rgb(var(${colour}) / ${(strength * 0.55).toFixed(3)})` });

function Legend({ data, tokens, picked, pick }: { data: Shares; tokens: Tokens; picked: number; pick: (column: number) => void }) {
  const column = data.columns[picked];
  return (
    <div class="legend">
      <ul aria-label="Sources">
        {data.columns.map((each, c) => (
          <li>
            <button type="button" aria-pressed={picked === c} onClick={() => pick(picked === c ? -1 : c)}>
              <i style={{ backgroundColor: `rgb(var(${each.colour}))` }} />
              <span class="legend-name">{each.label}</span> <span class="legend-share">{percent(each.mean)}</span>
            </button>
          </li>
        ))}
      </ul>
      <p>
        {column ? (
          <>It drove most: {strongest(data, picked, 5).map((t, i) => <>{i > 0 && ", "}<q>{visible(tokens.text[t] ?? "")}</q> {percent(data.rows[t]![picked]!)}</>)}.</>
        ) : (
          <>Each token has the colour of the source that it looked at more than its neighbours did. Pick a source to see what it drove. Attention shows where the model looked, not why it said something.</>
        )}
      </p>
    </div>
  );
}

function Inspector({ tokens, data, at, anchor }: { tokens: Tokens; data: Shares | undefined; at: number; anchor: HTMLElement }) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = box.current!;
    const place = anchor.getClientRects()[0] ?? anchor.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = element;
    const below = place.bottom + 8 + height < innerHeight;
    element.style.left = `${Math.max(8, Math.min(place.left, innerWidth - width - 8))}px`;
    element.style.top = `${below ? place.bottom + 8 : Math.max(8, place.top - height - 8)}px`;
  }, [anchor, at, data]);
  const p = Math.exp(tokens.logprob[at] ?? 0);
  const row = data?.rows[at];
  return (
    <div class="inspector" ref={box} role="status">
      <p><q>{visible(tokens.text[at] ?? "")}</q> <span>token {at + 1} of {tokens.text.length}</span></p>
      {row && (
        <>
          <div class="bar" aria-hidden="true">
            {row.map((share, c) => <i style={{ width: `${share * 100}%`, backgroundColor: `rgb(var(${data!.columns[c]!.colour}))` }} />)}
          </div>
          <table>
            {row
              .map((share, c) => [share, c] as const)
              .sort((a, b) => b[0] - a[0])
              .slice(0, 6)
              .map(([share, c]) => {
                const above = share - data!.usual[at]![c]!;
                return (
                  <tr>
                    <th scope="row"><i style={{ backgroundColor: `rgb(var(${data!.columns[c]!.colour}))` }} />{data!.columns[c]!.label}</th>
                    <td>{percent(share, 1)}</td>
                    <td class="above" title="points more than around there">{above >= 0 ? "+" : "−"}{Math.abs(above * 100).toFixed(1)}</td>
                  </tr>
                );
              })}
          </table>
        </>
      )}
      {tokens.logprob[at] !== undefined && !row && (
        <>
          <p class="probability">chosen with {percent(p, 1)}</p>
          <table>
            {(tokens.top[at] ?? []).map(([text, logprob]) => (
              <tr class={text === tokens.text[at] ? "chosen" : ""}>
                <th scope="row"><q>{visible(text)}</q></th>
                <td><span class="meter"><i style={{ width: `${Math.exp(logprob) * 100}%` }} /></span></td>
                <td>{percent(Math.exp(logprob), 1)}</td>
              </tr>
            ))}
          </table>
        </>
      )}
    </div>
  );
}

export function TokenView({ tokens, data }: { tokens: Tokens; data: Shares | undefined }) {
  const [picked, pick] = useState(-1);
  const [at, setAt] = useState(-1); // the token that is looked at
  const [entry, setEntry] = useState(0); // the one that Tab comes to
  const box = useRef<HTMLDivElement>(null);
  const heat = useMemo(() => (data && picked >= 0 ? drive(data, picked) : undefined), [data, picked]);
  const style = (t: number) => {
    if (heat) return tint(data!.columns[picked]!.colour, heat[t] ?? 0);
    if (data) {
      const { column, strength } = standout(data, t);
      return tint(data.columns[column]?.colour ?? "--s-text", 0.25 + 0.75 * strength);
    }
    return tint("--s-doubt", 1 - Math.exp(tokens.logprob[t] ?? 0));
  };
  const element = (t: number) => box.current?.querySelector<HTMLElement>(`[data-t="${t}"]`);
  const from = (event: Event) => {
    const found = (event.target as Element).closest<HTMLElement>("[data-t]");
    return found ? Number(found.dataset["t"]) : -1;
  };
  const anchor = at >= 0 ? element(at) : undefined;
  return (
    <div class="token-view">
      {data && <Legend data={data} tokens={tokens} picked={picked} pick={pick} />}
      {!data && <p class="legend">The more likely another token was, the stronger the colour. Point at a token to see what else could have come.</p>}
      <div
        class="tokens"
        ref={box}
        role="toolbar"
        aria-label="Tokens of the answer; the arrow keys go from one to the next"
        onPointerOver={(event) => event.pointerType === "mouse" && setAt(from(event))}
        onPointerLeave={() => setAt(-1)}
        onFocusIn={(event) => {
          const t = from(event);
          if (t >= 0) (setAt(t), setEntry(t));
        }}
        onFocusOut={() => setAt(-1)}
        onKeyDown={(event) => {
          const t = from(event);
          const to = { ArrowRight: t + 1, ArrowLeft: t - 1, Home: 0, End: tokens.text.length - 1 }[event.key];
          if (t < 0 || to === undefined) return;
          event.preventDefault();
          element(Math.max(0, Math.min(tokens.text.length - 1, to)))?.focus();
        }}
      >
        {tokens.text.map((text, t) => (
          <span key={t} class="token" data-t={t} role="button" tabIndex={t === Math.min(entry, tokens.text.length - 1) ? 0 : -1} style={style(t)} aria-label={visible(text)}>
            {text}
          </span>
        ))}
      </div>
      {anchor && <Inspector tokens={tokens} data={data} at={at} anchor={anchor} />}
    </div>
  );
}
