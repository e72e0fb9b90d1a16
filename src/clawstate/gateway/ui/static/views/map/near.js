// Which point is nearest, and which lie within an outline: by a grid, so that 100,000 are no matter.
//
//   const index = indexOf(found);  index.nearest(x, y, within) -> number or -1
//   index.inside([[x, y], ...]) -> Uint32Array of numbers, ascending

const CELLS = 128;
const LOW = -1.3, SIZE = 2.6;

const cellOf = (/** @type {number} */ value) =>
  Math.min(CELLS - 1, Math.max(0, Math.floor(((value - LOW) / SIZE) * CELLS)));

/** @param {{x: Float32Array, y: Float32Array, count: number}} points */
export function indexOf({ x, y, count }) {
  const starts = new Uint32Array(CELLS * CELLS + 1);
  const cells = new Uint16Array(count);
  for (let i = 0; i < count; i++) starts[(cells[i] = cellOf(y[i]) * CELLS + cellOf(x[i])) + 1]++;
  for (let i = 0; i < CELLS * CELLS; i++) starts[i + 1] += starts[i];
  const next = starts.slice(), order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[next[cells[i]]++] = i;

  const visit = (/** @type {number[]} */ [left, low, right, high], /** @type {(i: number) => void} */ each) => {
    for (let row = cellOf(low); row <= cellOf(high); row++) {
      const from = starts[row * CELLS + cellOf(left)], to = starts[row * CELLS + cellOf(right) + 1];
      for (let at = from; at < to; at++) each(order[at]);
    }
  };

  return {
    /** @param {number} px @param {number} py @param {number} within */
    nearest(px, py, within) {
      let best = -1, least = within * within;
      visit([px - within, py - within, px + within, py + within], (i) => {
        const far = (x[i] - px) ** 2 + (y[i] - py) ** 2;
        if (far <= least) [best, least] = [i, far];
      });
      return best;
    },
    /** @param {[number, number][]} outline */
    inside(outline) {
      const xs = outline.map((each) => each[0]), ys = outline.map((each) => each[1]);
      const found = /** @type {number[]} */ ([]);
      visit([Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)], (i) => {
        if (isInside(outline, x[i], y[i])) found.push(i);
      });
      return Uint32Array.from(found).sort();
    },
  };
}

/** By the crossings of a ray. @param {[number, number][]} outline @param {number} x @param {number} y */
export function isInside(outline, x, y) {
  let inside = false;
  for (let i = 0, j = outline.length - 1; i < outline.length; j = i++) {
    const [ax, ay] = outline[i], [bx, by] = outline[j];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

/** @param {{x: number, y: number, wide: number, high: number}} box in pixels */
export const cornersOf = ({ x, y, wide, high }) => /** @type {[number, number][]} */ ([
  [x - wide, y - high], [x + wide, y - high], [x + wide, y + high], [x - wide, y + high],
]);
