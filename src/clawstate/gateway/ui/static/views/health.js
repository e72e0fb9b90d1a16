// Health: what is wrong and how it is mended, whose the directory is, and whether all is safe on disk.

import { api } from "../core/api.js";
import { bytes, duration } from "../core/format.js";
import { classes, html, useEffect, useState } from "../core/lib.js";
import { useCommands, useKeys } from "../core/keys.js";
import { list, setQuery } from "../core/router.js";
import { refresh, useQuery } from "../core/store.js";
import { Button } from "../parts/button.js";
import { confirm } from "../parts/dialog.js";
import { Download } from "../parts/download.js";
import { Icon } from "../parts/icon.js";
import { Badge, Empty, Facts, Failed, Progress, Time, Waiting } from "../parts/small.js";
import { Command, Text } from "../parts/text.js";
import { toast } from "../parts/toast.js";
import { Backups } from "./health-backups.js";

const KINDS = /** @type {[string, string, string][]} */ ([["error", "Errors", "bad"], ["warning", "Warnings", "warn"], ["info", "Notes", ""]]);
const PARTS = ["memory", "config", "devices", "pairing", "auth", "sessions"];

/** @param {{query: Record<string, any>}} props */
export default function Health({ query }) {
  // Not asked again at each change: it reads much, and would never be at rest beside a busy agent.
  const found = useQuery("doctor", (signal) => api.get("doctor", { signal }));
  const [deep, setDeep] = useState(/** @type {{since: number, data?: any}|null} */ (null));
  const [mended, setMended] = useState(/** @type {any[]} */ ([]));
  const shown = deep?.data ?? found.data;
  const look = async () => {
    const since = Date.now();
    setDeep({ since });
    try {
      const data = await api.get("doctor", { query: { quick: "false" } });
      setDeep({ since, data });
      toast(data.ok ? "Every page was read: all is well" : "Every page was read");
    } catch (error) {
      setDeep(null);
      throw error;
    }
  };
  const mend = async (wanted) => {
    const one = wanted.length === 1 && wanted[0];
    const told = html`${wanted.map((each) => html`<span class="will"><${Text} value=${each.message} /><br />
      <b>Then: <${Text} value=${each.fix || "it is mended"} /></b></span>`)}`;
    const title = one ? "Mend this?" : `Mend ${wanted.length} findings?`;
    if (!await confirm({ title, text: told, action: "Mend", kind: "primary" })) return;
    const query = { quick: deep?.data ? "false" : "true", ...(one ? { code: one.code, path: one.path } : {}) };
    const after = await api.post("doctor/fix", undefined, { query });
    const isIn = (each, all) => all.some((other) => other.code === each.code && other.path === each.path);
    setMended(after.findings.filter((each) => isIn(each, wanted)));
    setDeep(null);
    refresh("doctor");
    refresh("status");
  };
  const only = list(query.severity);
  const findings = (shown?.findings ?? []).filter((each) => !only.length || only.includes(each.severity));
  const mendable = (shown?.findings ?? []).filter((each) => each.mendable);
  useKeys("Health", { r: ["Look again", found.refresh] });
  useCommands([{ id: "health.deep", title: "Deep check", hint: "doctor deep health", run: look }]);
  return html`<div class="head"><div><h1>Health</h1><p class="lead">What <code>clawstate doctor</code> finds.</p></div>
      <div class="actions"><${Button} icon="search" onClick=${look} disabled=${deep && !deep.data}>Deep check<//>
        ${mendable.length > 1 && html`<${Button} kind="primary" icon="check" scope="admin" onClick=${() => mend(mendable)}>Mend all ${mendable.length}<//>`}</div></div>
    ${found.error && html`<${Failed} error=${found.error} again=${found.refresh} />`}
    ${deep && !deep.data && html`<${Running} since=${deep.since} />`}
    ${mended.length > 0 && html`<section class="notice good" role="status"><div><b>What was done</b>
      ${mended.map((each) => html`<p><${Text} value=${each.message} />: <${Text} value=${each.fix || "mended"} /></p>`)}</div>
      <${Button} size="small" onClick=${() => setMended([])}>Close<//></section>`}
    ${!shown ? !found.error && html`<${Waiting} />` : html`<section class="stack">
      <div class="spread"><div class="line" role="group" aria-label="Which findings">
        ${KINDS.map(([severity, title, kind]) => {
          const count = shown.findings.filter((each) => each.severity === severity).length;
          const isOn = only.includes(severity);
          return html`<button type="button" class=${classes("button small filter", isOn && "on")} aria-pressed=${isOn} disabled=${!count && !isOn}
            onClick=${() => setQuery({ severity: isOn ? only.filter((each) => each !== severity) : [...only, severity] })}>
            ${title} <${Badge} kind=${count ? kind : ""}>${count}<//></button>`;
        })}</div>
        ${shown.findings.length > 0 && html`<${Download} name="findings" rows=${shown.findings}
          columns=${["severity", "code", "path", "message", "fix", "mendable"].map((each) => [each, each])} />`}</div>
      ${!shown.findings.length && html`<div class="card"><${Empty} icon="check" title="All is well" command="clawstate doctor">
        ${deep?.data ? "Every page of every file was read." : "The quick look found nothing. A deep check also reads every page of every file."}<//></div>`}
      ${findings.map((each) => html`<${One} key=${`${each.code} ${each.path}`} finding=${each} onMend=${() => mend([each])} />`)}
    </section>`}
    <${State} />`;
}

/** @param {{finding: any, onMend: () => any}} props */
function One({ finding, onMend }) {
  const [, title, kind] = KINDS.find(([each]) => each === finding.severity) ?? KINDS[2];
  return html`<article class=${`card finding ${finding.severity}`}>
    <${Icon} name=${finding.severity === "info" ? "info" : "warning"} />
    <div class="finding-text"><div class="line"><${Badge} kind=${kind}>${title.replace(/s$/, "")}<//><code>${finding.code}</code></div>
      <p><${Text} value=${finding.message} /></p>
      ${finding.path && !finding.message.includes(finding.path) && html`<p class="soft small"><${Text} class="mono" value=${finding.path} /></p>`}
      ${finding.fix && html`<p class="soft"><${Fix} text=${finding.fix} /></p>`}</div>
    ${finding.mendable && html`<${Button} icon="check" scope="admin" onClick=${onMend}>Mend<//>`}
  </article>`;
}

/** What to do, with its commands ready to be copied. @param {{text: string}} props */
const Fix = ({ text }) => text.split(/'(clawstate [^']+)'/).map((each, index) =>
  (index % 2 ? html`<${Command}>${each}<//>` : html`<${Text} value=${each} />`));

/** @param {{since: number}} props */
function Running({ since }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  return html`<div class="card" role="status"><${Progress} label=${`Every page is read \u2026 ${duration(Math.max(0, now - since) / 1000)}`} /></div>`;
}

function State() {
  const status = useQuery("status", (signal) => api.get("status", { signal }), { parts: PARTS });
  const space = useQuery("status space", (signal) => api.get("status/space", { signal }));
  const found = status.data, disk = space.data;
  if (!found) return status.error ? html`<${Failed} error=${status.error} again=${status.refresh} />` : null;
  const owner = found.openclaw ?? {};
  const backup = found.lastVerifiedBackup && Date.parse(found.lastVerifiedBackup);
  const used = disk && disk.totalBytes - disk.freeBytes;
  return html`<div class="state">
    <section class="card"><h2>Safety</h2><${Facts} of=${[
      ["Last durable write", found.lastDurableWriteMs ? html`<${Time} ms=${found.lastDurableWriteMs} />` : "none yet"],
      ["Last backup", backup ? html`<${Time} ms=${backup} /> <${Badge} kind="good">verified<//>`
        : html`<div>none</div><${Command}>clawstate backup create<//>`],
      ["SQLite", html`<${Text} value=${found.sqlite} />`],
    ]} /></section>
    <${Backups} />
    <section class="card"><h2>Ownership of the directory</h2><${Facts} of=${[
      ["Directory", html`<${Text} class="mono" value=${found.stateDir} />`],
      ["OpenClaw", html`<${Text} value=${owner.summary ?? "nobody"} />`],
      ["Used by", owner.era && html`<${Badge} kind=${owner.era === "nobody" ? "good" : "accent"}><${Text}
        value=${{ nobody: "clawstate's own", files: "OpenClaw's files", sqlite: "OpenClaw with SQLite" }[owner.era] ?? owner.era} /><//>`],
      ["Version", owner.version && html`<${Text} value=${owner.version} />`],
      ["Gateway of OpenClaw", owner.gatewayPid && `runs as process ${owner.gatewayPid}`],
    ]} /></section>
    <section class="card"><h2>Space</h2>
      ${space.error && html`<${Failed} error=${space.error} again=${space.refresh} />`}
      ${disk && html`<div class="meter"><meter min="0" max=${disk.totalBytes} low=${disk.totalBytes * 0.8} high=${disk.totalBytes * 0.95} optimum="0"
          value=${used} aria-label="How full the disk is"></meter><span>${bytes(disk.freeBytes)} free of ${bytes(disk.totalBytes)}</span></div>
        <${Facts} of=${[["This state", html`<b>${bytes(disk.bytes)}</b>`],
          ...disk.places.slice(0, 8).map((each) => [html`<${Text} class="mono" value=${each.name} />`, bytes(each.bytes)])]} />`}</section>
  </div>`;
}
