// What a token allows, as people choose and read it.
//
//   html`<${Scopes} of=${device.scopes} />`                                   // as badges
//   html`<${ScopeChoice} label="May" value=${chosen} offered=${request.scopes} onChange=${setChosen} />`

import { can } from "../core/api.js";
import { html } from "../core/lib.js";
import { Badge } from "./small.js";
import { Text } from "./text.js";

/** What each scope is called, and what it means. @type {[string, string, string][]} */
export const SCOPES = [
  ["operator.read", "read", "see memories, conversations and settings, without secrets"],
  ["operator.write", "write", "remember, change and forget"],
  ["operator.pairing", "pairing", "let other devices in, with no more than it may itself"],
  ["operator.admin", "admin", "everything, settings and credentials included"],
];

const nameOf = (scope) => SCOPES.find(([each]) => each === scope)?.[1] ?? scope;

/** @param {{of: string[]|undefined}} props */
export const Scopes = ({ of }) => html`<span class="line">${(of ?? []).map((each) =>
  html`<${Badge} key=${each} kind=${each === "operator.admin" ? "warn" : ""}><${Text} value=${nameOf(each)} /><//>`)}
  ${!of?.length && html`<${Badge}>nothing<//>`}</span>`;

/** @param {{label: string, value: string[], offered: string[], onChange: (value: string[]) => void}} props */
export function ScopeChoice({ label, value, offered, onChange }) {
  const known = SCOPES.filter(([each]) => offered.includes(each));
  const others = offered.filter((each) => !SCOPES.some(([one]) => one === each)).map((each) => [each, each, ""]);
  const toggle = (scope, isOn) => onChange(offered.filter((each) => (each === scope ? isOn : value.includes(each))));
  return html`<fieldset class="choices"><legend>${label}</legend>
    ${[...known, ...others].map(([scope, name, meaning]) => {
      // Nobody gives what he does not have.
      const isMine = can(/** @type {any} */ (name)) || can("admin");
      return html`<label key=${scope} class="choice"><input type="checkbox" checked=${value.includes(scope)} disabled=${!isMine}
        onChange=${(event) => toggle(scope, event.currentTarget.checked)} />
        <span><b><${Text} value=${name} /></b> <span class="soft">${isMine ? meaning : "more than you may yourself"}</span></span></label>`;
    })}</fieldset>`;
}
