// One memory of the map, at the edge of the page.

import { api, can, segment } from "../../core/api.js";
import { html } from "../../core/lib.js";
import { navigate } from "../../core/router.js";
import { SCREENS } from "../../core/screens.js";
import { useQuery } from "../../core/store.js";
import { Button } from "../../parts/button.js";
import { Copy } from "../../parts/copy.js";
import { confirm, Dialog } from "../../parts/dialog.js";
import { Badge, Facts, Failed, Time, Waiting } from "../../parts/small.js";
import { Block, Text } from "../../parts/text.js";
import { toast } from "../../parts/toast.js";

/** @param {{id: string, marks: string[], onClose: () => void, onSource: (source: string) => void}} props */
export function RecordPanel({ id, marks, onClose, onSource }) {
  const path = `memory/records/${segment(id)}`;
  const found = useQuery(path, (signal) => api.ask("GET", path, { signal }), { parts: ["memory"] });
  const record = found.data?.data;
  const forget = async () => {
    const question = { title: "Forget this memory?", text: "It goes for good, and its bytes are cleared.", action: "Forget", kind: "danger" };
    if (!(await confirm(question))) return;
    await api.del(path, { query: { receipt: true }, ifMatch: found.data.etag });
    toast("Forgotten, and its bytes are cleared");
    onClose();
  };
  const memory = SCREENS.find((each) => each.id === "memory");
  const actions = record && html`
    ${memory && html`<${Button} icon="search" kind="quiet" onClick=${() => navigate(memory.path, { q: record.text.slice(0, 80) })}>Find the like<//>`}
    ${can("write") && html`<${Button} icon="trash" kind="danger" scope="write" onClick=${forget}>Forget<//>`}`;
  return html`<${Dialog} side title="Memory" onClose=${onClose} actions=${actions}>
    ${found.error && html`<${Failed} error=${found.error} again=${found.refresh} />`}
    ${!record && !found.error && html`<${Waiting} />`}
    ${record && html`<div class="stack"><${Block} value=${record.text} marks=${marks} />
      <${Facts} of=${[
        ["Made", html`<${Time} ms=${record.createdAtMs} />`],
        ["Source", record.source && html`<${Button} kind="quiet" onClick=${() => onSource(record.source)}><${Text} value=${record.source} /><//>`],
        ["Category", html`<${Text} value=${record.category} />`],
        ["Tags", record.tags.length ? html`<span class="line">${record.tags.map((/** @type {string} */ each) => html`<${Badge}><${Text} value=${each} /><//>`)}</span>` : null],
        ["Namespace", html`<${Text} value=${record.namespace} />`],
        ["Id", html`<span class="line"><code>${record.id}</code><${Copy} value=${record.id} label="Copy the id" /></span>`],
      ]} /></div>`}<//>`;
}
