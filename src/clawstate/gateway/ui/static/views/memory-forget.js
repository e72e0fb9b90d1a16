// Forgets a memory, and can take that back for a moment: until then it lies in the archive, where no
// search and no list finds it. After that, or when the page is left, it goes for good.

import { api, bearer, segment } from "../core/api.js";
import { toast } from "../parts/toast.js";

const MOMENT = 10_000; // milliseconds, as long as the message with "Undo" is shown
const waiting = /** @type {Map<string, number>} */ (new Map());

/** @param {{id: string}} record */
export async function forgetWithUndo({ id }) {
  const { count } = await api.post("memory/archive", { ids: [id] });
  if (!count) return;
  waiting.set(id, setTimeout(() => forgetNow(id), MOMENT + 500));
  toast("Forgotten", {
    time: MOMENT,
    undo: async () => {
      clearTimeout(waiting.get(id));
      if (waiting.delete(id)) await api.post("memory/restore", { ids: [id] });
    },
  });
}

function forgetNow(id) {
  if (!waiting.delete(id)) return;
  // Another tab, or a command, may have done so already.
  api.del(`memory/records/${segment(id)}`).catch(() => {});
}

addEventListener("pagehide", () => {
  for (const id of waiting.keys()) {
    fetch(`/api/v1/memory/records/${segment(id)}`, {
      method: "DELETE", keepalive: true, headers: { Authorization: `Bearer ${bearer()}` },
    });
  }
  waiting.clear();
});
