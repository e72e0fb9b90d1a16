// Ctrl-K: every screen and every action by a few letters of its name.

import { can } from "../core/api.js";
import { commands } from "../core/keys.js";
import { classes, html, useEffect, useId, useRef, useState } from "../core/lib.js";
import { Dialog } from "../parts/dialog.js";
import { Icon } from "../parts/icon.js";
import { guard } from "../parts/toast.js";

/** @param {{onClose: () => void}} props */
export default function Palette({ onClose }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const id = useId();
  const list = useRef(/** @type {HTMLElement|null} */ (null));
  const input = useRef(/** @type {HTMLInputElement|null} */ (null));
  const found = matching(text, commands.value.filter((each) => !each.scope || can(/** @type {any} */ (each.scope))));
  useEffect(() => input.current?.focus(), []);
  useEffect(() => list.current?.children[at]?.scrollIntoView({ block: "nearest" }), [at]);
  const run = (command) => {
    onClose();
    // After the dialog has given the focus back, so that what runs may take it.
    if (command) setTimeout(() => guard(async () => command.run())());
  };
  const press = (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) {
      event.preventDefault();
      setAt((at + by + found.length) % (found.length || 1));
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      run(found[at]);
    }
  };
  return html`<${Dialog} title="Go to, or do" class="palette" onClose=${onClose}>
    <div class="search-field"><${Icon} name="search" />
      <input ref=${input} type="text" role="combobox" aria-expanded="true" aria-controls=${id} aria-label="Go to, or do, anything"
        aria-activedescendant=${found.length ? `${id}-${at}` : undefined} autocomplete="off" spellcheck=${false} placeholder="Type a few letters"
        value=${text} onKeyDown=${press} onInput=${(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }} /></div>
    <div id=${id} ref=${list} role="listbox" aria-label="Commands" class="commands">
      ${found.map((each, index) => html`<div key=${each.id} id=${`${id}-${index}`} role="option" aria-selected=${index === at}
        class=${classes("command-row", index === at && "at")} onMouseMove=${() => index !== at && setAt(index)} onClick=${() => run(each)}>
        <span>${each.title}</span>${each.keys && html`<kbd>${each.keys}</kbd>`}</div>`)}
    </div>
    ${!found.length && html`<p class="soft" role="status">Nothing is called so.</p>`}
  <//>`;
}

/** Commands with the letters of a text in their order, those that begin with it first. */
function matching(text, all) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return all.slice(0, 50);
  const scored = [];
  for (const each of all) {
    const title = each.title.toLowerCase(), hint = (each.hint ?? "").toLowerCase();
    const score = title.startsWith(wanted) ? 4 : title.includes(` ${wanted}`) ? 3 : title.includes(wanted) ? 2
      : hint.includes(wanted) ? 1 : isSpread(wanted, title) ? 0.5 : 0;
    if (score) scored.push({ each, score });
  }
  return scored.sort((a, b) => b.score - a.score).slice(0, 50).map(({ each }) => each);
}

function isSpread(wanted, title) {
  let at = -1;
  return [...wanted].every((letter) => (at = title.indexOf(letter, at + 1)) >= 0);
}
