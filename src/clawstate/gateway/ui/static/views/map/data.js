// The points of the map, as columns of numbers, and what is asked about some of them.
//
//   const found = await load(query, signal, before)   // before: what was shown, kept if nothing moved
//   found.doc        what /api/v1/memory/map tells: regions, names with counts, stage, done
//   found.x[i], found.y[i]  within -1 and 1, y upwards; below -1: records without a vector
//   found.columns.source[i], .category, .tag, .namespace: numbers of names of the document
//   found.age[i]     when it was made, in seconds
//   await idsOf(found, [[from, to], ...]);  await recordsOf(found, numbers);  await numbersOf(found, ids)

import { api, ApiError, bearer } from "../../core/api.js";

const REACH = 1.3 / 32767;
const COLUMNS = /** @type {const} */ (["source", "category", "tag", "namespace"]);
const MOST = 1000; // records in one request

/**
 * @typedef {{version: string, count: number, x: Float32Array, y: Float32Array, age: Float64Array,
 *   columns: Record<string, Uint16Array>}} Points
 * @typedef {Points & {doc: any, query: Record<string, any>}} Found
 */

/**
 * @param {Record<string, any>} query @param {AbortSignal} [signal] @param {Found|null} [before]
 * @returns {Promise<Found>}
 */
export async function load(query, signal, before) {
  // Between the two requests somebody may remember something: then they are of two versions.
  for (let tries = 0; ; tries++) {
    const doc = await api.get("memory/map", { query, signal });
    if (before?.version === doc.version) return { ...before, doc, query };
    const points = decode(await bytesOf(query, signal));
    if (points.version === doc.version || tries === 3) return { ...points, doc, query };
  }
}

/** @param {Record<string, any>} query @param {AbortSignal} [signal] */
async function bytesOf(query, signal) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value].flat()) if (each !== undefined && each !== "") search.append(name, each);
  }
  const headers = { Authorization: `Bearer ${bearer()}` };
  const answer = await fetch(`/api/v1/memory/map/points?${search}`, { headers, signal, credentials: "omit" });
  if (!answer.ok) throw new ApiError("internal", `the gateway answered ${answer.status}`, answer.status);
  return answer.arrayBuffer();
}

/** @param {ArrayBuffer} data @returns {Points} */
export function decode(data) {
  const view = new DataView(data);
  const count = view.getUint32(4, true), length = view.getUint16(8, true), first = view.getUint32(12, true);
  const version = new TextDecoder().decode(new Uint8Array(data, 16, length));
  let at = 16 + length;
  const column = (/** @type {number} */ size) => {
    const from = at;
    at += size * count;
    return data.slice(from, at); // a copy: a typed array has to begin at a multiple of its size
  };
  const x = Float32Array.from(new Int16Array(column(2)), (each) => each * REACH);
  const y = Float32Array.from(new Int16Array(column(2)), (each) => each * REACH);
  const age = Float64Array.from(new Uint32Array(column(4)), (each) => each + first);
  const columns = Object.fromEntries(COLUMNS.map((name) => [name, new Uint16Array(column(2))]));
  return { version, count, x, y, age, columns };
}

/** @param {Points} found @param {[number, number][]} ranges @returns {Promise<string[]>} */
export const idsOf = async (found, ranges) =>
  (await api.post("memory/map/ids", { version: found.version, ranges })).ids;

/** @param {Points} found @param {string[]} ids @returns {Promise<number[]>} those of the ids that are on it */
export const numbersOf = async (found, ids) =>
  (await api.post("memory/map/numbers", { version: found.version, ids })).numbers;

/** @param {Points} found @param {number[]} numbers @returns {Promise<any[]>} */
export async function recordsOf(found, numbers) {
  return getMany(await idsOf(found, rangesOf(numbers)));
}

/** @param {string[]} ids @param {(done: number) => void} [told] */
export async function getMany(ids, told) {
  const records = [];
  for (let from = 0; from < ids.length; from += MOST) {
    records.push(...(await api.post("memory/many/get", { ids: ids.slice(from, from + MOST) })).records);
    told?.(Math.min(from + MOST, ids.length));
  }
  return records;
}

/** @param {ArrayLike<number>} numbers ascending @returns {[number, number][]} */
export function rangesOf(numbers) {
  const ranges = /** @type {[number, number][]} */ ([]);
  for (let i = 0; i < numbers.length; i++) {
    const last = ranges.at(-1);
    if (last && last[1] === numbers[i]) last[1]++;
    else ranges.push([numbers[i], numbers[i] + 1]);
  }
  return ranges;
}
