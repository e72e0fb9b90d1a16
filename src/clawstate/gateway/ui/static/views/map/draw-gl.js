// Draws the points by WebGL2: they lie in the memory of the card, and a frame is one call.
//
//   const drawing = glDrawing(canvas)   // null where there is no card with WebGL2: then draw-2d.js
//   drawing.points(x, y); drawing.looks(Uint8Array); drawing.palette([[r, g, b], ...]); drawing.draw(camera, size, ratio)
//
// `looks`: for each point the number of its colour (0 to 15), plus 16 where it is dimmed, 32 where it is
// found or selected.

const VERTEX = `#version 300 es
in vec2 place; in float look;
uniform vec2 middle, scale; uniform float size; uniform vec3 colours[16]; uniform vec3 marked;
uniform int part;
out vec4 colour;
void main() {
  int bits = int(look + 0.5);
  bool dim = (bits & 16) != 0, mark = (bits & 32) != 0;
  int mine = mark ? 2 : dim ? 0 : 1;
  gl_Position = mine == part ? vec4((place - middle) * scale, 0.0, 1.0) : vec4(2.0, 2.0, 2.0, 1.0);
  gl_PointSize = mark ? size * 1.6 + 1.0 : size;
  colour = mark ? vec4(marked, 1.0) : vec4(colours[bits & 15], dim ? 0.16 : 0.82);
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 colour; out vec4 pixel; uniform float round;
void main() {
  if (round > 0.5) {
    vec2 off = gl_PointCoord - 0.5;
    if (dot(off, off) > 0.25) discard;
  }
  pixel = vec4(colour.rgb * colour.a, colour.a);
}`;

/** @param {HTMLCanvasElement} canvas @param {boolean} [always] also where software makes up the card */
export function glDrawing(canvas, always = false) {
  const gl = always || isFast() ? canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true }) : null;
  if (!gl) return null;
  const program = build(gl);
  if (!program) return null;
  const uniform = (/** @type {string} */ name) => gl.getUniformLocation(program, name);
  const names = ["middle", "scale", "size", "colours", "marked", "part", "round"];
  const at = Object.fromEntries(names.map((name) => [name, uniform(name)]));
  const [places, looks] = [gl.createBuffer(), gl.createBuffer()];
  let count = 0, kinds = [0, 0, 0];
  gl.useProgram(program);
  bind(gl, program, "place", places, 2, gl.FLOAT);
  bind(gl, program, "look", looks, 1, gl.UNSIGNED_BYTE);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);

  return {
    kind: "webgl2",
    /** @param {Float32Array} x @param {Float32Array} y */
    points(x, y) {
      count = x.length;
      const both = new Float32Array(2 * count);
      for (let i = 0; i < count; i++) [both[2 * i], both[2 * i + 1]] = [x[i], y[i]];
      gl.bindBuffer(gl.ARRAY_BUFFER, places);
      gl.bufferData(gl.ARRAY_BUFFER, both, gl.STATIC_DRAW);
    },
    /** @param {Uint8Array} found */
    looks(found) {
      kinds = [0, 0, 0];
      for (const each of found) kinds[each & 32 ? 2 : each & 16 ? 0 : 1]++;
      gl.bindBuffer(gl.ARRAY_BUFFER, looks);
      gl.bufferData(gl.ARRAY_BUFFER, found, gl.DYNAMIC_DRAW);
    },
    /** @param {number[][]} colours @param {number[]} marked each of three, 0 to 255 */
    palette(colours, marked) {
      const flat = new Float32Array(48);
      flat.set(colours.flat().map((each) => each / 255));
      gl.uniform3fv(at.colours, flat);
      gl.uniform3fv(at.marked, marked.map((each) => each / 255));
    },
    /** @param {import("./camera.js").Camera} camera @param {number} size @param {number} ratio */
    draw(camera, size, ratio) {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      if (!count) return;
      gl.uniform2f(at.middle, camera.x, camera.y);
      gl.uniform2f(at.scale, (2 * camera.scale) / camera.width, (2 * camera.scale) / camera.height);
      gl.uniform1f(at.size, size * ratio);
      // So small that nobody sees the corners.
      gl.uniform1f(at.round, size * ratio > 3 ? 1 : 0);
      // What is dimmed lies below, what is found above.
      for (const part of [0, 1, 2]) {
        if (!kinds[part]) continue;
        gl.uniform1i(at.part, part);
        gl.drawArrays(gl.POINTS, 0, count);
      }
    },
    free() {
      gl.getExtension("WEBGL_lose_context")?.loseContext();
    },
  };
}

/** Whether there is a card: one that is made up by software is slower than none. */
export function isFast() {
  const gl = document.createElement("canvas").getContext("webgl2");
  if (!gl) return false;
  const told = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(told ? told.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return !/swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}

/** @param {WebGL2RenderingContext} gl */
function build(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of /** @type {[number, string][]} */ ([[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]])) {
    const shader = /** @type {WebGLShader} */ (gl.createShader(kind));
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}

/**
 * @param {WebGL2RenderingContext} gl @param {WebGLProgram} program @param {string} name
 * @param {WebGLBuffer} buffer @param {number} size @param {number} type
 */
function bind(gl, program, name, buffer, size, type) {
  const place = gl.getAttribLocation(program, name);
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.enableVertexAttribArray(place);
  gl.vertexAttribPointer(place, size, type, false, 0, 0);
}
