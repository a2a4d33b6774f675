import { useState } from "preact/hooks";
import { keyWanted, storedKey, storeKey } from "../api";
import { begin } from "../store";

/** The server wants an API key. */
export function KeyDialog() {
  const [wrong] = useState(storedKey() !== "");
  return (
    <dialog
      class="dialog"
      aria-labelledby="key-title"
      ref={(dialog) => {
        if (dialog && !dialog.open) dialog.showModal();
      }}
      onCancel={(event) => event.preventDefault()}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const form = new FormData(event.currentTarget);
          storeKey(String(form.get("key") ?? "").trim(), form.get("keep") === "on");
          keyWanted.value = false;
          void begin();
        }}
      >
        <h2 id="key-title">This server asks for a key</h2>
        <p>{wrong ? "The key that this browser has is not accepted. " : ""}Whoever runs the server has given it to you.</p>
        <label class="field">
          <span>API key</span>
          <input name="key" type="password" required autocomplete="current-password" />
        </label>
        <label class="check"><input type="checkbox" name="keep" /> Keep it in this browser</label>
        <div class="dialog-actions"><button class="primary">Continue</button></div>
      </form>
    </dialog>
  );
}
