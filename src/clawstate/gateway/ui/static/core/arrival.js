// What stood in the fragment of the link that led here: a code to approve, or an invitation.
// Neither stays in the address: a secret in the history would be there for whoever comes next.
//
//   arrive();                  // once, before anything is shown
//   approving.value            // "ABCD-EFGH" of `#pair=...`, for the screen Devices
//   invitation.value           // the secret of `#invite=...`, for the page that signs in

import { signal } from "./lib.js";
import { navigate } from "./router.js";

/** The code that a device shows which wants to be let in. */
export const approving = signal("");

/** The secret that lets this browser in without a question. */
export const invitation = signal("");

/** Takes what the link brought. */
export function arrive() {
  const given = new URLSearchParams(location.hash.slice(1));
  const code = given.get("pair"), secret = given.get("invite");
  if (code === null && secret === null) return;
  history.replaceState(null, "", location.pathname + location.search);
  invitation.value = secret ?? "";
  if (code !== null) {
    approving.value = code;
    navigate("/devices", {}, { replace: true });
  }
}
