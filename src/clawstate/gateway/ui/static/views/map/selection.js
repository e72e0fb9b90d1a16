// What can be done with the memories that were selected: tag, forget, save, look at them as a table.

import { api, can } from "../../core/api.js";
import { save, toCsv, toJson } from "../../core/csv.js";
import { count } from "../../core/format.js";
import { html, useState } from "../../core/lib.js";
import { Button } from "../../parts/button.js";
import { confirm, Dialog } from "../../parts/dialog.js";
import { Field } from "../../parts/field.js";
import { Menu } from "../../parts/menu.js";
import { Facts, Progress } from "../../parts/small.js";
import { Text } from "../../parts/text.js";
import { fail, toast } from "../../parts/toast.js";
import { getMany, idsOf, rangesOf } from "./data.js";

const AT_ONCE = 250; // records that are tagged in one request, so that it can be seen how far it is
const FORGOTTEN = 10_000;

export const COLUMNS = /** @type {import("../../core/csv.js").Column[]} */ ([
  ["id", "id"], ["text", "text"], ["source", "source"], ["category", "category"],
  ["tags", (row) => row.tags.join(" ")], ["importance", "importance"], ["namespace", "namespace"],
  ["created", (row) => new Date(row.createdAtMs).toISOString()],
]);

/** @param {{found: import("./data.js").Found, numbers: Uint32Array, onClear: () => void, onTable: () => void, onForgotten: () => void}} props */
export function Selection({ found, numbers, onClear, onTable, onForgotten }) {
  const [working, setWorking] = useState(/** @type {any} */ (null));
  const [isTagging, setTagging] = useState(false);
  const [receipt, setReceipt] = useState(/** @type {any} */ (null));
  const many = count(numbers.length);
  const ids = () => idsOf(found, rangesOf(numbers));

  /** @param {string} label @param {(ids: string[]) => Promise<void>} work */
  const run = async (label, work) => {
    setWorking({ label, done: 0, of: numbers.length });
    try {
      await work(await ids());
    } catch (error) {
      fail(error);
    }
    setWorking(null);
  };
  const told = (/** @type {number} */ done) => setWorking((/** @type {any} */ old) => old && { ...old, done });

  const forget = async () => {
    const question = { title: `Forget ${many} ${numbers.length === 1 ? "memory" : "memories"}?`, action: "Forget", kind: "danger",
      text: "They go for good: no import brings them back, and their bytes are cleared from the disk. You get a receipt." };
    if (!(await confirm(question))) return;
    await run("Forgetting", async (all) => {
      let forgotten = 0, last = null;
      for (let from = 0; from < all.length; from += FORGOTTEN) {
        const some = all.slice(from, from + FORGOTTEN);
        last = await api.post("memory/many/forget", { ids: some });
        forgotten += last.forgotten;
        told(from + some.length);
      }
      onForgotten(); // who reads the receipt sees it gone
      setReceipt({ ...last, forgotten });
      onClear();
    });
  };
  const tag = async (/** @type {string[]} */ add, /** @type {string[]} */ remove) => {
    setTagging(false);
    await run("Tagging", async (all) => {
      const changed = await tagAll(all, add, remove, told);
      toast(`${count(changed.length)} of ${many} changed`, changed.length ? { undo: () => tagAll(changed, remove, add) } : {});
    });
  };
  const keep = (/** @type {"csv"|"json"} */ form) => run("Reading", async (all) => {
    const records = await getMany(all, told);
    if (form === "csv") save("memories.csv", "text/csv", toCsv(COLUMNS, records));
    else save("memories.json", "application/json", toJson(records));
  });

  return html`${numbers.length > 0 && html`<div class="map-selection" role="region" aria-label="Selection">
      <b role="status">${many} selected</b>
      ${working ? html`<${Progress} label=${working.label} value=${working.done} of=${working.of} />` : html`
        <${Button} icon="tag" scope="write" onClick=${() => setTagging(true)}>Tag<//>
        <${Button} icon="trash" kind="danger" scope="write" onClick=${forget}>Forget<//>
        <${Menu} label="Save the selection" icon="download" items=${[
          { title: "As CSV", run: () => keep("csv") }, { title: "As JSON", run: () => keep("json") }]} />
        <${Button} kind="quiet" onClick=${onTable}>Show as table<//>
        <${Button} kind="quiet" onClick=${onClear}>Clear<//>`}
    </div>`}
    ${isTagging && can("write") && html`<${TagDialog} many=${many} onTag=${tag} onClose=${() => setTagging(false)} />`}
    ${receipt && html`<${Receipt} of=${receipt} onClose=${() => setReceipt(null)} />`}`;
}

/**
 * @param {string[]} ids @param {string[]} add @param {string[]} remove @param {(done: number) => void} [told]
 * @returns {Promise<string[]>} whose tags changed
 */
async function tagAll(ids, add, remove, told) {
  const changed = [];
  for (let from = 0; from < ids.length; from += AT_ONCE) {
    const some = ids.slice(from, from + AT_ONCE);
    changed.push(...(await api.post("memory/many/tag", { ids: some, add, remove })).changed);
    told?.(from + some.length);
  }
  return changed;
}

const listed = (/** @type {string} */ text) => text.split(",").map((each) => each.trim()).filter(Boolean);

/** @param {{many: string, onTag: (add: string[], remove: string[]) => any, onClose: () => void}} props */
function TagDialog({ many, onTag, onClose }) {
  const [add, setAdd] = useState(""), [remove, setRemove] = useState("");
  const isEmpty = !listed(add).length && !listed(remove).length;
  const done = () => !isEmpty && onTag(listed(add), listed(remove));
  return html`<${Dialog} title=${`Tag ${many} memories`} onClose=${onClose}
      actions=${html`<${Button} kind="primary" disabled=${isEmpty} onClick=${done}>Change<//>`}>
    <form class="stack" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); done(); }}>
      <${Field} label="Add" hint="separated by commas"><input value=${add} autofocus onInput=${(/** @type {any} */ event) => setAdd(event.target.value)} /><//>
      <${Field} label="Remove"><input value=${remove} onInput=${(/** @type {any} */ event) => setRemove(event.target.value)} /><//>
      <button hidden></button>
    </form><//>`;
}

/** @param {{of: any, onClose: () => void}} props */
function Receipt({ of, onClose }) {
  const told = of.receipt ?? {};
  const keep = () => save("receipt.json", "application/json", toJson(of));
  return html`<${Dialog} title="Forgotten" onClose=${onClose}
      actions=${html`<${Button} icon="download" onClick=${keep}>Save the receipt<//>`}>
    <${Facts} of=${[
      ["Memories", count(of.forgotten)],
      ["Bytes on disk", told.gone ? "cleared" : html`wait for <${Text} value=${told.waitsFor ?? "the next compaction"} />`],
      ["Not there any more", told.missing?.length ? count(told.missing.length) : null],
    ]} /><//>`;
}
