// Which part of the map is seen: a middle, and how many pixels one unit takes.
//
//   camera.toScreen(x, y) -> [px, py]     camera.toMap(px, py) -> [x, y]     camera.zoom is 1 when all is seen

const MOST = 120;

const MARGIN = 36; // pixels around all points, for words at the edge

export class Camera {
  constructor() {
    this.zoom = 1;
    this.width = 1;
    this.height = 1;
    this.box = [-1, -1, 1, 1];
    this.x = 0;
    this.y = 0;
  }

  /** Pixels of one unit of the map. */
  get scale() {
    const [left, low, right, high] = this.box;
    return this.zoom * Math.min(Math.max(40, this.width - 2 * MARGIN) / (right - left), Math.max(40, this.height - 2 * MARGIN) / (high - low));
  }

  /** @param {number} width @param {number} height in pixels */
  resize(width, height) {
    [this.width, this.height] = [width, height];
  }

  /** Where there are points: that is what is seen at a zoom of 1. @param {number[]} box left, low, right, high */
  fit(box) {
    const isAll = this.zoom === 1;
    this.box = box;
    if (isAll) this.reset();
  }

  reset() {
    const [left, low, right, high] = this.box;
    [this.x, this.y, this.zoom] = [(left + right) / 2, (low + high) / 2, 1];
  }

  /** @param {number} x @param {number} y @returns {[number, number]} */
  toScreen(x, y) {
    return [this.width / 2 + (x - this.x) * this.scale, this.height / 2 - (y - this.y) * this.scale];
  }

  /** @param {number} px @param {number} py @returns {[number, number]} */
  toMap(px, py) {
    return [this.x + (px - this.width / 2) / this.scale, this.y - (py - this.height / 2) / this.scale];
  }

  /** @param {number} dx @param {number} dy in pixels */
  pan(dx, dy) {
    this.x = Math.max(-1.2, Math.min(1.2, this.x - dx / this.scale));
    this.y = Math.max(-1.4, Math.min(1.2, this.y + dy / this.scale));
  }

  /** Zooms so that what is at a pixel stays there. @param {number} factor @param {number} px @param {number} py */
  zoomAt(factor, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.toMap(px, py);
    this.zoom = Math.max(0.8, Math.min(MOST, this.zoom * factor));
    const [ax, ay] = this.toMap(px, py);
    this.x += x - ax;
    this.y += y - ay;
  }
}
