// An invitation: a link and its QR code, good once, for ten minutes.

import { api } from "../core/api.js";
import { html, useState } from "../core/lib.js";
import { Button } from "../parts/button.js";
import { Countdown } from "../parts/countdown.js";
import { Dialog } from "../parts/dialog.js";
import { Field } from "../parts/field.js";
import { Once } from "../parts/once.js";
import { ScopeChoice, SCOPES } from "../parts/scopes.js";
import { Badge } from "../parts/small.js";

/** @param {{onClose: () => void}} props */
export function Invitation({ onClose }) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState(["operator.read"]);
  const [made, setMade] = useState(/** @type {any} */ (null));
  const [isOver, setOver] = useState(false);
  const isHere = /^(localhost|127\.|\[::1\])/.test(location.hostname);
  const invite = async () => {
    setOver(false);
    setMade(await api.post("pairing/invitations", { scopes, name: name.trim() || null }));
  };
  if (!made) {
    return html`<${Dialog} title="Invite a device" onClose=${onClose} actions=${html`
        <${Button} onClick=${onClose}>Cancel<//>
        <${Button} kind="primary" icon="link" disabled=${!scopes.length} onClick=${invite}>Make the invitation<//>`}>
      <p>Whoever opens it first is let in without a question. It is good once, for ten minutes.</p>
      <${Field} label="Name" hint="what the device is called here; it may be left empty">
        <input value=${name} dir="auto" maxlength="100" onInput=${(event) => setName(event.currentTarget.value)} /><//>
      <${ScopeChoice} label="It may" value=${scopes} offered=${SCOPES.map(([each]) => each)} onChange=${setScopes} />
    <//>`;
  }
  return html`<${Dialog} title="Invitation" onClose=${onClose} actions=${html`
      <${Button} onClick=${() => setMade(null)}>Another one<//><${Button} kind="primary" onClick=${onClose}>Done<//>`}>
    <div class="invite">
      ${isOver ? html`<div class="notice warn"><div>This invitation is over.</div></div>`
        : html`<img class="qr" src=${made.qr} alt="QR code of the invitation" width="232" height="232" />`}
      <div class="line"><${Badge} kind="accent">good once<//> <span>expires in <b><${Countdown} until=${made.expiresAtMs} over="0:00"
        onEnd=${() => setOver(true)} /></b></span></div>
      ${!isOver && html`<${Once} value=${made.link} label="the link" />`}
    </div>
    ${isHere && html`<div class="notice warn"><div>The link names this machine itself, where a phone cannot reach it. Open this page by an address
      of your network first: <code>clawstate gateway run --host ADDRESS</code></div></div>`}
    <p class="soft small">Hand it to nobody else: its end is a secret. It is shown this once.</p>
  <//>`;
}
