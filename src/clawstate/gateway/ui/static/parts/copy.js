// A button that copies: html`<${Copy} value=${text} label="Copy the id" />`. It says when it has.

import { html, useState } from "../core/lib.js";
import { Icon } from "./icon.js";

/** @param {{value: string, label?: string}} props */
export function Copy({ value, label = "Copy" }) {
  const [done, setDone] = useState("");
  const copy = async (event) => {
    event.preventDefault();
    event.stopPropagation();
    setDone(await copyText(value) ? "Copied" : "Select it, and press Ctrl-C");
    setTimeout(() => setDone(""), 1800);
  };
  return html`<button type="button" class="icon-button copy" title=${done || label} aria-label=${done || label}
    onClick=${copy}><${Icon} name=${done === "Copied" ? "check" : "copy"} size="16" />
    <span class="hidden" role="status">${done}</span></button>`;
}

/** @param {string} text */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // not asked by a person, or a page without TLS on another machine
  }
}
