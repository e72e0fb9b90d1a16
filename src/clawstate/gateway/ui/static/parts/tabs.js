// Tabs: html`<${Tabs} label="Views" value=${tab} tabs=${[["form", "Form"], ["text", "Text"]]} onChange=${setTab} />`
// Keep the chosen one in the address (setQuery). Arrow keys go from one to the next.

import { html } from "../core/lib.js";

/** @param {{label: string, value: string, tabs: [string, any][], onChange: (value: string) => void}} props */
export const Tabs = ({ label, value, tabs, onChange }) => html`<div class="tabs" role="tablist" aria-label=${label}
  onKeyDown=${(event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const way = getComputedStyle(event.currentTarget).direction === "rtl" ? -by : by;
    const at = tabs.findIndex(([each]) => each === value);
    const next = (at + way + tabs.length) % tabs.length;
    onChange(tabs[next][0]);
    event.currentTarget.children[next].focus();
  }}>
  ${tabs.map(([each, title]) => html`<button type="button" role="tab" aria-selected=${each === value}
    tabindex=${each === value ? 0 : -1} onClick=${() => onChange(each)}>${title}</button>`)}
</div>`;
