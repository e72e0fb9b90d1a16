// Devices: who asks to be let in, who is, and what each may do.

import { api, can, segment, who } from "../core/api.js";
import { approving } from "../core/arrival.js";
import { html, useEffect, useState } from "../core/lib.js";
import { useCommands, useKeys } from "../core/keys.js";
import { navigate, setQuery } from "../core/router.js";
import { useQuery } from "../core/store.js";
import { Button } from "../parts/button.js";
import { Countdown } from "../parts/countdown.js";
import { Dialog } from "../parts/dialog.js";
import { Switch } from "../parts/field.js";
import { Once } from "../parts/once.js";
import { ScopeChoice, Scopes } from "../parts/scopes.js";
import { Badge, Empty, Facts, Failed, Time, Waiting } from "../parts/small.js";
import { Table } from "../parts/table.js";
import { Text } from "../parts/text.js";
import { toast } from "../parts/toast.js";
import { Device } from "./devices-one.js";
import { Invitation } from "./devices-invite.js";

/** @param {{params: {id?: string}, query: Record<string, any>}} props */
export default function Devices({ params, query }) {
  const withRevoked = query.revoked === "1";
  const found = useQuery(`devices ${withRevoked}`,
    (signal) => api.get("devices", { signal, query: { limit: 500, revoked: withRevoked || undefined } }), { parts: ["devices"] });
  useKeys("Devices", can("admin") ? { i: ["Invite a device", () => setQuery({ invite: "1" })] } : {});
  useCommands([{ id: "devices.invite", title: "Invite a device", hint: "QR code link phone pair", keys: "i", scope: "admin",
    run: () => navigate("/devices", { invite: "1" }) }]);
  const devices = found.data?.devices ?? [];
  return html`<div class="head"><div><h1>Devices</h1><p class="lead">Who may use this state, and what for.</p></div>
      <div class="actions"><${Button} kind="primary" icon="plus" scope="admin" onClick=${() => setQuery({ invite: "1" })}>Invite a device<//></div></div>
    ${can("pairing") && html`<${Requests} />`}
    <section class="stack"><div class="spread"><h2>Let in</h2>
      <${Switch} label="Show revoked" value=${withRevoked} onChange=${(on) => setQuery({ revoked: on ? "1" : "" })} /></div>
    ${found.error && html`<${Failed} error=${found.error} again=${found.refresh} />`}
    ${!found.data ? !found.error && html`<${Waiting} />`
      : devices.length ? html`<${Table} label="Devices" rows=${devices} keyOf=${(each) => each.deviceId} columns=${COLUMNS}
          onOpen=${(each) => navigate(`/devices/${segment(each.deviceId)}`, query)} download=${{ name: "devices", columns: FILE }} />`
        : html`<div class="card"><${Empty} icon="device" title="Nobody but the owner is let in" command="clawstate devices invite">
            A phone, a browser or another machine comes in by an invitation, or asks with a code that you approve here.<//></div>`}
    </section>
    ${params.id && html`<${Device} id=${params.id} onClose=${() => navigate("/devices", query)} />`}
    ${query.invite === "1" && can("admin") && html`<${Invitation} onClose=${() => setQuery({ invite: "" })} />`}`;
}

const titleOf = (device) => device.name || device.deviceId;
const isMe = (device) => device.deviceId === who.value?.deviceId;

const COLUMNS = [
  { title: "Name", sort: titleOf, cell: (each) => html`<span class="line"><a class="plain" href=${`/devices/${segment(each.deviceId)}`} onClick=${(event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    event.stopPropagation();
    navigate(`/devices/${segment(each.deviceId)}`, Object.fromEntries(new URLSearchParams(location.search)));
  }}><${Text} value=${titleOf(each)} /></a> ${isMe(each) && html`<${Badge} kind="accent">this browser<//>`}
    ${each.revokedAtMs && html`<${Badge} kind="bad">revoked<//>`}</span>` },
  { title: "May", sort: (each) => each.scopes.length, cell: (each) => html`<${Scopes} of=${each.scopes} />` },
  { title: "Last seen", sort: (each) => each.lastUsedAtMs, cell: (each) => (each.lastUsedAtMs ? html`<${Time} ms=${each.lastUsedAtMs} />` : "never") },
  { title: "Let in", sort: (each) => each.approvedAtMs, cell: (each) => html`<${Time} ms=${each.approvedAtMs} />` },
];

const iso = (name) => (each) => (each[name] ? new Date(each[name]).toISOString() : "");
const FILE = [["id", "deviceId"], ["name", "name"], ["user", "userId"], ["role", "role"], ["scopes", (each) => each.scopes.join(" ")],
  ["approved", iso("approvedAtMs")], ["lastUsed", iso("lastUsedAtMs")], ["revoked", iso("revokedAtMs")]];

/** Those who ask: nothing is shown while nobody does, but for who came with a code. */
function Requests() {
  const found = useQuery("pairing", (signal) => api.get("pairing/requests", { signal, query: { limit: 100 } }), { parts: ["pairing", "devices"] });
  const [token, setToken] = useState(/** @type {any} */ (null));
  const requests = found.data?.requests ?? [];
  const wanted = bare(approving.value);
  const isGone = wanted && found.data && !requests.some((each) => each.code === wanted);
  useKeys("Devices", requests.length ? { a: ["Go to the first that asks", () => /** @type {any} */ (document.querySelector(".request button"))?.focus()] } : {});
  return html`${found.error && html`<${Failed} error=${found.error} again=${found.refresh} />`}
    ${isGone && html`<div class="notice warn"><div>Nobody asks with the code <b><${Text} value=${approving.value} /></b>: it was decided,
      or it is older than an hour. Let the device ask again.</div></div>`}
    ${requests.length > 0 && html`<section class="stack requests"><h2>Waiting to be let in</h2>
      ${requests.map((each) => html`<${Request} key=${each.code} request=${each} isWanted=${each.code === wanted} onDone=${(made) => {
        if (made?.token) setToken(made);
        found.refresh();
      }} />`)}</section>`}
    ${token && html`<${Dialog} title="Let in" onClose=${() => setToken(null)} actions=${html`<${Button} kind="primary" onClick=${() => setToken(null)}>Done<//>`}>
      <p>This device does not fetch its token by itself. Hand it over now: it is shown this once.</p>
      <${Once} value=${token.token} label="the token of the device" /><//>`}`;
}

const bare = (code) => code.replaceAll(/[^a-zA-Z0-9]/g, "").toUpperCase();
const DEFAULT = ["operator.read", "operator.write"];

/** @param {{request: any, isWanted: boolean, onDone: (made?: any) => void}} props */
function Request({ request, isWanted, onDone }) {
  const asked = request.scopes ?? DEFAULT;
  const [scopes, setScopes] = useState(asked.filter((each) => can("admin") || can(each.replace("operator.", ""))));
  const [element, setElement] = useState(/** @type {HTMLElement|null} */ (null));
  useEffect(() => {
    if (isWanted) element?.scrollIntoView({ block: "center" });
  }, [isWanted, element]);
  const code = `${request.code.slice(0, 4)}-${request.code.slice(4)}`;
  const name = request.name || request.deviceId;
  const approve = async () => {
    // By its code, which another question of the same device does not have.
    const made = await api.post("pairing/approve", { code: request.code, scopes });
    approving.value = "";
    toast(`${name} is let in`);
    onDone(made);
  };
  const deny = async () => {
    await api.post("pairing/reject", { code: request.code });
    approving.value = "";
    toast(`${name} was turned away`);
    onDone();
  };
  return html`<article class=${`card request${isWanted ? " wanted" : ""}`} ref=${setElement} aria-label=${`Request ${code}`}>
    <div class="spread"><div><h3 class="request-name"><${Text} value=${name} /></h3>
      <span class="soft small">Compare the code with the one that the device shows.</span></div>
      <span class="code-shown small-code">${code}</span></div>
    <${Facts} of=${[
      ["Key", html`<${Fingerprint} device=${request} />`],
      ["Comes from", html`<${Text} value=${request.source ?? "this machine"} />`],
      ["Asked", html`<${Time} ms=${request.createdAtMs} />`],
      ["Answer within", request.expiresAtMs && html`<${Countdown} until=${request.expiresAtMs} over="too late" onEnd=${onDone} />`],
      ["User", request.userId === "owner" ? null : html`<${Text} value=${request.userId} />`],
    ]} />
    <${ScopeChoice} label="It asks to" value=${scopes} offered=${asked} onChange=${setScopes} />
    <div class="line"><${Button} kind="primary" icon="check" disabled=${!scopes.length} onClick=${approve}>Approve<//>
      <${Button} kind="danger" icon="close" onClick=${deny}>Deny<//></div>
  </article>`;
}

/** The digest of a key, in groups that people can compare. @param {{device: any}} props */
export function Fingerprint({ device }) {
  const id = device.deviceId;
  if (!/^[0-9a-f]{64}$/.test(id)) return html`<${Text} class="mono" value=${id} />`;
  return html`<span class="mono fingerprint" title=${id} dir="ltr">${id.slice(0, 32).match(/.{4}/g).join(" ")}\u2026</span>`;
}
