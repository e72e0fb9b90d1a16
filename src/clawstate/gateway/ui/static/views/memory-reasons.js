// What gave a hit its score, in sentences: the explanation that the gateway gives with it.

import { html } from "../core/lib.js";
import { Text } from "../parts/text.js";

const KINDS = {
  word: "words", phrase: "side by side", quote: "in quotes", name: "its name", meaning: "meaning", neighbours: "its neighbours",
  feedback: "like the best hits", median: "taken off", speaker: "who says it", time: "it tells a time",
};
const FIELDS = { title: "in the title", headings: "in the headings", names: "in a name" };

export function Reasons({ record }) {
  const told = record.explanation;
  if (!told) return null;
  const groups = new Map();
  for (const part of told.parts) {
    const kind = part.kind === "neighbours" ? (part.leg === "vector" ? "neighbours-meaning" : "neighbours") : part.kind;
    const found = groups.get(kind) ?? { points: 0, words: [] };
    found.points += part.points;
    if (part.written) found.words.push(part);
    groups.set(kind, found);
  }
  const sorted = [...groups].sort(([, a], [, b]) => Math.abs(b.points) - Math.abs(a.points));
  const most = Math.max(...sorted.map(([, each]) => Math.abs(each.points)), 0.01);
  return html`<div class="reasons" role="group" aria-label="Why it came">
    ${sorted.filter(([, each]) => Math.abs(each.points) >= 0.005).map(([kind, each]) => html`<div class="reason">
      <span>${KINDS[kind] ?? (kind === "neighbours-meaning" ? "meaning around it" : kind)}</span>
      <meter min="0" max=${most} value=${Math.abs(each.points)} aria-label=${`${each.points.toFixed(2)} points`}></meter>
      <span class="num">${each.points.toFixed(2)}</span>
      <span class="reason-words">${each.words.map((part) => html`<span><b><${Text} value=${part.written} /></b>${FIELDS[part.field]
        && html` <i>${FIELDS[part.field]}</i>`}</span>`)}</span></div>`)}
    ${told.legs?.words && html`<p class="soft">${place(told.legs.words, "by words")}${told.legs.vector ? `, ${place(told.legs.vector, "by meaning")}` : ""}.
      ${told.missing.length > 0 && html` Not in it: <${Text} value=${told.missing.join(", ")} />.`}</p>`}
  </div>`;
}

const place = (leg, by) => (leg.rank ? `${by} it is number ${leg.rank} of ${leg.compared}` : `${by} it was not among the ${leg.compared} compared`);
