// What hands do on the map: drag, wheel, two fingers, an outline, and all of it by keys.

import { useEffect, useRef } from "../../core/lib.js";
import { cornersOf } from "./near.js";

const NEAR = 14; // pixels from a point within which it is meant
const MOVED = 5; // pixels after which a press is no click
const STEP = 60, GROW = 16;
const LONG = 450; // milliseconds after which a finger that rests begins an outline

/** @param {any} stage @param {{current: HTMLElement|null}} box */
export function useHands(stage, box) {
  const state = useRef({ pointers: new Map(), from: null, far: 0, isOutline: false, isLong: false, timer: 0 }).current;
  const { camera, redraw } = stage;

  const placeOf = (/** @type {MouseEvent} */ event) => {
    const edge = /** @type {HTMLElement} */ (box.current).getBoundingClientRect();
    return /** @type {[number, number]} */ ([event.clientX - edge.left, event.clientY - edge.top]);
  };
  const nearest = (/** @type {number} */ px, /** @type {number} */ py, within = NEAR) =>
    stage.props.index.nearest(...camera.toMap(px, py), within / camera.scale);
  const hover = (/** @type {number} */ number) => {
    if (number === stage.hover) return;
    stage.hover = number;
    stage.props.onHover(number, number < 0 ? null : camera.toScreen(stage.props.found.x[number], stage.props.found.y[number]));
    redraw();
  };
  const select = (/** @type {[number, number][]} */ outline) =>
    stage.props.onSelect(stage.props.index.inside(outline.map(([x, y]) => camera.toMap(x, y))));
  const move = () => {
    redraw();
    hover(-1);
  };

  // A wheel that is over the map zooms, and does not scroll the page; React's way would be too late.
  useEffect(() => {
    const wheel = (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      camera.zoomAt(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0022)), ...placeOf(event));
      move();
    };
    const element = /** @type {HTMLElement} */ (box.current);
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  }, []);

  const on = {
    onPointerDown(/** @type {PointerEvent} */ event) {
      if (event.button) return;
      /** @type {HTMLElement} */ (box.current).setPointerCapture(event.pointerId);
      const place = placeOf(event);
      state.pointers.set(event.pointerId, place);
      stage.isByKeys = false;
      if (state.pointers.size === 1) {
        state.from = place;
        state.far = 0;
        state.isOutline = stage.props.isSelecting || event.shiftKey;
        stage.outline = state.isOutline ? [place] : [];
        state.isLong = false;
        clearTimeout(state.timer);
        if (event.pointerType === "touch" && !state.isOutline) state.timer = setTimeout(() => {
          [state.isLong, state.isOutline, stage.outline] = [true, true, [place]];
          navigator.vibrate?.(15);
          redraw();
        }, LONG);
      } else {
        clearTimeout(state.timer);
        state.isOutline = false;
        stage.outline = [];
        state.far = MOVED + 1;
      }
    },
    onPointerMove(/** @type {PointerEvent} */ event) {
      const place = placeOf(event), before = state.pointers.get(event.pointerId);
      if (!before) {
        if (event.pointerType === "mouse") hover(nearest(...place));
        return;
      }
      const others = [...state.pointers].filter(([id]) => id !== event.pointerId);
      state.pointers.set(event.pointerId, place);
      const [dx, dy] = [place[0] - before[0], place[1] - before[1]];
      state.far += Math.hypot(dx, dy);
      if (state.far > MOVED) clearTimeout(state.timer);
      if (others.length) {
        const [ox, oy] = others[0][1];
        const factor = Math.hypot(place[0] - ox, place[1] - oy) / Math.max(1, Math.hypot(before[0] - ox, before[1] - oy));
        camera.pan(dx / 2, dy / 2);
        camera.zoomAt(factor, (place[0] + ox) / 2, (place[1] + oy) / 2);
      } else if (state.isOutline) {
        stage.outline.push(place);
      } else if (state.far > MOVED) {
        camera.pan(dx, dy);
      }
      move();
    },
    onPointerUp(/** @type {PointerEvent} */ event) {
      if (!state.pointers.delete(event.pointerId) || state.pointers.size) return;
      clearTimeout(state.timer);
      const outline = stage.outline;
      stage.outline = [];
      if (state.isOutline && state.far > MOVED) select(outline);
      else if (state.far <= MOVED && !state.isLong) {
        const found = nearest(...placeOf(event), event.pointerType === "mouse" ? NEAR : 24);
        if (found >= 0) stage.props.onOpen(found);
      }
      redraw();
    },
    onContextMenu(/** @type {Event} */ event) {
      if (state.pointers.size) event.preventDefault(); // what a long press means elsewhere
    },
    onPointerCancel(/** @type {PointerEvent} */ event) {
      clearTimeout(state.timer);
      state.pointers.delete(event.pointerId);
      stage.outline = [];
      redraw();
    },
    onPointerLeave() {
      if (!state.pointers.size) hover(-1);
    },
    onDblClick(/** @type {MouseEvent} */ event) {
      camera.zoomAt(2, ...placeOf(event));
      move();
    },
    onFocus() {
      // By the keyboard alone: a click needs no cross.
      stage.isByKeys = /** @type {HTMLElement} */ (box.current).matches(":focus-visible");
      redraw();
    },
    onBlur() {
      stage.isByKeys = false;
      stage.box = null;
      redraw();
    },
    onKeyDown(/** @type {KeyboardEvent} */ event) {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const act = (stage.box ? inBox : onMap)[event.key];
      if (!act) return;
      event.preventDefault();
      event.stopPropagation();
      stage.isByKeys = true;
      act();
      redraw();
    },
  };

  const middle = () => nearest(camera.width / 2, camera.height / 2, Math.max(camera.width, camera.height) / 6);
  const byKeys = (/** @type {() => void} */ act) => () => {
    act();
    hover(middle());
  };
  const onMap = /** @type {Record<string, () => void>} */ ({
    ArrowLeft: byKeys(() => camera.pan(STEP, 0)),
    ArrowRight: byKeys(() => camera.pan(-STEP, 0)),
    ArrowUp: byKeys(() => camera.pan(0, STEP)),
    ArrowDown: byKeys(() => camera.pan(0, -STEP)),
    "+": byKeys(() => camera.zoomAt(1.5)),
    "=": byKeys(() => camera.zoomAt(1.5)),
    "-": byKeys(() => camera.zoomAt(1 / 1.5)),
    0: byKeys(() => camera.reset()),
    Enter: () => {
      const found = middle();
      if (found >= 0) stage.props.onOpen(found);
    },
    r: () => startRectangle(),
  });
  const grow = (/** @type {number} */ wide, /** @type {number} */ high) => () => {
    stage.box.wide = Math.max(8, stage.box.wide + wide);
    stage.box.high = Math.max(8, stage.box.high + high);
  };
  const inBox = /** @type {Record<string, () => void>} */ ({
    ArrowLeft: grow(-GROW, 0),
    ArrowRight: grow(GROW, 0),
    ArrowUp: grow(0, GROW),
    ArrowDown: grow(0, -GROW),
    Enter: () => {
      const outline = cornersOf(stage.box);
      stage.box = null;
      select(outline);
    },
    Escape: () => {
      stage.box = null;
    },
  });
  const startRectangle = () => {
    stage.box = { x: camera.width / 2, y: camera.height / 2, wide: 60, high: 60 };
    box.current?.focus();
    hover(-1);
    redraw();
  };
  const commands = {
    zoomBy(/** @type {number} */ factor) {
      camera.zoomAt(factor);
      move();
    },
    reset() {
      camera.reset();
      move();
    },
    startRectangle,
    stage,
  };
  return { on, commands };
}
