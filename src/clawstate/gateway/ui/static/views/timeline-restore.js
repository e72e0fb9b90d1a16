// Asks before one thing is made what it was before a change: what it is now, and what it will be.

import { api, segment } from "../core/api.js";
import { html, useEffect, useState } from "../core/lib.js";
import { refresh } from "../core/store.js";
import { Button } from "../parts/button.js";
import { Dialog } from "../parts/dialog.js";
import { Diff } from "../parts/diff.js";
import { Failed, Waiting } from "../parts/small.js";
import { Text } from "../parts/text.js";
import { toast } from "../parts/toast.js";

/** @param {{of: any, onClose: () => void}} props `of`: a change, or `{part: "memory", name, moment}` */
export function Restore({ of, onClose }) {
  const asOf = of.moment ?? (of.atMs - 1) / 1000;
  const [told, tell] = useState(/** @type {any} */ (null));
  useEffect(() => {
    let isOver = false;
    compare(of, asOf).then((found) => isOver || tell(found), (error) => isOver || tell({ error }));
    return () => { isOver = true; };
  }, []);
  const isSame = told && !told.error && told.now === told.then;
  const run = async () => {
    const undo = await putBack(of, asOf, told.nowMs);
    onClose();
    refresh("");
    toast("It is what it was", undo ? { undo } : {});
  };
  return html`<${Dialog} wide title="Make it what it was?" onClose=${onClose} actions=${html`
    <${Button} onClick=${onClose}>Cancel<//>
    <${Button} kind="primary" disabled=${!told || told.error || isSame} onClick=${run}>Make it so<//>`}>
    ${!told ? html`<${Waiting} />` : told.error ? html`<${Failed} error=${told.error} />`
      : html`<p>${told.about && html`<${Text} value=${told.about} />. `}What it is now stays in its history.</p>
        <${Diff} before=${told.now} after=${told.then} labels=${["Now", "Will be"]} />`}<//>`;
}

async function compare(of, asOf) {
  const query = { as_of: asOf };
  if (of.part === "memory") {
    const then = await api.get(`timeline/records/${segment(of.name)}`, { query });
    const now = await api.get(`memory/records/${segment(of.name)}`).catch(absent);
    return { then: shown(then), now: now ? shown(now) : "", nowMs: now?.updatedAtMs ?? null, about: now ? "" : "It is not kept now" };
  }
  if (of.part === "sessions") {
    const now = await api.get(`sessions/entries/${segment(of.name)}`).catch(absent);
    return { then: of.before ?? "{}", now: members(now, of.changed), nowMs: now?.updatedAtMs ?? null, about: of.name };
  }
  const [path] = of.changed;
  const { text } = await api.get("timeline/config", { query });
  const now = await api.get("timeline/config", { query: { as_of: Date.now() / 1000 } });
  return { then: text, now: now.text, nowMs: null, about: `Only ${path} changes` };
}

const shown = (record) => [record.title && `# ${record.title}`, record.text, record.tags.length && record.tags.map((tag) => `#${tag}`).join(" ")]
  .filter(Boolean).join("\n");

const members = (entry, names) => (entry ? JSON.stringify(Object.fromEntries(names.filter((each) => each in entry).map((each) => [each, entry[each]]))) : "");

function absent(error) {
  if (error.type === "not_found") return null;
  throw error;
}

/** Makes it so, and gives what takes it back, where there is something to go back to. */
async function putBack(of, asOf, nowMs) {
  const send = (moment) => {
    if (of.part === "memory") return api.post(`timeline/records/${segment(of.name)}`, { asOf: moment });
    return api.post("timeline/sessions", { key: of.name, asOf: moment });
  };
  if (of.part === "config") {
    await api.post("timeline/config", { path: of.changed[0], asOf });
    return () => api.post("config/undo", {});
  }
  await send(asOf);
  return nowMs === null ? null : () => send(nowMs / 1000);
}
