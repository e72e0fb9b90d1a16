// The map itself: two canvases, one for the points and one for words, outline and hints above them, and
// the hands on it: mouse, touch and keyboard.
//
//   html`<${Stage} found=${found} index=${index} looks=${looks} palette=${rgbs} isSelecting=${...} label="..."
//     onOpen=${(i) => ...} onHover=${(i) => ...} onSelect=${(numbers) => ...} commands=${ref} />`
//
// `commands.current` gets { zoomBy, reset, startRectangle }.

import { html, useEffect, useRef } from "../../core/lib.js";
import { Camera } from "./camera.js";
import { plainDrawing } from "./draw-2d.js";
import { glDrawing } from "./draw-gl.js";
import { drawLabels, placeLabels } from "./labels.js";
import { useHands } from "./hands.js";
import { cornersOf } from "./near.js";

/** Points are larger where there are few, and as somebody comes nearer. @param {number} count @param {number} zoom */
const sizeOf = (count, zoom) =>
  Math.min(11, (count > 50_000 ? 2.2 : count > 10_000 ? 3 : count > 1_000 ? 4.5 : 7) * Math.max(1, zoom) ** 0.32);

/** @param {any} props */
export function Stage(props) {
  const box = useRef(null), points = useRef(null), over = useRef(null);
  const held = useRef(/** @type {any} */ (null));
  held.current ??= { camera: new Camera(), drawing: null, frame: 0, hover: -1, outline: [], box: null, props, widths: new Map() };
  const stage = held.current;
  stage.props = props;

  stage.redraw ??= () => {
    if (!stage.frame) stage.frame = requestAnimationFrame(() => {
      stage.frame = 0;
      if (box.current) box.current.dataset.zoom = stage.camera.zoom.toFixed(2);
      draw(stage, over.current);
    });
  };

  useEffect(() => {
    stage.drawing = glDrawing(points.current) ?? plainDrawing(points.current);
    box.current.dataset.drawing = stage.drawing.kind;
    const resize = () => {
      if (!box.current) return; // gone, and told of its last size
      const { width, height } = box.current.getBoundingClientRect();
      const ratio = Math.min(devicePixelRatio || 1, 2);
      for (const canvas of [points.current, over.current]) [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
      stage.ratio = ratio;
      stage.camera.resize(width, height);
      stage.redraw();
    };
    const sizes = new ResizeObserver(resize);
    sizes.observe(box.current);
    const themes = new MutationObserver(stage.redraw);
    themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", stage.redraw);
    return () => {
      sizes.disconnect();
      themes.disconnect();
      scheme.removeEventListener("change", stage.redraw);
      cancelAnimationFrame(stage.frame);
      stage.drawing.free();
    };
  }, []);

  useEffect(() => {
    stage.drawing.points(props.found.x, props.found.y);
    stage.camera.fit(boxOf(props.found));
    stage.widths.clear();
    stage.hover = -1;
    stage.redraw();
  }, [props.found.version]);
  useEffect(() => {
    stage.drawing.looks(props.looks);
    stage.drawing.palette(props.palette, props.marked);
    stage.redraw();
  }, [props.looks, props.palette]);
  useEffect(stage.redraw, [props.found.doc]);

  const hands = useHands(stage, box);
  if (props.commands) props.commands.current = hands.commands;
  return html`<div class="map-stage" ref=${box} tabindex="0" role="application" aria-label=${props.label}
      aria-describedby="map-help" data-selecting=${props.isSelecting ? "" : undefined} ...${hands.on}>
    <canvas ref=${points} aria-hidden="true"></canvas><canvas ref=${over} aria-hidden="true"></canvas>
    <p id="map-help" class="hidden">Arrow keys move, plus and minus zoom, 0 shows all. Enter opens the memory nearest to the middle.
      R begins a rectangle there: arrow keys make it larger, Enter selects what lies in it, Escape ends it.
      The table below the map has the same memories.</p>
  </div>`;
}

/** The box of all points, never flat. @param {any} found @returns {number[]} */
function boxOf({ x, y, count }) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < count; i++) {
    box[0] = Math.min(box[0], x[i]);
    box[1] = Math.min(box[1], y[i]);
    box[2] = Math.max(box[2], x[i]);
    box[3] = Math.max(box[3], y[i]);
  }
  if (!count) return [-1, -1, 1, 1];
  const more = [0, 1].map((axis) => Math.max(0, 0.1 - (box[axis + 2] - box[axis])) / 2);
  return [box[0] - more[0], box[1] - more[1], box[2] + more[0], box[3] + more[1]];
}

/** @param {any} stage @param {HTMLCanvasElement|null} canvas */
function draw(stage, canvas) {
  if (!canvas || !stage.drawing) return;
  const { camera, props, ratio = 1 } = stage;
  stage.drawing.draw(camera, sizeOf(props.found.count, camera.zoom), ratio);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, camera.width, camera.height);
  const style = getComputedStyle(canvas);
  const look = { ink: style.color, ground: style.backgroundColor, font: style.fontFamily, accent: style.accentColor };
  const ground = getComputedStyle(/** @type {HTMLElement} */ (canvas.parentElement)).backgroundColor;
  const measure = (/** @type {string} */ text, /** @type {number} */ size) => {
    const key = `${size} ${text}`;
    if (!stage.widths.has(key)) {
      context.font = `700 ${size}px ${look.font}`;
      stage.widths.set(key, context.measureText(text).width);
    }
    return stage.widths.get(key);
  };
  drawLabels(context, placeLabels(props.found.doc.regions, camera, measure), { ...look, ground });
  drawOutline(context, stage, look);
  if (stage.hover >= 0) {
    const [x, y] = camera.toScreen(props.found.x[stage.hover], props.found.y[stage.hover]);
    ring(context, x, y, 9, look.ink);
  }
  if (stage.isByKeys && !stage.box) {
    ring(context, camera.width / 2, camera.height / 2, 5, look.accent);
  }
}

/** @param {CanvasRenderingContext2D} context @param {any} stage @param {any} look */
function drawOutline(context, stage, look) {
  const outline = stage.outline.length ? stage.outline : stage.box ? cornersOf(stage.box) : [];
  if (outline.length < 2) return;
  context.beginPath();
  for (const [x, y] of outline) context.lineTo(x, y);
  context.closePath();
  context.globalAlpha = 0.12;
  context.fillStyle = look.accent;
  context.fill();
  context.globalAlpha = 1;
  context.strokeStyle = look.accent;
  context.lineWidth = 2;
  context.stroke();
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} radius @param {string} colour */
function ring(context, x, y, radius, colour) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.stroke();
}
