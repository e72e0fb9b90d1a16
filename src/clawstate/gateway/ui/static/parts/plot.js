// A plot over time, by uPlot, which comes when the first one is shown.
//
//   html`<${Plot} label="Answers" times=${[ms, ...]} lines=${[{ title: "median", values: [...] }]} format=${duration} />`
//
// At most three lines: the first in the accent colour, the second soft, the third that of texts.
// `bars`: for counts of days; `stacked`: one on top of the other. `onPick` is told the number of what
// was clicked: a shortcut for what can be reached otherwise.
// A reader that sees no plot hears `label` and the last values.

import { classes, html, useEffect, useRef } from "../core/lib.js";
import { addStyle } from "../core/styles.js";

/** @param {{label: string, times: number[], lines: {title: string, values: (number|null)[]}[], format?: (n: number) => string, bars?: boolean, stacked?: boolean, height?: number, onPick?: (index: number) => void}} props */
export function Plot({ label, times, lines, format = String, bars = false, stacked = false, height = 176, onPick }) {
  const place = useRef(/** @type {HTMLElement|null} */ (null));
  const plot = useRef(/** @type {any} */ (null));
  // The first is drawn first, and is the highest: what the others leave of it is its own.
  const values = lines.map((each, index) => (stacked ? each.values.map((_, at) =>
    lines.slice(index).reduce((sum, other) => sum + (other.values[at] ?? 0), 0)) : each.values));
  const data = [times.map((each) => each / 1000), ...values];
  const latest = useRef(data);
  latest.current = data;
  useEffect(() => {
    let isOver = false, observer, stop = () => {};
    Promise.all([import("../vendor/uplot.js"), addStyle("vendor/uplot.css")]).then(([{ default: UPlot }]) => {
      if (isOver || !place.current) return;
      const draw = () => {
        plot.current?.destroy();
        plot.current = new UPlot(options(UPlot, place.current, lines, format, bars, height), latest.current, place.current);
      };
      draw();
      observer = new ResizeObserver(() => plot.current?.setSize({ width: place.current.clientWidth, height }));
      observer.observe(place.current);
      const dark = matchMedia("(prefers-color-scheme: dark)");
      const theme = new MutationObserver(draw);
      theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
      dark.addEventListener("change", draw);
      stop = () => (dark.removeEventListener("change", draw), theme.disconnect());
    });
    return () => {
      isOver = true;
      stop();
      observer?.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => plot.current?.setData(data), [times, lines]);
  const told = lines.map((each) => {
    const last = each.values.findLast((value) => value !== null && value !== undefined);
    return last === undefined ? "" : `, ${each.title} ${format(/** @type {number} */ (last))}`;
  }).join("");
  const pick = onPick && ((event) => {
    const box = place.current?.querySelector(".u-over")?.getBoundingClientRect();
    if (box && plot.current) onPick(plot.current.posToIdx(event.clientX - box.left));
  });
  return html`<div><div class=${classes("plot", onPick && "picks")} ref=${place} data-count=${times.length} role="img" aria-label=${label + told} onClick=${pick}></div>
    ${lines.length > 1 && html`<div class="legend">${lines.map((each, index) =>
      html`<span class=${["first", "second", "third"][index]}><i></i>${each.title}</span>`)}</div>`}</div>`;
}

const COLOURS = ["--accent", "--soft", "--ink"];

/** The first and the last bar have room, too. */
function roomFor(low, high, count) {
  const half = count > 1 ? (high - low) / (count - 1) / 2 : 43_200;
  return [low - half, high + half];
}

function options(UPlot, place, lines, format, bars, height) {
  const style = getComputedStyle(place);
  // A canvas takes colours that are computed, and no pairs of light and dark.
  const colour = (name) => {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    place.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  const soft = colour("--soft"), grid = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: soft, grid, ticks: grid, font: `11px ${style.fontFamily}` };
  return {
    width: place.clientWidth,
    height,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 8, 0, 0],
    scales: { x: { range: (_, low, high) => (bars ? roomFor(low, high, place.dataset.count) : [low, high]) }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
    axes: [{ ...axis, space: 70 }, { ...axis, size: 58, space: height < 150 ? 22 : 30, values: (_, ticks) => ticks.map(format) }],
    series: [{}, ...lines.map((each, index) => ({
      label: each.title,
      stroke: colour(COLOURS[index]),
      fill: bars ? colour(COLOURS[index]) : undefined,
      width: bars ? 0 : 1.75,
      points: { show: false },
      spanGaps: true,
      paths: bars ? UPlot.paths.bars({ size: [0.7, 40] }) : UPlot.paths.spline?.(),
    }))],
  };
}
