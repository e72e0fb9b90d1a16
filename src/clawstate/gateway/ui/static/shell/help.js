// `?`: all keys that work at the moment.

import { shortcuts } from "../core/keys.js";
import { html } from "../core/lib.js";
import { Dialog } from "../parts/dialog.js";

/** @param {{onClose: () => void}} props */
export default function Help({ onClose }) {
  const groups = /** @type {Map<string, Map<string, string>>} */ (new Map());
  for (const { group, keys } of shortcuts.value) {
    const found = groups.get(group) ?? new Map();
    for (const [key, [title]] of Object.entries(keys)) found.set(key, title);
    if (found.size) groups.set(group, found);
  }
  groups.set("Lists", new Map([["j", "Next, as ↓"], ["k", "Previous, as ↑"], ["Home", "The first"], ["End", "The last"], ["Enter", "Open"]]));
  return html`<${Dialog} title="Keyboard shortcuts" wide onClose=${onClose}>
    <div class="shortcuts">${[...groups].map(([group, keys]) => html`<section><h3>${group}</h3><dl>
      ${[...keys].map(([key, title]) => html`<div><dt>${title}</dt><dd>${key.split(" ").map((each) => html`<kbd>${each.replaceAll("+", " ")}</kbd>`)}</dd></div>`)}
    </dl></section>`)}</div><//>`;
}
