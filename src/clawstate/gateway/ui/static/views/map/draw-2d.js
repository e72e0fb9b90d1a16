// Draws the points into the pixels of a plain canvas; the same calls as draw-gl.js.
//
// Where a card is made up by software, this is ten times as fast as WebGL2: 100,000 points take some
// milliseconds, since nothing but their pixels is looked at.

/** @param {HTMLCanvasElement} canvas */
export function plainDrawing(canvas) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  let x = new Float32Array(0), y = x, looks = new Uint8Array(0);
  let order = /** @type {Uint32Array[]} */ ([]);
  let colours = new Uint32Array(0), marked = 0;
  let image = /** @type {ImageData|null} */ (null);

  return {
    kind: "2d",
    /** @param {Float32Array} xs @param {Float32Array} ys */
    points(xs, ys) {
      [x, y] = [xs, ys];
      order = [];
    },
    /** @param {Uint8Array} found */
    looks(found) {
      looks = found;
      const numbers = /** @type {number[][]} */ ([[], [], []]);
      for (let i = 0; i < found.length; i++) numbers[found[i] & 32 ? 2 : found[i] & 16 ? 0 : 1].push(i);
      order = numbers.map((each) => Uint32Array.from(each));
    },
    /** @param {number[][]} found @param {number[]} mark */
    palette(found, mark) {
      colours = new Uint32Array(32);
      found.forEach((each, i) => {
        colours[i] = pixelOf(each, 255);
        colours[i + 16] = pixelOf(each, 60); // dimmed
      });
      marked = pixelOf(mark, 255);
    },
    /** @param {import("./camera.js").Camera} camera @param {number} size @param {number} ratio */
    draw(camera, size, ratio) {
      const { width, height } = canvas;
      if (!width || !height) return;
      if (image?.width !== width || image.height !== height) image = context.createImageData(width, height);
      const pixels = new Uint32Array(image.data.buffer);
      pixels.fill(0);
      const scale = camera.scale * ratio, right = width / 2 - camera.x * scale, down = height / 2 + camera.y * scale;
      order.forEach((numbers, part) => {
        const radius = ((part === 2 ? size * 1.6 + 1 : size) * ratio) / 2;
        const disc = discOf(radius, width), edge = Math.ceil(radius);
        for (let n = 0; n < numbers.length; n++) {
          const i = numbers[n];
          const px = (right + x[i] * scale) | 0, py = (down - y[i] * scale) | 0;
          if (px < edge || py < edge || px >= width - edge || py >= height - edge) continue;
          const colour = part === 2 ? marked : colours[looks[i] & 31], at = py * width + px;
          for (let each = 0; each < disc.length; each++) pixels[at + disc[each]] = colour;
        }
      });
      context.putImageData(image, 0, 0);
    },
    free() {},
  };
}

/** How far from its middle the pixels of a point lie, in a row of *width*. @param {number} radius @param {number} width */
function discOf(radius, width) {
  const found = [], reach = Math.floor(radius);
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      if (radius < 2 || dx * dx + dy * dy <= radius * radius) found.push(dy * width + dx);
    }
  }
  return found;
}

/** As a canvas has it in memory. @param {number[]} colour @param {number} alpha */
function pixelOf([red, green, blue], alpha) {
  return new Uint32Array(new Uint8Array([red, green, blue, alpha]).buffer)[0];
}
