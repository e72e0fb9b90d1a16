// Forgets a memory, and can take that back for a moment: until then it lies in the archive, where no
// search and no list finds it. After that it goes for good; if the page is left before, that is done
// when this screen is opened next, for what was begun is noted in the browser (ids, no text).

import { api, can, segment } from "../core/api.js";
import { toast } from "../parts/toast.js";

const MOMENT = 10_000; // milliseconds, as long as the message with "Undo" is shown
const NOTED = "clawstate.forgetting";
const waiting = /** @type {Map<string, number>} */ (new Map());

/** @param {{id: string}} record */
export async function forgetWithUndo({ id }) {
  note((noted) => ({ ...noted, [id]: Date.now() }));
  try {
    await api.post("memory/archive", { ids: [id] });
  } catch (error) {
    drop(id);
    throw error;
  }
  waiting.set(id, setTimeout(() => forgetNow(id), MOMENT + 500));
  toast("Forgotten", {
    time: MOMENT,
    undo: async () => {
      clearTimeout(waiting.get(id));
      if (!waiting.delete(id)) return;
      drop(id);
      await api.post("memory/restore", { ids: [id] });
    },
  });
}

/** Ends what a page that was left began; another tab may be within its moment still. */
export function forgetTheRest() {
  if (!can("write")) return;
  for (const [id, time] of Object.entries(note((noted) => noted))) {
    if (!waiting.has(id) && Date.now() - time > MOMENT + 1_000) forgetNow(id);
  }
}

async function forgetNow(id) {
  waiting.delete(id);
  try {
    await api.del(`memory/records/${segment(id)}`);
    drop(id);
  } catch (error) {
    // Somebody else forgot it, or the gateway is away: then it is tried when the screen opens next.
    if (/** @type {any} */ (error).type === "not_found") drop(id);
  }
}

const drop = (id) => note(({ [id]: gone, ...rest }) => rest);

/** @param {(noted: Record<string, number>) => Record<string, number>} edit */
function note(edit) {
  try {
    const before = JSON.parse(localStorage.getItem(NOTED) ?? "{}"), after = edit(before);
    if (after !== before) localStorage.setItem(NOTED, JSON.stringify(after));
    return after;
  } catch {
    return {}; // a browser that keeps nothing
  }
}
