// Timeline: what was added, changed and forgotten, day by day; what was known then; one thing made what it was.

import { api } from "../core/api.js";
import { html } from "../core/lib.js";
import { useKeys } from "../core/keys.js";
import { setQuery } from "../core/router.js";
import { useQuery } from "../core/store.js";
import { Button, IconButton } from "../parts/button.js";
import { Choice, Field } from "../parts/field.js";
import { Plot } from "../parts/plot.js";
import { Failed, Waiting } from "../parts/small.js";
import { Tabs } from "../parts/tabs.js";
import { count, day as dayName } from "../core/format.js";
import { Changes } from "./timeline-changes.js";
import { Known } from "./timeline-known.js";

const DAY = 86_400_000;
const DAYS = 30;
const PARTS = /** @type {[string, string][]} */ ([["", "Everything"], ["memory", "Memory"], ["sessions", "Sessions"],
  ["transcripts", "Messages"], ["config", "Config"]]);
const TABS = /** @type {[string, any][]} */ ([["changed", "What changed"], ["known", "What was known"]]);

/** @param {{query: Record<string, any>}} props */
export default function Timeline({ query }) {
  const today = nameOf(new Date());
  const day = /^\d{4}-\d\d-\d\d$/.test(query.day) && query.day < today ? query.day : today;
  const tab = query.show === "known" ? "known" : "changed";
  const choose = (/** @type {string} */ each) => setQuery({ day: each >= today ? "" : each });
  const by = (/** @type {number} */ days) => choose(nameOf(new Date(startOf(day) + days * DAY + DAY / 2)));
  useKeys("Timeline", {
    "[": ["The day before", () => by(-1)],
    "]": ["The day after", () => by(1)],
    t: ["Today", () => choose(today)],
  });
  return html`<div class="head"><div><h1>Timeline</h1>
      <p class="lead">What changed on a day, and what was known at its end.</p></div></div>
    <${Activity} day=${day} choose=${choose} />
    <section class="stack" aria-label="Day">
      <div class="spread day-line"><div class="line"><${IconButton} icon="back" label="The day before" onClick=${() => by(-1)} />
          <${Field} label="Day"><input type="date" value=${day} max=${today}
            onChange=${(event) => event.currentTarget.value && choose(event.currentTarget.value)} /><//>
          <${IconButton} icon="next" label="The day after" disabled=${day === today} onClick=${() => by(1)} />
          ${day !== today && html`<${Button} size="small" onClick=${() => choose(today)}>Today<//>`}</div>
        ${tab === "changed" && html`<${Choice} label="Show" value=${query.part ?? ""} options=${PARTS}
          onChange=${(part) => setQuery({ part })} />`}</div>
      <${Tabs} label="Day" value=${tab} tabs=${TABS} onChange=${(each) => setQuery({ show: each === "known" ? each : "" })} />
      <h2>${dayName(startOf(day) + DAY / 2)}</h2>
      ${tab === "known" ? html`<${Known} key=${day} moment=${endOf(day)} />`
        : html`<${Changes} key=${day} since=${startOf(day) / 1000 - 0.001} until=${endOf(day)} part=${query.part ?? ""} />`}
    </section>`;
}

/** How much happened on each of the last days; a click chooses one. */
function Activity({ day, choose }) {
  const last = startOf(nameOf(new Date()));
  const since = new Date(last);
  since.setDate(since.getDate() - DAYS + 1);
  const found = useQuery(`timeline activity ${nameOf(since)}`, (signal) => api.get("timeline/activity",
    { query: { since: since.getTime() / 1000 }, signal }), { parts: ["memory", "sessions", "transcripts", "config"] });
  if (!found.data) return found.error ? html`<${Failed} error=${found.error} again=${found.refresh} />` : html`<${Waiting} />`;
  const spans = found.data.spans;
  const chosen = spans.find((each) => nameOf(new Date(each.beginMs + DAY / 2)) === day);
  return html`<section class="card stack"><h2>The last ${DAYS} days</h2>
    <${Plot} bars stacked label="Memories by day" times=${spans.map((each) => each.beginMs + DAY / 2)} format=${count}
      onPick=${(index) => choose(nameOf(new Date(spans[index].beginMs + DAY / 2)))} lines=${[
        { title: "added", values: spans.map((each) => each.added) },
        { title: "changed", values: spans.map((each) => each.updated + each.superseded) },
        { title: "forgotten or archived", values: spans.map((each) => each.forgotten + each.archived) },
      ]} />
    ${chosen && html`<p class="soft small">${told(chosen)}</p>`}</section>`;
}

function told(span) {
  const parts = [[span.added, "added"], [span.updated + span.superseded, "changed"], [span.forgotten, "forgotten"],
    [span.archived, "archived"], [span.said, "messages"], [span.settings, "changes of settings"]];
  const some = parts.filter(([number]) => number).map(([number, name]) => `${count(/** @type {number} */ (number))} ${name}`);
  return `${some.join(", ") || "Nothing happened"}. ${count(span.records)} memories at its end.`;
}

/** The day as it stands in the address, of where the reader is. @param {Date} date */
function nameOf(date) {
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** @param {string} name @returns {number} */
const startOf = (name) => new Date(`${name}T00:00:00`).getTime();

/** The last moment of a day in seconds. @param {string} name */
function endOf(name) {
  const next = new Date(startOf(name));
  next.setDate(next.getDate() + 1);
  return (next.getTime() - 1) / 1000;
}
