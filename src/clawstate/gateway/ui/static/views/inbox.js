// Inbox: what was captured and waits for a person, what contradicts itself, and what is there twice.

import { api } from "../core/api.js";
import { html } from "../core/lib.js";
import { setQuery } from "../core/router.js";
import { useQuery } from "../core/store.js";
import { Tabs } from "../parts/tabs.js";
import { Captured } from "./inbox-captured.js";
import { Conflicts } from "./inbox-conflicts.js";
import { Duplicates } from "./inbox-duplicates.js";

const LEADS = {
  captured: "Nothing here is recalled before you say so.",
  conflicts: "What says two things at once, until you choose.",
  duplicates: "What is remembered more than once.",
};

export default function Inbox({ query }) {
  const found = useQuery("memory/conflicts", (signal) => api.get("memory/conflicts", { query: { everywhere: true }, signal }), { parts: ["memory"] });
  const size = found.data?.conflicts.length;
  const tab = Object.hasOwn(LEADS, query.tab ?? "") ? query.tab : "captured";
  return html`<div class="head"><div><h1>Inbox</h1><p class="lead">${LEADS[tab]}</p></div></div>
    <div class="stack"><${Tabs} label="What waits" value=${tab} onChange=${(to) => setQuery({ tab: to === "captured" ? "" : to })}
      tabs=${[["captured", "Captured"], ["conflicts", size ? `Conflicts (${size})` : "Conflicts"], ["duplicates", "Near-duplicates"]]} />
    ${tab === "captured" ? html`<${Captured} />` : tab === "conflicts" ? html`<${Conflicts} found=${found} />`
      : html`<${Duplicates} />`}</div>`;
}
