// Why a memory that is open came for the question, or why it did not.

import { api } from "../core/api.js";
import { html } from "../core/lib.js";
import { useQuery } from "../core/store.js";
import { Badge, Failed } from "../parts/small.js";
import { Text } from "../parts/text.js";
import { Reasons } from "./memory-reasons.js";
import { FOUND } from "./memory-search.js";

export function Why({ record, query, demands }) {
  const body = { query, name: record.id, k: FOUND, ...demands };
  const found = useQuery(`explain ${JSON.stringify(body)}`, (signal) => api.post("memory/explain", body, { signal }), { parts: ["memory"] });
  const verdict = found.data?.verdicts[0];
  if (found.error) return html`<${Failed} error=${found.error} again=${found.refresh} />`;
  if (!verdict) return null;
  return html`<section><h3>For “<${Text} value=${query} />”</h3>
    <p><${Badge} kind=${verdict.reason === "shown" ? "good" : "warn"}>${verdict.reason}<//> <${Text} value=${verdict.sentence} /></p>
    ${verdict.explanation && html`<${Reasons} record=${{ explanation: verdict.explanation }} />`}</section>`;
}
