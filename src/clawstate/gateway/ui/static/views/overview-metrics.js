// Reads the counts of the gateway, which it gives in the text format of Prometheus.

/** @typedef {{buckets: [number, number][], failed: number, listeners: number, resident: number, cpu: number}} Metrics */

/** @param {string} text @returns {Metrics} */
export function readMetrics(text) {
  const found = { buckets: /** @type {[number, number][]} */ ([]), failed: 0, listeners: 0, resident: 0, cpu: 0 };
  for (const line of text.split("\n")) {
    const at = line.lastIndexOf(" ");
    if (line.startsWith("#") || at < 0) continue;
    const name = line.slice(0, at), value = Number(line.slice(at + 1));
    const bound = /^clawstate_http_request_duration_seconds_bucket\{le="([^"]+)"\}/.exec(name)?.[1];
    if (bound) found.buckets.push([bound === "+Inf" ? Infinity : Number(bound), value]);
    else if (/^clawstate_http_requests_total\{.*status="[45]/.test(name)) found.failed += value;
    else if (name === "clawstate_event_listeners") found.listeners = value;
    else if (name === "process_resident_memory_bytes") found.resident = value;
    else if (name === "process_cpu_seconds_total") found.cpu = value;
  }
  return found;
}

/**
 * In how many seconds half of the answers, and 95 of 100, were there.
 * @param {Metrics} now @param {Metrics|null} before counts since then, or since the start
 */
export function latencyOf(now, before) {
  const counts = now.buckets.map(([bound, value], index) => /** @type {[number, number]} */ ([bound, value - (before?.buckets[index]?.[1] ?? 0)]));
  const total = counts.at(-1)?.[1] ?? 0;
  return { count: total, median: quantile(counts, total * 0.5), high: quantile(counts, total * 0.95) };
}

/** @param {[number, number][]} counts @param {number} wanted */
function quantile(counts, wanted) {
  if (!wanted) return null;
  let low = 0, below = 0;
  for (const [bound, value] of counts) {
    if (value >= wanted) {
      return bound === Infinity ? low : low + (bound - low) * ((wanted - below) / (value - below || 1));
    }
    low = bound;
    below = value;
  }
  return low;
}
