// Where somebody comes who is not signed in: by a link of the host, by pairing, or by a token.

import { invitation } from "../core/arrival.js";
import { signedOutBecause, signInBy, useToken } from "../core/api.js";
import { html, useEffect, useState } from "../core/lib.js";
import { Button } from "../parts/button.js";
import { Field } from "../parts/field.js";
import { Badge, Failed, Progress } from "../parts/small.js";
import { Command, Text } from "../parts/text.js";
import { Mark } from "../shell/navigation.js";

export default function SignIn() {
  return html`<main class="sign-in" id="main">
    <div class="sign-in-card">
      <h1><${Mark} /> clawstate</h1>
      ${signedOutBecause.value && html`<div class="notice warn"><${Text} value=${signedOutBecause.value} /></div>`}
      ${invitation.value && html`<${Invited} />`}
      <section>
        <h2>On the machine of the gateway</h2>
        <p>Run this command, and open the link that it prints. It signs this browser in, once.</p>
        <${Command}>clawstate gateway open<//>
      </section>
      <${Pairing} />
      <${ByHand} />
    </div>
  </main>`;
}

/** Who came by an invitation needs one press; a page that is only looked at uses up none. */
function Invited() {
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const accept = async () => {
    setProblem(null);
    const { redeemInvitation } = await import("../core/pairing.js");
    await useToken(await redeemInvitation(invitation.value));
    invitation.value = "";
  };
  return html`<section><h2>You are invited</h2>
    <p>This link lets this browser in, once, as a device with a key of its own.</p>
    ${problem && html`<${Failed} error=${problem} />`}
    <${Button} kind="primary" icon="check" onClick=${() => accept().catch(setProblem)}>Accept the invitation<//></section>`;
}

function Pairing() {
  const [flow, setFlow] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [wantsWrite, setWrite] = useState(false);
  useEffect(() => () => flow?.stop(), [flow]);
  const begin = async () => {
    setProblem(null);
    const { pairThisBrowser } = await import("../core/pairing.js");
    const made = await pairThisBrowser({ write: wantsWrite });
    setFlow(made);
    made.token.then(useToken).catch((error) => {
      setFlow(null);
      if (error.name !== "AbortError") setProblem(error);
    });
  };
  if (flow) {
    return html`<section aria-live="polite"><h2>Waiting for approval</h2>
      <p>Compare this code, and approve it on a device that is signed in, or on the machine of the gateway:</p>
      <div class="code-shown">${flow.code}</div>
      <${Command}>${`clawstate pairing approve ${flow.code}`}<//>
      <${Progress} label="Waits for the owner" />
      <${Button} kind="quiet" onClick=${() => setFlow(null)}>Cancel<//>
    </section>`;
  }
  return html`<section><h2>From anywhere else</h2>
    <p>Ask to be let in: you get a code that the owner approves. This browser then has a key of its own, which can be taken away
      at any time. <${Badge}>${wantsWrite ? "reads and writes" : "reads only"}<//></p>
    ${problem && html`<${Failed} error=${problem} />`}
    <label class="switch"><input type="checkbox" role="switch" checked=${wantsWrite}
      onChange=${(event) => setWrite(event.currentTarget.checked)} /><span>Ask to write as well</span></label>
    <div><${Button} kind="primary" icon="device" onClick=${() => begin().catch(setProblem)}>Pair this browser<//></div>
  </section>`;
}

function ByHand() {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  const send = async (event) => {
    event.preventDefault();
    setProblem("");
    // A whole link works as well as what stands behind its #token=.
    const ticket = /#token=([^&\s]+)/.exec(text)?.[1];
    try {
      await (ticket ? signInBy(ticket) : useToken(text));
    } catch (error) {
      setProblem(/** @type {Error} */ (error).message);
    }
  };
  return html`<details><summary>I have a link or a token</summary>
    <form onSubmit=${send}>
      <${Field} label="Link or token" error=${problem && html`<${Text} value=${problem} />`}>
        <input type="password" autocomplete="off" value=${text} onInput=${(event) => setText(event.currentTarget.value)} /><//>
      <${Button} type="submit" disabled=${!text.trim()}>Sign in<//>
    </form></details>`;
}
