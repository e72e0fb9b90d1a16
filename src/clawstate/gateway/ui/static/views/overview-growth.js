// Overview: how what is kept grew over the last days, and how much happened on each.

import { api } from "../core/api.js";
import { bytes, count } from "../core/format.js";
import { html } from "../core/lib.js";
import { Link } from "../core/router.js";
import { useQuery } from "../core/store.js";
import { Plot } from "../parts/plot.js";
import { Failed, Waiting } from "../parts/small.js";

const DAYS = 30;
const GROWTH = /** @type {[string, string, (n: number) => string][]} */ ([
  ["records", "Memories", count], ["sessions", "Sessions", count], ["messages", "Messages", count], ["bytes", "Bytes of text", bytes],
]);

export function Growth() {
  const since = new Date();
  since.setHours(0, 0, 0, 0);
  since.setDate(since.getDate() - DAYS + 1);
  const found = useQuery(`timeline growth ${since.getTime()}`, (signal) => api.get("timeline/activity",
    { query: { since: since.getTime() / 1000 }, signal }), { parts: ["memory", "sessions", "transcripts", "config"] });
  if (!found.data) return found.error ? html`<${Failed} error=${found.error} again=${found.refresh} />` : html`<section class="card"><${Waiting} /></section>`;
  const spans = found.data.spans;
  const times = spans.map((each) => each.endMs - 1);
  const last = spans.at(-1);
  return html`<section class="card"><h2>Growth in ${DAYS} days</h2><div class="growth">${GROWTH.map(([name, title, format]) =>
      html`<figure key=${name}><figcaption class="spread small"><span>${title}</span><b>${format(last[name])}</b></figcaption>
        <${Plot} label=${title} height=${110} times=${times} format=${format} lines=${[{ title, values: spans.map((each) => each[name]) }]} /></figure>`)}</div></section>
    <section class="card"><div class="spread"><h2>Activity by day</h2><${Link} to="/timeline">Timeline<//></div>
      <${Plot} bars stacked label="Changes of memories, and messages, by day" times=${spans.map((each) => each.beginMs + 43_200_000)} format=${count} lines=${[
        { title: "memories added", values: spans.map((each) => each.added) },
        { title: "changed, archived or forgotten", values: spans.map((each) => each.updated + each.superseded + each.archived + each.forgotten) },
      ]} />
      <${Plot} bars label="Messages by day" height=${110} times=${spans.map((each) => each.beginMs + 43_200_000)} format=${count} lines=${[
        { title: "messages", values: spans.map((each) => each.said) }]} /></section>`;
}
