// Inbox: what was captured and waits for a person, and what contradicts itself.

import { api } from "../core/api.js";
import { html } from "../core/lib.js";
import { setQuery } from "../core/router.js";
import { useQuery } from "../core/store.js";
import { Tabs } from "../parts/tabs.js";
import { Captured } from "./inbox-captured.js";
import { Conflicts } from "./inbox-conflicts.js";

export default function Inbox({ query }) {
  const found = useQuery("memory/conflicts", (signal) => api.get("memory/conflicts", { query: { everywhere: true }, signal }), { parts: ["memory"] });
  const size = found.data?.conflicts.length;
  const tab = query.tab === "conflicts" ? "conflicts" : "captured";
  return html`<div class="head"><div><h1>Inbox</h1><p class="lead">Nothing here is recalled before you say so.</p></div></div>
    <div class="stack"><${Tabs} label="What waits" value=${tab} onChange=${(to) => setQuery({ tab: to === "captured" ? "" : to })}
      tabs=${[["captured", "Captured"], ["conflicts", size ? `Conflicts (${size})` : "Conflicts"]]} />
    ${tab === "captured" ? html`<${Captured} />` : html`<${Conflicts} found=${found} />`}</div>`;
}
