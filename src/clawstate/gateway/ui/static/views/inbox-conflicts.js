// Conflicts: records that contradict each other, or the files they came from.

import { api } from "../core/api.js";
import { count } from "../core/format.js";
import { html } from "../core/lib.js";
import { Link } from "../core/router.js";
import { useQuery } from "../core/store.js";
import { Button } from "../parts/button.js";
import { Download } from "../parts/download.js";
import { Badge, Empty, Failed, Waiting } from "../parts/small.js";
import { Block, Text } from "../parts/text.js";
import { confirm } from "../parts/dialog.js";
import { toast } from "../parts/toast.js";

const SHOWN = 100; // conflicts that are shown at once
const KINDS = {
  edited: "You changed it, and its file says something else by now", left: "Its file does not say it any more",
  gone: "The file that it came from is gone", successors: "Several took the place of one", position: "They stand at the same place",
};

export function Conflicts({ found }) {
  const all = found.data?.conflicts ?? [], shown = all.slice(0, SHOWN);
  const ids = [...new Set(shown.flatMap((each) => each.records.slice(0, 5)))];
  const texts = useQuery(`conflicts/${ids.join()}`, async (signal) => (ids.length
    ? new Map((await api.post("memory/many/get", { ids }, { signal })).records.map((each) => [each.id, each])) : new Map()), { parts: ["memory"] });
  if (found.error) return html`<${Failed} error=${found.error} again=${found.refresh} />`;
  if (!found.data) return html`<${Waiting} lines=${6} />`;
  if (!all.length) {
    return html`<${Empty} icon="check" title="Nothing contradicts itself" command="clawstate memory conflicts">
      When a record and its file say different things, or two records took the place of one, you choose here what stays.<//>`;
  }
  return html`<div class="spread"><span class="soft small" role="status">${count(all.length)} ${all.length === 1 ? "conflict" : "conflicts"}${all.length > SHOWN ? `, the first ${SHOWN} are shown` : ""}</span>
      <${Download} name="conflicts" rows=${all} columns=${[["kind", "kind"], ["about", "about"], ["records", (row) => row.records.join(" ")], ["advice", "advice"]]} /></div>
    ${shown.map((each) => html`<${Conflict} key=${`${each.kind} ${each.about} ${each.records.join()}`} conflict=${each} texts=${texts.data} />`)}`;
}

function Conflict({ conflict, texts }) {
  const { kind, records, about, more } = conflict;
  const isOfFile = kind in { edited: 1, left: 1, gone: 1 };
  const settle = async (keep) => {
    const forgets = keep === "file" && kind !== "edited";
    if (forgets && !(await confirm({ title: `Forget ${count(records.length + more)}?`, text: "They cannot come back.", action: "Forget" }))) return;
    await api.post("memory/conflicts/resolve", { about: kind === "gone" ? about : records[0], keep });
    toast("Settled");
  };
  const keepOne = async (id) => {
    for (const other of records) if (other !== id) await api.post("memory/supersede", { old: other, new: id });
    toast("Settled: the others stay in its history");
  };
  return html`<article class="card conflict"><header class="line"><b>${KINDS[kind] ?? kind}</b>${isOfFile && html`<${Badge}><${Text} value=${about} /><//>`}</header>
    ${records.slice(0, 5).map((id, index) => html`<div class="side" key=${id}><div>
        <${Link} class="small soft" to=${`/memory/${encodeURIComponent(id)}`}>${kind === "edited" ? (index ? "What the file says" : "What you made of it") : "In the memory"}<//>
        <${Block} value=${texts?.get(id)?.text ?? "…"} most=${800} lines=${10} /></div>
      ${!isOfFile && html`<${Button} size="small" scope="write" onClick=${() => keepOne(id)}>Keep this one<//>`}</div>`)}
    ${records.length + more > 5 && html`<p class="soft small">and ${count(records.length + more - 5)} more</p>`}
    ${isOfFile && html`<footer class="line"><${Button} size="small" scope="write" onClick=${() => settle("mine")}>${kind === "edited" ? "Keep mine" : "Keep it for good"}<//>
      <${Button} size="small" scope="write" kind=${kind === "edited" ? "" : "danger"} onClick=${() => settle("file")}>${kind === "edited" ? "Take the file's" : "Forget it"}<//>
      ${kind === "edited" && html`<${Button} size="small" scope="write" onClick=${() => settle("both")}>Keep both<//>`}</footer>`}</article>`;
}
