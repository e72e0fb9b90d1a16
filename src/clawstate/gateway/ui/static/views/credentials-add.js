// A new credential. Its secret goes from the field into the body of one request, and nowhere else.

import { api, segment } from "../core/api.js";
import { html, useRef, useState } from "../core/lib.js";
import { Button } from "../parts/button.js";
import { Dialog } from "../parts/dialog.js";
import { Choice, Field } from "../parts/field.js";
import { Text } from "../parts/text.js";
import { toast } from "../parts/toast.js";

const PROVIDERS = ["anthropic", "openai", "google", "openrouter", "mistral", "groq", "xai", "voyage", "github-copilot", "ollama"];

/** @param {{agent: string, known: string[], replaces?: string, onClose: () => void, onDone: () => any}} props */
export function AddCredential({ agent, known, replaces, onClose, onDone }) {
  const [id, setId] = useState(replaces ?? "");
  const [type, setType] = useState("api_key");
  const [email, setEmail] = useState("");
  const [day, setDay] = useState("");
  const [isFilled, setFilled] = useState(false);
  const [problem, setProblem] = useState("");
  const secret = useRef(/** @type {HTMLInputElement|null} */ (null));
  const full = id.includes(":") || !id.trim() ? id.trim() : `${id.trim()}:default`;
  const isThere = known.includes(full) && full !== replaces;
  const keep = async (event) => {
    event.preventDefault();
    setProblem("");
    const field = /** @type {HTMLInputElement} */ (secret.current);
    const value = field.value;
    // Out of the page first: whatever the gateway answers, it is not left lying in a field.
    field.value = "";
    setFilled(false);
    const expires = type === "token" && day ? { expires: Date.parse(`${day}T23:59:59`) } : {};
    const body = { type, [type === "token" ? "token" : "key"]: value, ...(email.trim() ? { email: email.trim() } : {}), ...expires };
    try {
      const made = await api.put(`auth/profiles/${segment(full)}`, body, { query: { agent } });
      toast(made.replaced ? `${full} has another secret` : `${full} is kept`);
    } catch (error) {
      return setProblem(/** @type {Error} */ (error).message);
    }
    onDone();
    return onClose();
  };
  return html`<${Dialog} title=${replaces ? "Replace the secret" : "Add a credential"} onClose=${onClose}>
    <form class="stack" onSubmit=${keep} autocomplete="off">
      <${Field} label="Name" hint=${html`provider and account, such as <code>openai:default</code>`}
        error=${isThere && "There is one of this name: its secret will be replaced."}>
        <input value=${id} required disabled=${Boolean(replaces)} list="providers" autocapitalize="off" spellcheck=${false} dir="ltr"
          onInput=${(event) => setId(event.currentTarget.value)} /><//>
      <datalist id="providers">${PROVIDERS.map((each) => html`<option value=${`${each}:default`} />`)}</datalist>
      <${Choice} label="Kind" value=${type} options=${[["api_key", "API key"], ["token", "Token that does not renew itself"]]} onChange=${setType} />
      <${Field} label=${type === "token" ? "Token" : "Key"} hint="It is sent once, and never shown again."
        error=${problem && html`<${Text} value=${problem} />`}>
        <input ref=${secret} type="password" required autocomplete="new-password" spellcheck=${false} dir="ltr"
          onInput=${(event) => setFilled(Boolean(event.currentTarget.value))} /><//>
      ${type === "token" && html`<${Field} label="Expires" hint="if it does"><input type="date" value=${day}
        onInput=${(event) => setDay(event.currentTarget.value)} /><//>`}
      <${Field} label="Account" hint="an address for people, if you like">
        <input value=${email} autocomplete="off" onInput=${(event) => setEmail(event.currentTarget.value)} /><//>
      <div class="line end-line"><${Button} onClick=${onClose}>Cancel<//>
        <${Button} kind="primary" type="submit" disabled=${!full || !isFilled}>Keep it<//></div>
    </form><//>`;
}
