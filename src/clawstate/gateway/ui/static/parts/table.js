// Tables of moderate length (for long lists: core/virtual.js). On a phone each row becomes a card.
//
//   html`<${Table} label="Devices" rows=${devices} keyOf=${(each) => each.deviceId} columns=${[
//     { title: "Name", cell: (row) => html`<${Text} value=${row.name} />`, sort: (row) => row.name },
//     { title: "Used", cell: (row) => html`<${Time} ms=${row.lastUsedAtMs} />`, sort: (row) => row.lastUsedAtMs, end: true },
//   ]} download=${{ name: "devices", columns: [["id", "deviceId"]] }} />`
//
// `end`: aligned at the end, as numbers are. `sort`: what the rows are ordered by on a click.

import { classes, html, useState } from "../core/lib.js";
import { Download } from "./download.js";
import { Icon } from "./icon.js";

/**
 * @param {{label: string, rows: any[], keyOf: (row: any) => any, columns: any[], download?: any,
 *   onOpen?: (row: any) => void}} props
 */
export function Table({ label, rows, keyOf, columns, download, onOpen }) {
  const [order, setOrder] = useState({ column: -1, down: false });
  const by = columns[order.column]?.sort;
  const shown = by ? [...rows].sort((a, b) => compare(by(a), by(b)) * (order.down ? -1 : 1)) : rows;
  return html`<div class="table-box">
    ${download && html`<div class="table-tools"><${Download} rows=${rows} ...${download} /></div>`}
    <table aria-label=${label}><thead><tr>${columns.map((each, index) => html`<th scope="col" class=${classes(each.end && "end")}
      aria-sort=${order.column === index ? (order.down ? "descending" : "ascending") : undefined}>
      ${each.sort ? html`<button type="button" class="quiet" onClick=${() =>
        setOrder({ column: index, down: order.column === index && !order.down })}>${each.title}
        ${order.column === index && html`<${Icon} name="down" size="12" />`}</button>` : each.title}</th>`)}</tr></thead>
    <tbody>${shown.map((row) => html`<tr key=${keyOf(row)} class=${onOpen && "opens"} onClick=${onOpen && (() => onOpen(row))}>
      ${columns.map((each) => html`<td class=${classes(each.end && "end")} data-title=${each.title}>${each.cell(row)}</td>`)}</tr>`)}
    </tbody></table></div>`;
}

const compare = (a, b) => (typeof a === "string" || typeof b === "string"
  ? String(a ?? "").localeCompare(String(b ?? ""), undefined, { numeric: true }) : (a ?? -Infinity) - (b ?? -Infinity));
