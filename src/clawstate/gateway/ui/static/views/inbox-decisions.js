// Decisions about what waits. The gateway hears of one when its undo is over: what was rejected
// leaves no text from which it could be brought back. A page that is left before tells the next one,
// by what it keeps of the tab: a tab that is closed decides nothing, and all of it waits still.

import { api, segment } from "../core/api.js";
import { signal } from "../core/lib.js";
import { fail, toast } from "../parts/toast.js";

const UNDO = 6_000; // milliseconds
const KEPT = "clawstate.decided";

/** What the page before this one had decided, and could not tell. @type {Decision[]} */
let left = read();

/** @typedef {{ids: string[], kind: "accept"|"reject", text?: string, timer: number, isTold?: boolean, close: () => void}} Decision */

/** What is decided, and not told yet. */
export const decided = signal(/** @type {Decision[]} */ ([]));

/** @param {string} id */
export const isDecided = (id) => decided.value.some((each) => each.ids.includes(id));

/** @param {"accept"|"reject"} kind @param {string[]} ids @param {string} [text] in the place of what was captured */
export function decide(kind, ids, text) {
  const made = /** @type {Decision} */ ({ ids, kind, text });
  const what = kind === "accept" ? "Remembered" : "Rejected";
  made.close = toast(ids.length > 1 ? `${what}: ${ids.length}` : what, { undo: () => take(made), time: UNDO });
  made.timer = setTimeout(() => tell(made), UNDO);
  decided.value = [...decided.value, made];
  keep();
}

/** Tells what the page before this one could not. */
export async function tellLeft() {
  const due = left;
  left = [];
  for (const each of due) await send(each).catch(() => {}); // it waits no more, or still
  keep();
}

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
  } catch {
    return [];
  }
}

function keep() {
  try {
    const all = [...left, ...decided.value.filter((each) => !each.isTold)];
    if (all.length) sessionStorage.setItem(KEPT, JSON.stringify(all.map(({ ids, kind, text }) => ({ ids, kind, text }))));
    else sessionStorage.removeItem(KEPT);
  } catch {
    // A browser that keeps nothing.
  }
}

/** Takes back the last one; tells whether there was one. */
export function undoLast() {
  const last = decided.value.findLast((each) => !each.isTold);
  if (last) {
    last.close();
    take(last);
  }
  return Boolean(last);
}

/** Tells all at once, as when somebody leaves the screen. */
export const tellAll = () => Promise.all(decided.value.map(tell));

/** @param {Decision} taken */
function take(taken) {
  if (!decided.value.includes(taken) || taken.isTold) throw new Error("It is too late: that was told already.");
  clearTimeout(taken.timer);
  decided.value = decided.value.filter((each) => each !== taken);
  keep();
}

/** @param {Decision} due */
async function tell(due) {
  if (!decided.value.includes(due) || due.isTold) return;
  clearTimeout(due.timer);
  due.close();
  due.isTold = true;
  await send(due).catch(fail);
  keep();
  // Not shown again until the list was asked anew.
  setTimeout(() => (decided.value = decided.value.filter((each) => each !== due)), 600);
}

async function send({ kind, ids, text }) {
  if (kind === "reject") return api.post("memory/inbox/reject", { ids });
  for (const id of ids) {
    await api.post(`memory/inbox/accept/${segment(id)}`, text === undefined ? {} : { text }).catch((error) => {
      // Somebody else was faster: it waits no more.
      if (error.type !== "not_found") throw error;
    });
  }
  return undefined;
}
