// Backups: those that are there, whether each was proven, and one more at the press of a button.

import { api, isAbort, segment } from "../core/api.js";
import { bytes } from "../core/format.js";
import { html, useEffect, useRef, useState } from "../core/lib.js";
import { useQuery } from "../core/store.js";
import { Button } from "../parts/button.js";
import { Badge, Facts, Failed, Progress, Time } from "../parts/small.js";
import { Command, Text } from "../parts/text.js";
import { fail, toast } from "../parts/toast.js";

const SHOWN = 8;
const OFTEN = 500; // milliseconds between two looks at a job

/** A gateway that knows no such route shows no such part. @param {string} path */
const asked = (path) => (/** @type {AbortSignal} */ signal) => api.get(path, { signal })
  .catch((error) => (error.type === "not_found" ? null : Promise.reject(error)));

export function Backups() {
  const status = useQuery("backups", asked("backups"));
  const files = useQuery("backups files", asked("backups/files"));
  const [job, setJob] = useState(/** @type {any} */ (null));
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const follow = async (id) => {
    try {
      const found = await api.get(`jobs/${segment(id)}`);
      setJob(found);
      if (found.state === "running") {
        timer.current = setTimeout(follow, OFTEN, id);
        return;
      }
      setJob(null);
      status.refresh();
      files.refresh();
      if (found.error) fail(new Error(found.error.message));
      else toast("A backup was made, and proven by restoring it once");
    } catch (error) {
      setJob(null);
      if (!isAbort(error)) fail(error);
    }
  };
  const make = async () => {
    const begun = await api.post("backups/files", {});
    setJob(begun);
    timer.current = setTimeout(follow, OFTEN, begun.id);
  };
  if (status.error) return html`<section class="card"><h2>Backups</h2><${Failed} error=${status.error} again=${status.refresh} /></section>`;
  if (!status.data) return null;
  const { schedule, lastVerifiedMs, nextMs, folder } = status.data;
  const all = files.data?.backups ?? [];
  return html`<section class="card"><div class="spread"><h2>Backups</h2>
      <${Button} icon="plus" scope="admin" disabled=${job !== null} onClick=${make}>Back up now<//></div>
    ${job && html`<${Progress} label="Backing up" value=${job.done} of=${job.total || undefined} />`}
    <${Facts} of=${[
      ["Last proven", lastVerifiedMs ? html`<${Time} ms=${lastVerifiedMs} />` : "none yet"],
      ["By itself", schedule ? html`next ${nextMs ? html`<${Time} ms=${nextMs} />` : "soon"}`
        : html`<div>no</div><${Command}>clawstate backup enable<//>`],
      ["Folder", folder && html`<${Text} class="mono" value=${folder} />`],
    ]} />
    ${files.error && html`<${Failed} error=${files.error} again=${files.refresh} />`}
    ${all.length > 0 && html`<ul class="backups">${all.slice(0, SHOWN).map((each) => html`<li key=${each.path} class="spread">
      <span><${Time} ms=${each.createdMs} /> <${Badge} kind=${each.verifiedMs ? "good" : ""}>${each.verifiedMs ? "proven" : "not proven"}<//>
        ${each.encrypted && html` <${Badge}>encrypted<//>`}</span><span class="num soft">${bytes(each.bytes)}</span></li>`)}</ul>
      ${all.length > SHOWN && html`<p class="soft small">and ${all.length - SHOWN} older ones</p>`}`}</section>`;
}
