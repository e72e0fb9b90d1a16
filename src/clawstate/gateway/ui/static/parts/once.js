// A secret that is shown this once: html`<${Once} value=${token} label="Token" />`.
// It is in the page only while somebody presses "Show"; copying it does without.

import { html, useState } from "../core/lib.js";
import { Button } from "./button.js";
import { Copy } from "./copy.js";

/** @param {{value: string, label: string}} props */
export function Once({ value, label }) {
  const [isShown, show] = useState(false);
  return html`<div class="once"><code>${isShown ? value : "\u2022".repeat(24)}</code>
    <${Copy} value=${value} label=${`Copy: ${label}`} />
    <${Button} size="small" kind="quiet" aria-pressed=${isShown} onClick=${() => show(!isShown)}>${isShown ? "Hide" : "Show"}<//></div>`;
}
