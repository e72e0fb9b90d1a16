// The memories of the map as a table: those that are selected, or all; the same for who sees no points.

import { count } from "../../core/format.js";
import { html, useEffect, useState } from "../../core/lib.js";
import { isAbort } from "../../core/api.js";
import { Button } from "../../parts/button.js";
import { Failed, Time, Waiting } from "../../parts/small.js";
import { Table } from "../../parts/table.js";
import { Text } from "../../parts/text.js";
import { COLUMNS } from "./selection.js";
import { recordsOf } from "./data.js";

const PAGE = 50;

/** @param {{found: import("./data.js").Found, numbers: ArrayLike<number>, title: string, onOpen: (id: string) => void}} props */
export function MapList({ found, numbers, title, onOpen }) {
  const [shown, setShown] = useState(PAGE);
  const [state, setState] = useState(/** @type {{rows: any[]|null, error: any}} */ ({ rows: null, error: null }));
  useEffect(() => setShown(PAGE), [numbers]);
  const read = async () => {
    try {
      const wanted = Array.from({ length: Math.min(shown, numbers.length) }, (_, i) => numbers[i]);
      setState({ rows: wanted.length ? await recordsOf(found, wanted) : [], error: null });
    } catch (error) {
      if (!isAbort(error)) setState((old) => ({ ...old, error }));
    }
  };
  useEffect(() => void read(), [found.version, numbers, shown]);
  if (!state.rows) return state.error ? html`<${Failed} error=${state.error} again=${read} />` : html`<${Waiting} />`;
  return html`<section class="card map-table" id="map-table"><div class="spread"><h2>${title}</h2>
      <span class="soft small">${count(state.rows.length)} of ${count(numbers.length)}</span></div>
    <${Table} label=${title} rows=${state.rows} keyOf=${(/** @type {any} */ each) => each.id} onOpen=${(/** @type {any} */ each) => onOpen(each.id)}
      download=${{ name: "memories", columns: COLUMNS }} columns=${[
        { title: "Memory", cell: (/** @type {any} */ row) => html`<${Text} value=${row.text.slice(0, 160)} />`, sort: (/** @type {any} */ row) => row.text },
        { title: "Source", cell: (/** @type {any} */ row) => html`<${Text} value=${row.source ?? ""} />`, sort: (/** @type {any} */ row) => row.source ?? "" },
        { title: "Tags", cell: (/** @type {any} */ row) => html`<${Text} value=${row.tags.join(", ")} />`, sort: (/** @type {any} */ row) => row.tags.join() },
        { title: "Made", cell: (/** @type {any} */ row) => html`<${Time} ms=${row.createdAtMs} />`, sort: (/** @type {any} */ row) => row.createdAtMs, end: true },
      ]} />
    ${shown < numbers.length && html`<${Button} onClick=${() => setShown(shown + PAGE)}>Show more<//>`}</section>`;
}
