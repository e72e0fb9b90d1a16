// What was remembered at a moment, each record as it was then.

import { can } from "../core/api.js";
import { html, useState } from "../core/lib.js";
import { Link } from "../core/router.js";
import { usePages } from "../core/store.js";
import { Button } from "../parts/button.js";
import { Badge, Empty, Failed, Time, Waiting } from "../parts/small.js";
import { Block, Text } from "../parts/text.js";
import { Restore } from "./timeline-restore.js";

/** @param {{moment: number}} props in seconds */
export function Known({ moment }) {
  const found = usePages("timeline/records", "records", { query: { as_of: moment, limit: 50 }, parts: ["memory"] });
  const [restored, restore] = useState(/** @type {any} */ (null));
  if (found.error) return html`<${Failed} error=${found.error} again=${found.refresh} />`;
  if (!found.items.length) {
    return found.hasMore || found.isBusy ? html`<${Waiting} />` : html`<${Empty} icon="clock" title="Nothing was known yet"
      command="clawstate memory import ~/notes">Choose a later day above.<//>`;
  }
  return html`<p class="soft small">Newest first, as it was at the end of the day.</p>
    <ol class="moves">${found.items.map((each) => html`<li key=${each.id} class="card"><div class="spread">
      <div class="line"><${Time} ms=${each.createdAtMs} />${each.tags.map((tag) => html`<${Badge}><${Text} value=${tag} /><//>`)}
        <${Link} to=${`/memory/${encodeURIComponent(each.id)}`}>open<//></div>
      ${can("write") && html`<${Button} size="small" icon="undo" onClick=${() => restore({ part: "memory", name: each.id, moment })}>Compare with now<//>`}</div>
      <${Block} value=${each.text} lines=${6} most=${600} /></li>`)}</ol>
    ${found.hasMore && html`<${Button} onClick=${() => found.more()}>Show earlier ones<//>`}
    ${restored && html`<${Restore} of=${restored} onClose=${() => restore(null)} />`}`;
}
