// Credentials: which there are, whether each can be used now, and in which order they are tried.
// No secret is ever shown: what is kept is told by its ends, as the gateway sends it.

import { api, can, segment } from "../core/api.js";
import { html } from "../core/lib.js";
import { useCommands, useKeys } from "../core/keys.js";
import { setQuery } from "../core/router.js";
import { useQuery } from "../core/store.js";
import { Button } from "../parts/button.js";
import { Countdown } from "../parts/countdown.js";
import { confirm } from "../parts/dialog.js";
import { Download } from "../parts/download.js";
import { Choice } from "../parts/field.js";
import { Menu } from "../parts/menu.js";
import { Order } from "../parts/order.js";
import { Badge, Empty, Failed, Time, Waiting } from "../parts/small.js";
import { Text } from "../parts/text.js";
import { toast } from "../parts/toast.js";
import { AddCredential } from "./credentials-add.js";

/** @param {{query: Record<string, any>}} props */
export default function Credentials({ query }) {
  const agent = query.agent || "main";
  const agents = useQuery("agents", (signal) => api.get("agents", { signal }), { parts: ["auth"] });
  const found = useQuery(`credentials ${agent}`, (signal) => load(agent, signal), { parts: ["auth", "config"] });
  const names = agents.data?.agents ?? ["main"];
  const add = () => setQuery({ add: "1" });
  useKeys("Credentials", can("admin") ? { a: ["Add a credential", add] } : {});
  useCommands([{ id: "credentials.add", title: "Add a credential", hint: "key token secret provider", keys: "a", scope: "admin", run: add }]);
  const profiles = found.data?.profiles ?? [], problems = found.data?.problems ?? [];
  return html`<div class="head"><div><h1>Credentials</h1><p class="lead">Keys and tokens of providers. Their secrets are never shown.</p></div>
      <div class="actions">
        ${names.length > 1 && html`<${Choice} label="Agent" value=${agent} options=${names.map((each) => [each, each])}
          onChange=${(each) => setQuery({ agent: each === "main" ? "" : each })} />`}
        ${profiles.length > 0 && html`<${Download} name="credentials" rows=${profiles} columns=${FILE} />`}
        <${Button} kind="primary" icon="plus" scope="admin" onClick=${add}>Add<//></div></div>
    ${found.error && html`<${Failed} error=${found.error} again=${found.refresh} />`}
    ${problems.map((each) => html`<div class="notice warn" key=${each.id}><div><b><${Text} value=${each.id} /></b> cannot be used:
      <${Text} value=${each.problem} /> <span class="soft"><${Text} value=${each.place} /></span></div></div>`)}
    ${!found.data ? !found.error && html`<${Waiting} />`
      : !profiles.length ? html`<div class="card"><${Empty} icon="key" title="No credentials yet" command="clawstate auth add openai:default">
          An agent needs one for each provider that it asks. The memory works without any.<//></div>`
        : found.data.providers.map((each) => html`<${Provider} key=${each.provider} agent=${agent} order=${each}
            profiles=${profiles.filter((one) => one.provider === each.provider)} again=${found.refresh} />`)}
    ${query.add === "1" && can("admin") && html`<${AddCredential} agent=${agent} known=${profiles.map((each) => each.id)}
      onClose=${() => setQuery({ add: "", replace: "" })} replaces=${query.replace} onDone=${found.refresh} />`}`;
}

async function load(agent, signal) {
  const { profiles, problems } = await api.get("auth/profiles", { signal, query: { agent, limit: 500 } });
  const names = [...new Set(profiles.map((each) => each.provider))].sort();
  const providers = await Promise.all(names.map((each) => api.get(`auth/order/${segment(each)}`, { signal, query: { agent } })));
  return { profiles, problems, providers };
}

const iso = (name) => (each) => (each[name] ? new Date(each[name]).toISOString() : "");
const FILE = [["id", "id"], ["provider", "provider"], ["type", "type"], ["state", "state"], ["reason", "reason"], ["origin", "origin"],
  ["account", "email"], ["until", iso("untilMs")], ["expires", iso("expiresMs")], ["lastUsed", iso("lastUsedMs")], ["failures", "errorCount"]];

/** One provider: its credentials in the order in which they are tried. */
function Provider({ agent, order, profiles, again }) {
  const { provider } = order;
  const place = (id) => {
    const at = order.order.indexOf(id);
    return at < 0 ? order.order.length : at;
  };
  // What cannot be used now has no place among those that are tried, but keeps the one that was set.
  const set = order.stored ?? [];
  const sorted = [...profiles].sort((a, b) => (set.length ? rank(set, a.id) - rank(set, b.id) : 0) || place(a.id) - place(b.id) || a.id.localeCompare(b.id));
  const path = `auth/order/${segment(provider)}`;
  const store = async (ids) => {
    const before = order.stored;
    await api.put(path, { ids }, { query: { agent } });
    again();
    toast("The order is kept", { undo: async () => {
      await api.put(path, { ids: before ?? [] }, { query: { agent } });
      again();
    } });
  };
  return html`<section class="provider stack"><div class="spread"><h2><${Text} value=${provider} /></h2>
      <span class="soft small">${order.order.length ? html`tried now: <${Text} value=${order.order.join(", ")} />` : "none can be used now"}
        ${order.stored && can("admin") && html` · <${Button} kind="quiet" size="small" onClick=${async () => {
          await api.put(path, { ids: [] }, { query: { agent } });
          again();
        }}>Leave it to the configuration<//>`}</span></div>
    <${Order} label=${`Order of ${provider}`} items=${sorted} keyOf=${(each) => each.id} nameOf=${(each) => each.id}
      canMove=${can("admin") && sorted.length > 1} onOrder=${(items) => store(items.map((each) => each.id))}
      render=${(each) => html`<${Credential} profile=${each} agent=${agent} again=${again} />`} />
  </section>`;
}

const rank = (ids, id) => (ids.includes(id) ? ids.indexOf(id) : ids.length);

const STATES = /** @type {Record<string, [string, string]>} */ ({
  good: ["good", "can be used"], cooldown: ["warn", "rests"], resting: ["warn", "rests"], disabled: ["bad", "disabled"],
  expired: ["bad", "expired"], "will-refresh": ["good", "renews itself"], missing: ["bad", "no secret"],
});
const TYPES = { api_key: "API key", token: "token", oauth: "OAuth" };

/** @param {{profile: any, agent: string, again: () => any}} props */
function Credential({ profile, agent, again }) {
  const [kind, word] = STATES[profile.state] ?? ["bad", profile.state ?? "unknown"];
  const query = { agent };
  const remove = async () => {
    const text = "Its secret goes from this state for good. This cannot be undone.";
    if (!await confirm({ title: `Remove ${profile.id}?`, text, action: "Remove" })) return;
    await api.del(`auth/profiles/${segment(profile.id)}`, { query });
    toast("Removed");
    again();
  };
  const reset = async () => {
    await api.post(`auth/reset/${segment(profile.id)}`, undefined, { query });
    toast(`${profile.id} is tried again`);
    again();
  };
  const rests = profile.untilMs > Date.now();
  return html`<div class="credential">
    <div class="credential-text"><div class="line"><b><${Text} value=${profile.id} /></b>
        <${Badge} kind=${kind}>${word}${profile.reason && html`: <${Text} value=${profile.reason} />`}<//>
        ${rests && html`<span class="small">for <${Countdown} until=${profile.untilMs} over="no longer" onEnd=${again} /></span>`}
        ${profile.origin !== "own" && html`<${Badge} title="It lies with another agent, or with another program"><${Text} value=${profile.origin} /><//>`}</div>
      <div class="line soft small"><span>${TYPES[profile.type] ?? profile.type}</span>
        <code dir="ltr"><${Text} value=${profile.secret} /></code>
        ${profile.email && html`<${Text} value=${profile.email} />`}
        ${profile.expiresMs && html`<span>${profile.expiresMs < Date.now() ? "expired" : "expires"} <${Time} ms=${profile.expiresMs} /></span>`}
        <span>${profile.lastUsedMs ? html`used <${Time} ms=${profile.lastUsedMs} />` : "never used"}</span>
        ${profile.errorCount > 0 && html`<span>${profile.errorCount} ${profile.errorCount === 1 ? "failure" : "failures"}</span>`}</div></div>
    ${(rests || profile.errorCount > 0) && html`<${Button} size="small" icon="undo" scope="admin" onClick=${reset}>Try again<//>`}
    <${Menu} label=${`More for ${profile.id}`} items=${[
      profile.origin === "own" && { title: "Replace the secret", icon: "replace", scope: "admin", run: () => setQuery({ add: "1", replace: profile.id }) },
      profile.origin === "own" && { title: "Remove", icon: "trash", kind: "danger", scope: "admin", run: remove },
    ]} /></div>`;
}
