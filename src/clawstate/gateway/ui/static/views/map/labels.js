// The words of regions on the map: those of the whole first, smaller ones as somebody comes nearer,
// and none over another.

const FROM = [0, 1.15, 2.6]; // the zoom from which regions of a level have a label
const UPTO = [3.5, 12, Infinity];
const SIZES = [16, 14, 13];
const APART = 6, ABOVE = 14;

/**
 * Chooses labels with their places; pure, `measure` tells how wide a text is at a size.
 * @param {any[]} regions @param {import("./camera.js").Camera} camera @param {(text: string, size: number) => number} measure
 */
export function placeLabels(regions, camera, measure) {
  const taken = [[camera.width - 60, 0, camera.width, 170]]; // where the buttons are
  const placed = [];
  const wanted = regions.filter((each) => each.words.length && camera.zoom >= FROM[each.level] && camera.zoom < UPTO[each.level]);
  wanted.sort((a, b) => a.level - b.level || b.count - a.count);
  for (const region of wanted) {
    const [x, middle] = camera.toScreen(region.x, region.y);
    const y = middle - ABOVE; // what it names stays to be seen
    const size = SIZES[region.level];
    // A word may be of a script that runs the other way: each keeps its direction to itself.
    const text = region.words.slice(0, camera.width < 500 ? 2 : 3).map((/** @type {string} */ each) => `\u2068${each}\u2069`).join(" · ");
    const wide = measure(text, size) / 2 + APART, high = size / 2 + APART;
    if (x - wide < 0 || x + wide > camera.width || y - high < 0 || y + high > camera.height) continue;
    const box = [x - wide, y - high, x + wide, y + high];
    if (taken.some((each) => box[0] < each[2] && each[0] < box[2] && box[1] < each[3] && each[1] < box[3])) continue;
    taken.push(box);
    placed.push({ text, x, y, size, level: region.level });
  }
  return placed;
}

/**
 * @param {CanvasRenderingContext2D} context @param {any[]} labels @param {{ink: string, ground: string, font: string}} look
 */
export function drawLabels(context, labels, look) {
  const measure = (/** @type {string} */ text) => context.measureText(text).width;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const { text, x, y, size, level } of labels) {
    context.font = `${level ? 600 : 700} ${size}px ${look.font}`;
    // A ground of its own: over many points an outline of the letters alone is lost.
    const wide = measure(text) / 2 + 7, high = size / 2 + 5;
    context.fillStyle = look.ground;
    context.globalAlpha = 0.82;
    context.beginPath();
    context.roundRect(x - wide, y - high, wide * 2, high * 2, 6);
    context.fill();
    context.globalAlpha = 1;
    context.fillStyle = look.ink;
    context.fillText(text, x, y);
  }
}
