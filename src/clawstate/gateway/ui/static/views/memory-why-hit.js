// Why a hit came, asked for when somebody wants to know: to explain takes longer than to find.

import { api } from "../core/api.js";
import { html } from "../core/lib.js";
import { useQuery } from "../core/store.js";
import { Failed, Waiting } from "../parts/small.js";
import { Reasons } from "./memory-reasons.js";
import { FOUND } from "./memory-search.js";

/** @param {{record: any, asked: Record<string, any>}} props `asked`: the question and its demands */
export default function WhyHit({ record, asked }) {
  const body = { ...asked, name: record.id, k: FOUND };
  const found = useQuery(`explain ${JSON.stringify(body)}`, (signal) => api.post("memory/explain", body, { signal }), { parts: ["memory"] });
  const told = found.data?.verdicts[0]?.explanation;
  if (found.error) return html`<${Failed} error=${found.error} again=${found.refresh} />`;
  return told ? html`<${Reasons} record=${{ explanation: told }} />` : !found.data && html`<${Waiting} lines=${2} />`;
}
