// Overview: what there is, how much of it, and how fast the gateway answers.

import { api, ask } from "../core/api.js";
import { bytes, count, duration } from "../core/format.js";
import { html, signal, useEffect } from "../core/lib.js";
import { Link } from "../core/router.js";
import { SCREENS } from "../core/screens.js";
import { useQuery } from "../core/store.js";
import { Badge, Empty, Facts, Failed, Time, Waiting } from "../parts/small.js";
import { Command, Text } from "../parts/text.js";
import { Plot } from "../parts/plot.js";
import { Growth } from "./overview-growth.js";
import { latencyOf, readMetrics } from "./overview-metrics.js";

const EVERY = 4_000; // milliseconds between two looks at the counts of the gateway
const MOST = 450; // looks that are kept: half an hour

/** What the gateway counted, kept while the page is open, also while another screen is shown. */
const looks = signal(/** @type {{ms: number, found: any}[]} */ ([]));

export default function Overview() {
  const status = useQuery("status", (signal) => api.get("status", { signal }),
    { parts: ["memory", "sessions", "transcripts", "devices", "pairing", "auth"] });
  useEffect(() => {
    look();
    const timer = setInterval(look, EVERY);
    return () => {
      clearInterval(timer);
    };
  }, []);
  if (!status.data) {
    return status.error ? html`<${Failed} error=${status.error} again=${status.refresh} />` : html`<${Waiting} lines=${8} />`;
  }
  const { memory, records, ...state } = status.data;
  const isEmpty = !memory.records && !records.sessions && !records.messages;
  return html`<div class="head"><div><h1>Overview</h1>
      <p class="lead"><${Text} value=${state.stateDir} /></p></div>
      <div class="line soft small">Last durable write <${Time} ms=${state.lastDurableWriteMs} /></div></div>
    ${status.error && html`<${Failed} error=${status.error} again=${status.refresh} />`}
    ${isEmpty && html`<div class="card"><${Empty} icon="plus" title="Nothing is remembered yet" command="clawstate memory import ~/notes">
      Import a folder of notes, or remember one sentence.<//></div>`}
    <div class="tiles">
      <${Tile} value=${memory.records} name="memories" screen="memory" />
      <${Tile} value=${memory.sources} name="sources" screen="memory" />
      <${Tile} value=${records.sessions} name="sessions" screen="sessions" />
      <${Tile} value=${records.messages} name="messages" screen="sessions" />
      <${Tile} value=${records.pairedDevices} name="devices" screen="devices" />
      <${Tile} value=${records.pairingRequests} name="ask to be let in" screen="devices" />
      <${Tile} value=${sum(records.credentials)} name="credentials" screen="credentials" />
      <${Tile} text=${bytes(memory.bytes + (memory.vectorIndexBytes ?? 0))} name="of memory on disk" />
    </div>
    <div class="panels">
      <${Growth} />
      <${Latency} />
      <section class="card"><h2>State</h2>
        ${memory.error && html`<${Failed} error=${memory.error} />`}
        <${Facts} of=${[
          ["clawstate", state.version],
          ["Memory is kept in", memory.engine],
          ["Other state is kept in", String(records.engine)],
          ["Embedding model", memory.embedder && html`<${Text} value=${memory.embedder} />`],
          ["Not yet embedded", memory.waiting ? html`<${Badge} kind="warn">${count(memory.waiting)}<//>` : "none"],
          ["Expired", memory.expired ? count(memory.expired) : null],
          ["Namespaces", html`<${Namespaces} of=${memory.namespaces} />`],
          ["OpenClaw in this directory", html`<${Text} value=${state.openclaw.summary} />`],
          ["Files no longer used", left(state.leftBehind)],
        ]} /></section>
    </div>`;
}

const sum = (counts) => (typeof counts === "object" && counts ? Object.values(counts).reduce((a, b) => a + b, 0) : counts);

const Namespaces = ({ of }) => html`<span class="line">${Object.entries(of ?? {}).map(([name, size]) =>
  html`<${Badge}><${Text} value=${name} /> ${count(/** @type {number} */ (size))}<//>`)}</span>`;

const left = (found) => (Object.keys(found ?? {}).length
  ? Object.entries(found).map(([name, told]) => html`<div><${Text} value=${`${name}: ${told}`} /></div>`) : null);

/** A number that leads to the screen that shows what it counts, where there is one. */
function Tile({ value, text, name, screen }) {
  // What could not be counted says why instead.
  const shown = text ?? (typeof value === "number" ? count(value) : "–");
  const told = html`<b>${shown}</b><span>${name}</span>`;
  const to = SCREENS.find((each) => each.id === screen);
  return to ? html`<${Link} class="tile" to=${to.path}>${told}<//>` : html`<div class="tile" title=${typeof value === "string" ? value : undefined}>${told}</div>`;
}

async function look() {
  if (document.hidden) return;
  try {
    const { data } = await ask("GET", "/metrics");
    looks.value = [...looks.value, { ms: Date.now(), found: readMetrics(data) }].slice(-MOST);
  } catch {
    // The banner tells that the gateway is away.
  }
}

function Latency() {
  // The first look tells of all since the gateway was started; those after it of the time between.
  const told = looks.value.map((each, index) => ({ ms: each.ms, ...latencyOf(each.found, looks.value[index - 1]?.found ?? null) }));
  const steps = told.length === 1 ? [{ ...told[0], ms: told[0].ms - EVERY }, told[0]] : told;
  const last = looks.value.at(-1)?.found;
  const all = last && latencyOf(last, null);
  return html`<section class="card"><div class="spread"><h2>How fast it answers</h2>
      ${all?.count > 0 && html`<span class="soft small">half within ${duration(all.median)}, 95 % within ${duration(all.high)}</span>`}</div>
    ${steps.length > 1 ? html`<${Plot} label="How long answers take" times=${steps.map((each) => each.ms)} format=${duration} lines=${[
        { title: "95 % within", values: steps.map((each) => each.high) },
        { title: "half within", values: steps.map((each) => each.median) },
      ]} />` : html`<div class="plot empty-plot"><span class="soft small">Counting…</span></div>`}
    ${last && html`<${Facts} of=${[
      ["Requests", count(all.count)],
      ["Refused or failed", count(last.failed)],
      ["Connected pages and apps", count(last.listeners)],
      ["RAM in use", bytes(last.resident)],
      ["CPU time", duration(last.cpu)],
    ]} />`}
    <p class="soft small">The gateway counts since it was started. For Prometheus: <${Command}>${`curl -H "Authorization: Bearer $TOKEN" ${location.origin}/metrics`}<//></p>
  </section>`;
}
