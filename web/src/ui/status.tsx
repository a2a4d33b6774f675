// What the server is doing, asked once a second while this is open.
import { useEffect, useRef, useState } from "preact/hooks";
import { call, get } from "../api";
import { bytes, count, parameters, percent, rate, seconds } from "../format";
import { parseMetrics, total } from "../prometheus";
import { props } from "../store";
import type { Slot } from "../types";

interface Sample {
  time: number;
  metrics: Map<string, number>;
  slots: Slot[];
}

function Facts({ rows }: { rows: [string, string | undefined][] }) {
  return <dl class="facts">{rows.map(([name, value]) => value && value !== "–" ? <div><dt>{name}</dt><dd>{value}</dd></div> : null)}</dl>;
}

function Line({ values, label }: { values: number[]; label: string }) {
  const most = Math.max(...values, 1e-9);
  const points = values.map((value, i) => `${240 - ((values.length - 1 - i) / 59) * 240},${38 - (value / most) * 36}`).join(" ");
  return (
    <figure class="line">
      <svg viewBox="0 0 240 40" preserveAspectRatio="none" role="img" aria-label={`${label} in the last minute, ${rate(values.at(-1) ?? 0)} now`}>
        <polyline points={points} fill="none" stroke="currentColor" stroke-width="1.5" vector-effect="non-scaling-stroke" />
      </svg>
      <figcaption><strong>{rate(values.at(-1) ?? 0)}</strong> {label}</figcaption>
    </figure>
  );
}

export function StatusPanel() {
  const [samples, setSamples] = useState<Sample[]>([]);
  const [fault, setFault] = useState(false);
  const alive = useRef(true);
  useEffect(() => {
    alive.current = true;
    let timer: ReturnType<typeof setTimeout>;
    const poll = async () => {
      try {
        const [text, slots] = await Promise.all([call("/metrics").then((response) => response.text()), get<Slot[]>("/slots")]);
        if (!alive.current) return;
        setSamples((known) => [...known.slice(-60), { time: performance.now(), metrics: parseMetrics(text), slots }]);
        setFault(false);
      } catch {
        if (alive.current) setFault(true);
      }
      if (alive.current) timer = setTimeout(poll, 1000);
    };
    void poll();
    void get<typeof props.value>("/props").then((value) => (props.value = value), () => {});
    return () => {
      alive.current = false;
      clearTimeout(timer);
    };
  }, []);
  const last = samples.at(-1);
  const speed = (name: string) =>
    samples.slice(1).map((sample, i) => {
      const before = samples[i]!;
      const grown = (total(sample.metrics, name) ?? 0) - (total(before.metrics, name) ?? 0);
      return Math.max(0, (grown * 1000) / (sample.time - before.time));
    });
  const value = (name: string) => (last ? total(last.metrics, name) : undefined);
  const { model } = props.value;
  const prompt = value("fieldprint_prompt_tokens_total"), reused = value("fieldprint_cached_tokens_total");
  return (
    <div class="status">
      {fault && <p class="fault" role="alert">The server does not answer.</p>}
      <section>
        <h3>Model</h3>
        <Facts
          rows={[
            ["Name", model?.name],
            ["Architecture", model?.architecture],
            ["Parameters", parameters(model?.parameters)],
            ["File", bytes(model?.size)],
            ["Context", model?.context ? `${count(model.context)} tokens` : undefined],
            ["Hash", model?.hash?.slice(0, 16)],
          ]}
        />
      </section>
      <section>
        <h3>Speed</h3>
        <Line values={speed("fieldprint_decode_tokens_total")} label="tokens/s written" />
        <Line values={speed("fieldprint_steps_total")} label="steps/s" />
      </section>
      <section>
        <h3>Memory</h3>
        <Facts
          rows={[
            ["Process", bytes(value("process_resident_memory_bytes"))],
            ["Prefix cache", value("fieldprint_cache_bytes") === undefined ? undefined : bytes(value("fieldprint_cache_bytes"))],
            ["Prompts from cache", prompt ? percent((reused ?? 0) / prompt) : undefined],
          ]}
        />
      </section>
      <section>
        <h3>Under way</h3>
        {!last?.slots.length && <p class="hint">No requests.</p>}
        <ul class="slots">
          {last?.slots.map((slot) => {
            const reading = (slot.processed ?? 0) < (slot.prompt_tokens ?? 0);
            return (
              <li key={slot.id}>
                <span>{reading ? `reading ${count(slot.processed)} of ${count(slot.prompt_tokens)}` : `${count(slot.generated)} written, ${count(slot.prompt_tokens)} read`}</span>
                <span>{slot.seconds === undefined ? "" : slot.seconds < 1 ? "now" : seconds(slot.seconds)}</span>
                {reading && <progress max={slot.prompt_tokens} value={slot.processed} aria-label="Prompt read" />}
              </li>
            );
          })}
        </ul>
      </section>
    </div>
  );
}
