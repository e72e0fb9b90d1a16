// What a memory was: its versions, each with what changed.

import { api, segment } from "../core/api.js";
import { html, useState } from "../core/lib.js";
import { useQuery } from "../core/store.js";
import { Diff } from "../parts/diff.js";
import { Badge, Time } from "../parts/small.js";

const ENDINGS = { updated: "changed", superseded: "another took its place", forgotten: "forgotten", archived: "archived", expired: "over" };

export function History({ id }) {
  const found = useQuery(`memory/history/${id}`, (signal) => api.get(`memory/history/${segment(id)}`, { signal }), { parts: ["memory"] });
  const versions = found.data?.versions ?? [];
  if (versions.length < 2) return null;
  return html`<section><h3>What it was</h3><ol class="versions">
    ${versions.map((each, index) => html`<${Version} key=${each.sinceMs + each.record.id} version=${each} next=${versions[index + 1]} />`).reverse()}</ol></section>`;
}

function Version({ version, next }) {
  const [isOpen, setOpen] = useState(false);
  const isNow = version.untilMs === null;
  return html`<li><div class="line"><${Time} ms=${version.sinceMs} />
    ${isNow ? html`<${Badge} kind="good">now<//>` : html`<${Badge}>${ENDINGS[version.ending] ?? version.ending ?? "changed"}<//>`}
    ${next && next.record.text !== version.record.text && html`<button type="button" class="quiet small" aria-expanded=${isOpen}
      onClick=${() => setOpen(!isOpen)}>${isOpen ? "Hide" : "What changed then"}</button>`}</div>
    ${isOpen && html`<${Diff} before=${version.record.text} after=${next.record.text} labels=${["Was", "Became"]} />`}</li>`;
}
