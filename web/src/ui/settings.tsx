import { useState } from "preact/hooks";
import { count } from "../format";
import { toolsFault } from "../request";
import { defaultOf, kGroups, type Field } from "../sampling";
import { changeSettings, current, props, rememberSettings } from "../store";
import type { Settings } from "../types";

function Sampling({ field }: { field: Field }) {
  const { settings } = current.value;
  const value = settings.sampling?.[field.name] ?? "";
  const usual = defaultOf(props.value.default_generation_settings, field.name);
  const change = (text: string) => {
    const sampling = { ...settings.sampling };
    if (text.trim() === "") delete sampling[field.name];
    else if (field.text) sampling[field.name] = text;
    else if (Number.isFinite(Number(text))) sampling[field.name] = Number(text);
    changeSettings({ ...settings, sampling });
  };
  return (
    <label class="field sampling">
      <span>{field.label}<small>{field.hint}</small></span>
      <input
        type={(field.text ? "text" : "number") as "number"}
        value={value}
        placeholder={usual || (field.text ? "none" : "–")}
        {...(field.min === undefined ? {} : { min: field.min })}
        {...(field.max === undefined ? {} : { max: field.max })}
        step={field.step ?? "any"}
        onChange={(event) => change(event.currentTarget.value)}
      />
    </label>
  );
}

export function SettingsPanel() {
  const { settings } = current.value;
  const set = (change: Partial<Settings>) => changeSettings({ ...settings, ...change });
  const [tools, setTools] = useState(settings.tools ?? "");
  const fault = toolsFault(tools);
  const changed = Object.keys(settings.sampling ?? {}).length;
  return (
    <div class="settings">
      <p class="hint">For this conversation. Empty fields are as the server has them.</p>
      <label class="field">
        <span>System prompt</span>
        <textarea rows={4} value={settings.system ?? ""} placeholder="How the model is to answer" onInput={(event) => set({ system: event.currentTarget.value })} />
      </label>
      {kGroups.map((group) => (
        <details open={group.open || group.fields.some((field) => settings.sampling?.[field.name] !== undefined)}>
          <summary>{group.title}</summary>
          {group.fields.map((field) => <Sampling key={field.name} field={field} />)}
        </details>
      ))}
      <details open>
        <summary>What is recorded</summary>
        <label class="check">
          <input type="checkbox" checked={settings.record_influence !== false} onChange={(event) => set({ record_influence: event.currentTarget.checked })} />
          Sources of each token
        </label>
        <label class="check">
          <input type="checkbox" checked={settings.record_probabilities !== false} onChange={(event) => set({ record_probabilities: event.currentTarget.checked })} />
          Probabilities of each token
        </label>
      </details>
      <details>
        <summary>Thinking, tools, clearance</summary>
        <label class="field sampling">
          <span>Thinking<small>where the model knows how to</small></span>
          <select
            value={settings.thinking === undefined ? "" : String(settings.thinking)}
            onChange={(event) => {
              const { thinking: _, ...rest } = settings;
              const { value } = event.currentTarget;
              changeSettings(value === "" ? rest : { ...rest, thinking: value === "true" });
            }}
          >
            <option value="">usual</option>
            <option value="true">on</option>
            <option value="false">off</option>
          </select>
        </label>
        <label class="field sampling">
          <span>Clearance<small>parts above it do not exist for the answer</small></span>
          <input
            type="number"
            min={0}
            step={1}
            value={settings.clearance ?? ""}
            placeholder="all"
            onChange={(event) => {
              const { clearance: _, ...rest } = settings;
              const { value } = event.currentTarget;
              changeSettings(value === "" ? rest : { ...rest, clearance: Number(value) });
            }}
          />
        </label>
        <label class="field">
          <span>Tools<small>functions as JSON, as the OpenAI API has them; you give the results</small></span>
          <textarea
            class="mono"
            rows={5}
            value={tools}
            aria-invalid={fault !== undefined}
            aria-describedby="tools-fault"
            onInput={(event) => {
              const text = event.currentTarget.value;
              setTools(text);
              if (!toolsFault(text)) set({ tools: text });
            }}
          />
        </label>
        <p class="fault" id="tools-fault" role="status">{fault ?? ""}</p>
      </details>
      <div class="settings-actions">
        <button type="button" onClick={rememberSettings}>Begin new conversations so</button>
        {changed > 0 && <button type="button" class="plain" onClick={() => set({ sampling: {} })}>Reset {count(changed)} sampling {changed === 1 ? "setting" : "settings"}</button>}
      </div>
    </div>
  );
}
