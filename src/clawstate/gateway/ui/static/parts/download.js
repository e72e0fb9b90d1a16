// Every table as a file: a button that offers CSV and JSON (core/csv.js tells what they are).
//
//   html`<${Download} name="sessions" columns=${COLUMNS} rows=${() => everything("sessions", "sessions")} />`

import { save, toCsv, toJson } from "../core/csv.js";
import { html } from "../core/lib.js";
import { Menu } from "./menu.js";

/** @param {{name: string, columns: import("../core/csv.js").Column[], rows: any[] | (() => any[] | Promise<any[]>)}} props */
export function Download({ name, columns, rows }) {
  const get = async () => (typeof rows === "function" ? rows() : rows);
  return html`<${Menu} label="Download" icon="download" items=${[
    { title: "CSV", icon: "file", run: async () => save(`${name}.csv`, "text/csv", toCsv(columns, await get())) },
    { title: "JSON", icon: "file", run: async () => save(`${name}.json`, "application/json", toJson(await get())) },
  ]} />`;
}
