// Files that are dropped onto the page, or chosen, are taken in one after the other.

import { api, can } from "../core/api.js";
import { bytes, plainly } from "../core/format.js";
import { html, useRef, useState } from "../core/lib.js";
import { Button } from "../parts/button.js";
import { Icon } from "../parts/icon.js";
import { Progress } from "../parts/small.js";
import { Text } from "../parts/text.js";

const LARGEST = 24 * 2 ** 20; // of the gateway, for one request

export function Import({ input, namespace, children }) {
  const [isOver, setOver] = useState(false);
  const [run, setRun] = useState(/** @type {any} */ (null));
  const depth = useRef(0);
  const holdsFiles = (event) => can("write") && [...(event.dataTransfer?.types ?? [])].includes("Files");
  const take = async (files) => {
    const told = { done: 0, of: files.length, lines: /** @type {any[]} */ ([]), isOver: false, stop: new AbortController() };
    setRun({ ...told });
    for (const file of files) {
      if (told.stop.signal.aborted) break;
      told.current = file.name;
      setRun({ ...told });
      told.lines = [...told.lines, await one(file, namespace, told.stop.signal)];
      told.done++;
      setRun({ ...told });
    }
    setRun({ ...told, isOver: true });
  };
  return html`<div class="drop" onDragEnter=${(event) => holdsFiles(event) && (depth.current++, setOver(true))}
    onDragOver=${(event) => holdsFiles(event) && event.preventDefault()}
    onDragLeave=${(event) => holdsFiles(event) && --depth.current <= 0 && setOver(false)}
    onDrop=${(event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      depth.current = 0;
      setOver(false);
      take([...event.dataTransfer.files]);
    }}>
    <input ref=${input} type="file" multiple hidden aria-label="Files to import" onChange=${(event) => {
      const files = [...event.currentTarget.files];
      event.currentTarget.value = "";
      if (files.length) take(files);
    }} />
    ${isOver && html`<div class="drop-here" aria-hidden="true"><${Icon} name="upload" size="40" /><span>Drop notes, pages or chat exports to remember them</span></div>`}
    ${run && html`<div class="card import" role="status"><div class="spread">
        ${run.isOver ? html`<b>Imported ${run.lines.filter((each) => !each.error).length} of ${run.of}</b>`
          : html`<${Progress} value=${run.done} of=${run.of} label=${`Importing ${plainly(run.current ?? "")}:`} />`}
        ${run.isOver ? html`<${Button} size="small" onClick=${() => setRun(null)}>Done<//>`
          : html`<${Button} size="small" onClick=${() => run.stop.abort()}>Stop<//>`}</div>
      <ul>${run.lines.slice(-8).map((each) => html`<li key=${each.name} class=${each.error ? "wrong" : ""}><${Text} value=${each.name} />
        <span class="soft"> <${Text} value=${each.error ?? each.told} /></span></li>`)}</ul></div>`}
    ${children}
  </div>`;
}

/** @param {File} file */
async function one(file, namespace, signal) {
  if (file.size > LARGEST) return { name: file.name, error: `${bytes(file.size)} is too large; run 'clawstate memory import' for it` };
  try {
    const query = { name: file.name.replace(/^\.+/, ""), namespace };
    const found = await api.post("memory/import", file, { query, signal });
    return { name: file.name, told: told(found) };
  } catch (error) {
    return { name: file.name, error: /** @type {Error} */ (error).message };
  }
}

const told = (found) => ["added", "updated", "removed", "unchanged", "copies"]
  .filter((each) => typeof found[each] === "number" && found[each]).map((each) => `${found[each]} ${each}`).join(", ") || "nothing new";
