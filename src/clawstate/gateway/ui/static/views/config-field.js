// The field of one setting, as its schema wants it: a choice, a switch, a number, a text, lines, a secret, or JSON.

import { html, useRef, useState } from "../core/lib.js";
import { fieldOf } from "../core/schema.js";

/**
 * @param {{label: string, node: any, value: any, isSecret?: boolean, template?: string|null, describedBy?: string,
 *   onChange: (value: any, problem?: string) => void}} props `problem` is why it cannot be saved as it is
 */
export function SettingField({ label, node, value, isSecret, template, describedBy, onChange }) {
  const kind = isSecret ? "secret" : template ? "text" : fieldOf(node, value);
  const Field = FIELDS[kind];
  return html`<${Field} node=${node ?? {}} value=${template && value === undefined ? template : value} isKept=${isSecret} onChange=${onChange}
    named=${{ "aria-label": label, "aria-describedby": describedBy }} />`;
}

const Choice = ({ node, value, onChange, named }) => html`<select ...${named} value=${value} onChange=${(event) => onChange(event.currentTarget.value)}>
  ${(node.enum ?? []).includes(value) ? null : html`<option value="" selected disabled>${String(value ?? "")}</option>`}
  ${(node.enum ?? []).map((each) => html`<option value=${each} selected=${each === value}>${String(each)}</option>`)}</select>`;

const Switch = ({ value, onChange, named }) => html`<label class="switch"><input type="checkbox" role="switch" ...${named} checked=${value === true}
  onChange=${(event) => onChange(event.currentTarget.checked)} /><span aria-hidden="true">${value === true ? "on" : "off"}</span></label>`;

const Text = ({ value, onChange, named }) => html`<input type="text" ...${named} value=${value ?? ""} dir="auto" spellcheck=${false} autocapitalize="off"
  onInput=${(event) => onChange(event.currentTarget.value)} />`;

function NumberField({ node, value, onChange, named }) {
  const least = node.minimum ?? (node.exclusiveMinimum !== undefined ? node.exclusiveMinimum : undefined);
  const isWhole = node.type === "integer";
  return html`<input type="number" ...${named} value=${value ?? ""} min=${least} max=${node.maximum} step=${isWhole ? 1 : "any"}
    onInput=${(event) => {
      const { value: text, valueAsNumber: number } = event.currentTarget;
      const isBelow = least !== undefined && (number < least || (node.exclusiveMinimum !== undefined && number <= least));
      onChange(text === "" ? text : number, Number.isNaN(number) ? "is no number" : isWhole && !Number.isInteger(number) ? "is no whole number"
        : isBelow ? `is less than may be (${least})` : number > node.maximum ? `is more than may be (${node.maximum})` : "");
    }} />`;
}

const Lines = ({ value, onChange, named }) => html`<textarea ...${named} class="lines" spellcheck=${false} placeholder="One a line"
  rows=${Math.min(8, Math.max(2, (value ?? []).length + 1))} value=${(value ?? []).join("\n")}
  onChange=${(event) => onChange(event.currentTarget.value.split("\n").map((each) => each.trim()).filter(Boolean))}></textarea>`;

/** What is there is never shown, nor put into the field: a secret is replaced or stays. */
function Secret({ value, isKept, onChange, named }) {
  const [isReplacing, replace] = useState(!isKept);
  const before = useRef(value);
  if (before.current !== value) {
    before.current = value;
    // It was saved, or left as it is.
    if (isKept && value === undefined) replace(false);
  }
  if (!isReplacing) {
    return html`<span class="line"><span class="soft">set, and not shown</span>
      <button type="button" class="button small" aria-label=${`Replace ${named["aria-label"]}`} onClick=${() => replace(true)}>Replace</button></span>`;
  }
  return html`<input type="password" ...${named} autocomplete="off" placeholder="The new secret, or \${NAME} of a variable" value=${value ?? ""}
    onInput=${(event) => onChange(event.currentTarget.value || undefined)} />`;
}

function Json({ value, onChange, named }) {
  const [text, setText] = useState(() => JSON.stringify(value ?? {}, null, 2));
  return html`<textarea ...${named} class="mono" spellcheck=${false} rows=${Math.min(14, text.split("\n").length + 1)} value=${text} dir="ltr"
    onInput=${(event) => {
      setText(event.currentTarget.value);
      try {
        onChange(JSON.parse(event.currentTarget.value), "");
      } catch (error) {
        onChange(value, `is no JSON: ${/** @type {Error} */ (error).message}`);
      }
    }}></textarea>`;
}

const FIELDS = { choice: Choice, switch: Switch, number: NumberField, text: Text, list: Lines, secret: Secret, json: Json };
