// Every table as a file: CSV for a spreadsheet, JSON for a program.
//
//   html`<${Download} name="sessions" rows=${() => everything("sessions", "sessions")}
//     columns=${[["key", "key"], ["updated", (row) => new Date(row.updatedAtMs).toISOString()]]} />`
//
// (`Download` is in parts/download.js; it is built on these.)

/** @typedef {[string, string | ((row: any) => any)]} Column title, and a member or what gives it */

/**
 * RFC 4180. A text that a spreadsheet would take for a formula gets a ' before it.
 * @param {Column[]} columns @param {any[]} rows
 */
export function toCsv(columns, rows) {
  const lines = [columns.map(([title]) => cell(title)).join(",")];
  for (const row of rows) lines.push(columns.map((each) => cell(valueOf(each, row))).join(","));
  return `\ufeff${lines.join("\r\n")}\r\n`;
}

/** @param {any[]} rows */
export const toJson = (rows) => `${JSON.stringify(rows, null, 2)}\n`;

/** @param {Column} column @param {any} row */
export function valueOf([, get], row) {
  return typeof get === "function" ? get(row) : row[get];
}

/** @param {any} value */
function cell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/**
 * Has the browser save a file. @param {string} name @param {string} media @param {string} text
 */
export function save(name, media, text) {
  const url = URL.createObjectURL(new Blob([text], { type: `${media};charset=utf-8` }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
