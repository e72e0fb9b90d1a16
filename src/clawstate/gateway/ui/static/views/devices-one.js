// One device: its facts, another name, other scopes, and the way out.

import { api, can, segment, signOut, who } from "../core/api.js";
import { html, useState } from "../core/lib.js";
import { useQuery } from "../core/store.js";
import { Button } from "../parts/button.js";
import { Copy } from "../parts/copy.js";
import { confirm, Dialog } from "../parts/dialog.js";
import { Field } from "../parts/field.js";
import { Once } from "../parts/once.js";
import { ScopeChoice, Scopes } from "../parts/scopes.js";
import { Badge, Facts, Failed, Time, Waiting } from "../parts/small.js";
import { Text } from "../parts/text.js";
import { toast } from "../parts/toast.js";

const time = (ms) => (ms ? html`<${Time} ms=${ms} />` : null);

/** @param {{id: string, onClose: () => void}} props */
export function Device({ id, onClose }) {
  const path = `devices/paired/${segment(id)}`;
  const found = useQuery(`device ${id}`, (signal) => api.get(path, { signal }), { parts: ["devices"] });
  const device = found.data;
  const isMe = id === who.value?.deviceId;
  const revoke = async () => {
    const text = isMe ? "It is this browser: you will be signed out here. This cannot be undone; pair it again to come back."
      : "Its connections close at once, and its token is good no more. This cannot be undone; the device may ask to be paired again.";
    if (!await confirm({ title: `Revoke ${device.name || id}?`, text, action: "Revoke" })) return;
    await api.post(`devices/revoke/${segment(id)}`);
    if (isMe) return signOut("This browser was revoked.");
    toast("Revoked: it is let in no more");
    found.refresh();
  };
  const forget = async () => {
    const text = "It goes from this list as well. This cannot be undone.";
    if (!await confirm({ title: `Forget ${device.name || id}?`, text, action: "Forget" })) return;
    await api.del(path);
    toast("Forgotten");
    onClose();
  };
  return html`<${Dialog} side title=${device ? html`<${Text} value=${device.name || id} />` : "Device"} onClose=${onClose}>
    ${found.error && html`<${Failed} error=${found.error} again=${found.refresh} />`}
    ${!device ? !found.error && html`<${Waiting} />` : html`
      <div class="line">${device.revokedAtMs ? html`<${Badge} kind="bad">revoked<//>` : html`<${Badge} kind="good">let in<//>`}
        ${isMe && html`<${Badge} kind="accent">this browser<//>`}<${Scopes} of=${device.scopes} /></div>
      <${Facts} of=${[
        ["Key", html`<span class="line"><code class="fingerprint">${id}</code><${Copy} value=${id} label="Copy the id" /></span>`],
        ["User", html`<${Text} value=${device.userId} />`],
        ["Role", html`<${Text} value=${device.role} />`],
        ["Was approved for", html`<${Scopes} of=${device.approvedScopes} />`],
        ["First seen", html`<${Time} ms=${device.createdAtMs} />`],
        ["Let in", html`<${Time} ms=${device.approvedAtMs} />`],
        ["Last seen", device.lastUsedAtMs ? html`<${Time} ms=${device.lastUsedAtMs} />` : "never"],
        ["Token expires", time(device.tokens.find((each) => each.role === device.role)?.expiresAtMs)],
        ["Token changed", time(device.tokens.find((each) => each.role === device.role)?.rotatedAtMs)],
        ["Revoked", time(device.revokedAtMs)],
      ]} />
      ${can("admin") && html`<${Rename} device=${device} path=${path} onDone=${onClose} />
        ${!device.revokedAtMs && html`<${Change} device=${device} isMe=${isMe} onDone=${found.refresh} />`}
        <section class="stack"><h3>End it</h3><div class="line">
          ${!device.revokedAtMs && html`<${Button} kind="danger" icon="out" onClick=${revoke}>Revoke<//>`}
          ${!isMe && html`<${Button} kind="danger" icon="trash" onClick=${forget}>Forget<//>`}</div></section>`}`}
  <//>`;
}

function Rename({ device, path, onDone }) {
  const [name, setName] = useState(device.name ?? "");
  const [problem, setProblem] = useState("");
  const before = device.name;
  const rename = async (event) => {
    event.preventDefault();
    setProblem("");
    try {
      await api.patch(path, { name });
    } catch (error) {
      return setProblem(/** @type {Error} */ (error).message);
    }
    // Behind an open dialog nobody could press Undo.
    onDone();
    return toast("Renamed", before ? { undo: () => api.patch(path, { name: before }) } : {});
  };
  return html`<form class="stack" onSubmit=${rename}>
    <${Field} label="Name" error=${problem && html`<${Text} value=${problem} />`}>
      <input value=${name} dir="auto" maxlength="100" onInput=${(event) => setName(event.currentTarget.value)} /><//>
    <div><${Button} type="submit" disabled=${!name.trim() || name === device.name}>Rename<//></div></form>`;
}

/** Other scopes come with another token: one that somebody copied must not keep the old ones. */
function Change({ device, isMe, onDone }) {
  const [scopes, setScopes] = useState(device.scopes);
  const [made, setMade] = useState(/** @type {any} */ (null));
  const isSame = scopes.length === device.scopes.length && scopes.every((each) => device.scopes.includes(each));
  const rotate = async () => {
    const text = "The device gets another token, which you hand over; the one that it has is good no more, and its connections close.";
    if (!await confirm({ title: isSame ? "Give it another token?" : "Change what it may do?", text, action: "Go on" })) return;
    setMade(await api.post(`devices/rotate/${segment(device.deviceId)}`, { scopes }));
    onDone();
  };
  return html`<section class="stack">
    <${ScopeChoice} label="It may" value=${scopes} offered=${device.approvedScopes} onChange=${setScopes} />
    <p class="soft small">Not more than it was approved for: for that it asks again.</p>
    ${!isMe && html`<div><${Button} disabled=${!scopes.length} onClick=${rotate}>${isSame ? "Replace the token" : "Change"}<//></div>`}
    ${made && html`<div class="notice good stack"><div>The new token, shown this once:</div><${Once} value=${made.token} label="the new token" /></div>`}
  </section>`;
}
