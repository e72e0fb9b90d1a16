// What points are coloured by, and which colour stands for what.
//
//   const made = looksOf(found, "category", { chosen, marked })  -> { looks: Uint8Array, legend: [...] }

import { fully } from "../../core/format.js";

/** Told apart by people who see red and green alike, too (after Okabe and Ito, Tol), light and dark. */
const LIGHT = [[140, 142, 148], [0, 102, 170], [205, 92, 0], [0, 140, 105], [170, 60, 130], [150, 110, 0], [60, 155, 205], [110, 75, 185], [200, 50, 60], [95, 130, 40], [150, 95, 70]];
const DARK = [[120, 123, 130], [90, 170, 245], [255, 150, 70], [60, 205, 160], [235, 130, 200], [235, 200, 80], [140, 220, 255], [175, 150, 255], [255, 120, 125], [170, 210, 100], [215, 165, 140]];
const AGES_LIGHT = [[68, 40, 120], [55, 80, 160], [35, 120, 165], [20, 150, 140], [80, 165, 80], [150, 160, 30], [205, 130, 10], [205, 75, 20]];
const AGES_DARK = [[130, 105, 225], [105, 145, 240], [80, 180, 230], [75, 210, 190], [130, 220, 130], [200, 215, 95], [250, 190, 80], [255, 140, 90]];
const NAMED = 10;
const AGES = 8;

export const KINDS = /** @type {[string, string][]} */ ([
  ["category", "Category"], ["tag", "Tag"], ["source", "Source"], ["namespace", "Namespace"], ["age", "Age"],
]);
const MEMBERS = /** @type {Record<string, string>} */ ({ category: "categories", tag: "tags", source: "sources", namespace: "namespaces" });

/** The first of the kinds that tells memories apart: where all are of one category, colours by it say nothing. @param {import("./data.js").Found} found */
export const tellingKind = (found) => KINDS.map(([kind]) => kind).find((kind) => kind === "age"
  || found.doc[MEMBERS[kind]].filter((/** @type {{count: number}} */ each) => each.count > 0).length > 1) ?? "age";

/** @param {string} kind @param {boolean} isDark */
export const paletteOf = (kind, isDark) =>
  kind === "age" ? (isDark ? AGES_DARK : AGES_LIGHT) : isDark ? DARK : LIGHT;

/**
 * @param {import("./data.js").Found} found @param {string} kind
 * @returns {{numbers: Uint8Array, legend: {number: number, name: string, count: number}[]}}
 */
export function coloursOf(found, kind) {
  return kind === "age" ? byAge(found) : byName(found, kind);
}

/** @param {import("./data.js").Found} found @param {string} kind */
function byName(found, kind) {
  const names = found.doc[MEMBERS[kind]];
  const column = found.columns[kind];
  const numbers = new Uint8Array(found.count);
  const legend = [];
  let others = 0;
  for (let i = 0; i < names.length; i++) {
    const isNamed = i > 0 && i <= NAMED;
    if (isNamed) legend.push({ number: i, name: names[i].name, count: names[i].count });
    else others += names[i].count;
  }
  for (let i = 0; i < found.count; i++) numbers[i] = column[i] <= NAMED ? column[i] : 0;
  if (others) legend.push({ number: 0, name: names.length > NAMED + 1 ? "others or none" : "none", count: others });
  return { numbers, legend };
}

/** In eight parts of the same number, the oldest first. @param {import("./data.js").Found} found */
function byAge(found) {
  if (!found.count) return { numbers: new Uint8Array(0), legend: [] };
  const sorted = Float64Array.from(found.age).sort();
  const bounds = Array.from({ length: AGES }, (_, i) => sorted[Math.floor((i * found.count) / AGES)]);
  const numbers = new Uint8Array(found.count), counts = new Array(AGES).fill(0);
  for (let i = 0; i < found.count; i++) {
    let part = AGES - 1;
    while (part > 0 && found.age[i] < bounds[part]) part--;
    counts[numbers[i] = part]++;
  }
  const legend = bounds.map((from, i) => ({ number: i, name: `from ${fully(from * 1000)}`, count: counts[i] }));
  return { numbers, legend: legend.filter((each) => each.count) };
}

/**
 * The looks that the drawings take: what is not `shown` is dimmed, what is `marked` stands out.
 * @param {Uint8Array} numbers @param {number|null} shown @param {Iterable<number>} marked @param {boolean} dimsOthers
 */
export function looksOf(numbers, shown, marked, dimsOthers) {
  const looks = Uint8Array.from(numbers, (each) => (dimsOthers || (shown !== null && each !== shown) ? each | 16 : each));
  for (const i of marked) looks[i] = 32;
  return looks;
}
