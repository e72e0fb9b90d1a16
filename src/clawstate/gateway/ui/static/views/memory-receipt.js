// What was forgotten, from where, and whether its bytes are gone: to be kept by whoever asked for it.

import { html } from "../core/lib.js";
import { save } from "../core/csv.js";
import { Button } from "../parts/button.js";
import { Dialog } from "../parts/dialog.js";
import { Facts } from "../parts/small.js";
import { Code, Text } from "../parts/text.js";

export function Receipt({ receipt, onClose }) {
  const text = `${JSON.stringify(receipt, null, 2)}\n`;
  return html`<${Dialog} title="Receipt" side class="detail" onClose=${onClose} actions=${html`
      <${Button} icon="download" onClick=${() => save("receipt.json", "application/json", text)}>Download<//>
      <${Button} kind="primary" onClick=${onClose}>Done<//>`}>
    <div class=${`notice ${receipt.gone ? "good" : "warn"}`}><div>${receipt.gone ? "It is forgotten, and its bytes are gone from the disk."
      : html`It is forgotten. Its bytes go when this is over: <${Text} value=${receipt.waitsFor} />.`}</div></div>
    <${Facts} of=${[
      ["Memories", String(receipt.records.length)],
      ["Digests", html`<span class="mono small">${receipt.records.map((each) => html`<div key=${each.id}><${Text} value=${each.digest} /></div>`)}</span>`],
      ...Object.entries(receipt.places).map(([name, size]) => [name, String(size)]),
    ]} />
    <details><summary>As JSON</summary><${Code} value=${text} /></details>
  <//>`;
}
