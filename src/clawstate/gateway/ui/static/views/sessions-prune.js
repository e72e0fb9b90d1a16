// Pruning: first it is told which sessions would go, then it is done.

import { api } from "../core/api.js";
import { count } from "../core/format.js";
import { html, useState } from "../core/lib.js";
import { Button } from "../parts/button.js";
import { Dialog } from "../parts/dialog.js";
import { Field } from "../parts/field.js";
import { Text } from "../parts/text.js";
import { toast } from "../parts/toast.js";

const DAY = 86_400;
const SHOWN = 200; // keys that are listed

export function Prune({ onClose }) {
  const [days, setDays] = useState("30");
  const [most, setMost] = useState("");
  const [plan, setPlan] = useState(/** @type {any} */ (null));
  const limits = {
    ...(days !== "" && { olderThan: Number(days) * DAY }), ...(most !== "" && { maxEntries: Number(most) }),
  };
  const edit = (set) => (event) => {
    set(event.currentTarget.value);
    setPlan(null); // what was told is of other limits
  };
  const look = async () => setPlan(await api.post("sessions/prune", { ...limits, dryRun: true }));
  const prune = async () => {
    const done = await api.post("sessions/prune", { ...limits, dryRun: false, enforce: true });
    onClose();
    const keys = done.removed;
    toast(`${count(keys.length)} ${keys.length === 1 ? "session" : "sessions"} went to the archive`, {
      undo: keys.length && keys.length <= SHOWN ? async () => {
        for (const key of keys) await api.post("sessions/restore", { name: key });
      } : undefined,
    });
  };
  return html`<${Dialog} title="Prune sessions" onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>Cancel<//>
      ${plan?.removed.length ? html`<${Button} kind="danger" scope="write" onClick=${prune}>Archive ${count(plan.removed.length)}<//>`
        : html`<${Button} kind="primary" onClick=${look}>Show what would go<//>`}`}>
    <p class="soft">Sessions beyond these limits go to the archive, from where they can be restored as long as it keeps them. Without a limit those of the configuration count.</p>
    <${Field} label="Not updated for so many days"><input type="number" min="0" value=${days} onInput=${edit(setDays)} /><//>
    <${Field} label="Keep so many at most" hint="the ones updated last stay"><input type="number" min="0" value=${most} onInput=${edit(setMost)} /><//>
    <div role="status">${plan && html`<p>${plan.removed.length ? `${count(plan.removed.length)} would go, ${count(plan.kept)} stay.` : "None would go."}</p>`}</div>
    ${plan?.removed.length > 0 && html`<ul class="keys">${plan.removed.slice(0, SHOWN).map((key) => html`<li><${Text} value=${key} /></li>`)}
      ${plan.removed.length > SHOWN && html`<li class="soft">and ${count(plan.removed.length - SHOWN)} more</li>`}</ul>`}<//>`;
}
