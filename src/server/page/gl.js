// What the graphics card does: points that move, lines with a width, filled shapes.
//
// Four programs. Positions are 32-bit floats relative to an origin near the view; scale and
// offset to pixels are uniforms, computed in 64 bits. Colours are premultiplied.

const POINTS_VERTEX = `#version 300 es
layout(location = 0) in vec4 place;
layout(location = 1) in vec2 course;
layout(location = 2) in vec4 colour;
layout(location = 3) in float size;
uniform float mixing, pixels, factor;
uniform vec2 scale, offset, viewport;
out vec4 tint;
out vec2 heading;
out float extent;
void main() {
  vec2 at = mix(place.xy, place.zw, mixing) * scale + offset;
  gl_Position = vec4(at / viewport * vec2(2, -2) + vec2(-1, 1), 0, 1);
  extent = size * factor * pixels;
  gl_PointSize = extent + 1.0;
  tint = colour;
  float far = length(course);
  heading = far > 0.0 ? course / far : vec2(0);
}`;

const POINTS_FRAGMENT = `#version 300 es
precision highp float;
in vec4 tint;
in vec2 heading;
in float extent;
uniform vec4 halo;
uniform float rim, ship, hole;
out vec4 fragment;
float hull(vec2 at, float radius) {
  vec2 along = vec2(abs(dot(at, vec2(-heading.y, heading.x))), dot(at, heading));
  float side = dot(along - vec2(0, radius), normalize(vec2(1.0, 0.42)));
  return max(max(side, along.x - radius * 0.56), -along.y - radius * 0.85);
}
void main() {
  vec2 at = (gl_PointCoord - 0.5) * (extent + 1.0);
  float radius = extent * 0.5;
  float away = ship > 0.5 && heading != vec2(0) ? hull(at, radius) : length(at) - radius * (1.0 - 0.3 * ship);
  float cover = clamp(0.5 - away, 0.0, 1.0);
  float inner = clamp(0.5 - (away + rim), 0.0, 1.0);
  vec4 body = mix(vec4(halo.rgb * halo.a, halo.a), vec4(tint.rgb * tint.a, tint.a), inner);
  float open = clamp(0.5 - (away + hole), 0.0, 1.0) * step(0.01, hole);
  fragment = body * cover * (1.0 - open);
}`;

const LINES_VERTEX = `#version 300 es
layout(location = 0) in vec4 ends;
layout(location = 1) in vec4 colour;
layout(location = 2) in float width;
uniform vec2 scale, offset, viewport;
uniform float pixels, factor;
out vec4 tint;
out float across, half_width;
void main() {
  vec2 a = ends.xy * scale + offset, b = ends.zw * scale + offset;
  vec2 along = b - a;
  float far = length(along);
  along = far > 0.0 ? along / far : vec2(1, 0);
  half_width = width * factor * pixels * 0.5;
  float side = float(gl_VertexID & 1) * 2.0 - 1.0, end = float(gl_VertexID >> 1);
  across = side * (half_width + 1.0);
  vec2 at = mix(a, b, end) + vec2(-along.y, along.x) * across + along * (end * 2.0 - 1.0) * half_width * 0.5;
  gl_Position = vec4(at / viewport * vec2(2, -2) + vec2(-1, 1), 0, 1);
  tint = colour;
}`;

const LINES_FRAGMENT = `#version 300 es
precision highp float;
in vec4 tint;
in float across, half_width;
out vec4 fragment;
void main() {
  float cover = clamp(half_width - abs(across) + 0.5, 0.0, 1.0) * min(1.0, half_width * 2.0);
  fragment = vec4(tint.rgb, 1) * tint.a * cover;
}`;

const SHAPES_VERTEX = `#version 300 es
layout(location = 0) in vec2 place;
layout(location = 1) in vec4 colour;
uniform vec2 viewport;
uniform float pixels;
out vec4 tint;
void main() {
  gl_Position = vec4(place * pixels / viewport * vec2(2, -2) + vec2(-1, 1), 0, 1);
  tint = colour;
}`;

const SHAPES_FRAGMENT = `#version 300 es
precision highp float;
in vec4 tint;
out vec4 fragment;
void main() { fragment = vec4(tint.rgb, 1) * tint.a; }`;

const LAYER_VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  gl_Position = vec4(corner * 4.0 - 1.0, 0, 1);
}`;

const LAYER_FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D picture;
out vec4 fragment;
void main() { fragment = texelFetch(picture, ivec2(gl_FragCoord.xy), 0); }`;

/** The WebGL2 context of a canvas, or null. */
export function contextOf(canvas) {
  return canvas.getContext("webgl2", {
    antialias: false,
    stencil: true,
    depth: false,
  });
}

export class Painter {
  constructor(gl) {
    this.gl = gl;
    this.points = program(gl, POINTS_VERTEX, POINTS_FRAGMENT);
    this.lines = program(gl, LINES_VERTEX, LINES_FRAGMENT);
    this.shapes = program(gl, SHAPES_VERTEX, SHAPES_FRAGMENT);
    this.layers = program(gl, LAYER_VERTEX, LAYER_FRAGMENT);
    this.kept = {
      key: null,
      size: [0, 0],
      texture: gl.createTexture(),
      frame: gl.createFramebuffer(),
    };
    this.scratch = gl.createBuffer();
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  /** A buffer with static or often replaced floats. */
  buffer(data, buffer = this.gl.createBuffer(), use = this.gl.DYNAMIC_DRAW) {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, buffer);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, data, use);
    return buffer;
  }

  /** Begins a picture of a ground colour, or on what lies below; `pixels` is the screen's density. */
  begin(ground, pixels) {
    const { gl } = this;
    this.pixels = pixels;
    this.size = [gl.drawingBufferWidth, gl.drawingBufferHeight];
    gl.viewport(0, 0, ...this.size);
    gl.clearColor(...(ground ? [...ground.slice(0, 3), 1] : [0, 0, 0, 0]));
    gl.clear(gl.COLOR_BUFFER_BIT | gl.STENCIL_BUFFER_BIT);
  }

  /**
   * Shows what `paint` draws. It is drawn into a picture of its own, and anew only when `key` is
   * another one or the screen has another size.
   */
  layer(key, paint) {
    const { gl, kept } = this;
    gl.bindTexture(gl.TEXTURE_2D, kept.texture);
    const sameSize = kept.size[0] === this.size[0] && kept.size[1] === this.size[1];
    if (!sameSize || kept.key !== key) {
      if (!sameSize) this.resizeLayer();
      kept.key = key;
      gl.bindFramebuffer(gl.FRAMEBUFFER, kept.frame);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      paint();
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    }
    gl.useProgram(this.layers.handle);
    for (const index of [0, 1, 2]) gl.disableVertexAttribArray(index);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  resizeLayer() {
    const { gl, kept } = this;
    kept.size = [...this.size];
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, ...kept.size, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.bindFramebuffer(gl.FRAMEBUFFER, kept.frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, kept.texture, 0);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  use({ handle, at }, place) {
    const { gl } = this;
    gl.useProgram(handle);
    gl.uniform2f(at.viewport, ...this.size);
    gl.uniform1f(at.pixels, this.pixels);
    if (!place) return;
    gl.uniform2f(at.scale, place.scale * this.pixels, place.scale * this.pixels);
    gl.uniform2f(at.offset, place.left * this.pixels, place.top * this.pixels);
  }

  attribute(index, size, stride, from, divisor = 0, type = this.gl.FLOAT) {
    const { gl } = this;
    gl.enableVertexAttribArray(index);
    gl.vertexAttribPointer(index, size, type, type !== gl.FLOAT, stride, from);
    gl.vertexAttribDivisor(index, divisor);
  }

  /** Sets an attribute that all vertices share. */
  constant(index, ...values) {
    this.gl.disableVertexAttribArray(index);
    this.gl.vertexAttrib4f(index, values[0], values[1] ?? 0, values[2] ?? 0, values[3] ?? 1);
  }

  /** The fleet: rows of six floats (prev, next, course), all of one look. */
  fleet(buffer, count, place, { mixing, colour, halo, size, rim = 0, ship = false }) {
    const { gl } = this;
    this.use(this.points, place);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    this.attribute(0, 4, 24, 0);
    this.attribute(1, 2, 24, 16);
    this.constant(2, ...colour);
    this.constant(3, 1);
    this.look({ mixing, halo, size, rim, ship, hole: 0 });
    gl.drawArrays(gl.POINTS, 0, count);
  }

  /** Single marks: rows of x, y, size, red, green, blue, alpha in pixels of the screen. */
  marks(rows, { halo, rim = 0, hole = 0 }) {
    const { gl } = this;
    if (rows.length === 0) return;
    this.use(this.points, { scale: 1, left: 0, top: 0 });
    this.buffer(new Float32Array(rows), this.scratch, gl.STREAM_DRAW);
    this.attribute(0, 2, 28, 0);
    this.constant(1, 0, 0);
    this.attribute(2, 4, 28, 12);
    this.attribute(3, 1, 28, 8);
    this.look({ mixing: 0, halo, size: 1, rim, ship: false, hole });
    gl.drawArrays(gl.POINTS, 0, rows.length / 7);
  }

  look({ mixing, halo, size, rim, ship, hole }) {
    const {
      gl,
      points: { at },
    } = this;
    gl.uniform1f(at.mixing, mixing);
    gl.uniform1f(at.factor, size);
    gl.uniform4f(at.halo, ...halo);
    gl.uniform1f(at.rim, rim * this.pixels);
    gl.uniform1f(at.hole, hole * this.pixels);
    gl.uniform1f(at.ship, ship ? 1 : 0);
  }

  /** Lines of one colour and width from a buffer of x0, y0, x1, y1. */
  network(buffer, count, place, colour, width) {
    const { gl } = this;
    this.use(this.lines, place);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    this.attribute(0, 4, 16, 0, 1);
    this.constant(1, ...colour);
    this.constant(2, width);
    gl.uniform1f(this.lines.at.factor, 1);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, count);
    gl.vertexAttribDivisor(0, 0);
  }

  /** Lines of the screen: rows of x0, y0, x1, y1, width, red, green, blue, alpha. */
  strokes(rows) {
    const { gl } = this;
    if (rows.length === 0) return;
    this.use(this.lines, { scale: 1, left: 0, top: 0 });
    this.buffer(new Float32Array(rows), this.scratch, gl.STREAM_DRAW);
    this.attribute(0, 4, 36, 0, 1);
    this.attribute(1, 4, 36, 20, 1);
    this.attribute(2, 1, 36, 16, 1);
    gl.uniform1f(this.lines.at.factor, 1);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, rows.length / 9);
    for (const index of [0, 1, 2]) gl.vertexAttribDivisor(index, 0);
  }

  /** Triangles of the screen: rows of x, y, red, green, blue, alpha. */
  triangles(rows) {
    const { gl } = this;
    if (rows.length === 0) return;
    this.use(this.shapes);
    this.buffer(new Float32Array(rows), this.scratch, gl.STREAM_DRAW);
    this.attribute(0, 2, 24, 0);
    this.attribute(1, 4, 24, 8);
    gl.drawArrays(gl.TRIANGLES, 0, rows.length / 6);
  }

  /**
   * Fills rings of screen points by the even-odd rule. Every triangle of each ring's fan turns
   * the stencil over; what is odd in the end is inside.
   */
  fill(rings, colour) {
    const { gl } = this;
    const fans = [];
    for (const ring of rings) {
      for (let i = 1; i + 1 < ring.length; i += 1) {
        for (const corner of [ring[0], ring[i], ring[i + 1]])
          fans.push(corner[0], corner[1], 0, 0, 0, 0);
      }
    }
    gl.enable(gl.STENCIL_TEST);
    gl.colorMask(false, false, false, false);
    gl.stencilFunc(gl.ALWAYS, 0, 1);
    gl.stencilOp(gl.KEEP, gl.KEEP, gl.INVERT);
    this.triangles(fans);
    gl.colorMask(true, true, true, true);
    gl.stencilFunc(gl.NOTEQUAL, 0, 1);
    gl.stencilOp(gl.ZERO, gl.ZERO, gl.ZERO);
    this.triangles(rectangle(...this.extent(fans), colour));
    gl.disable(gl.STENCIL_TEST);
  }

  /** The box of some triangles, cut to the screen. */
  extent(rows) {
    let [left, top] = this.size.map((size) => size / this.pixels);
    const [width, height] = [left, top];
    let [right, bottom] = [0, 0];
    for (let i = 0; i < rows.length; i += 6) {
      left = Math.min(left, rows[i]);
      right = Math.max(right, rows[i]);
      top = Math.min(top, rows[i + 1]);
      bottom = Math.max(bottom, rows[i + 1]);
    }
    return [Math.max(0, left), Math.max(0, top), Math.min(width, right), Math.min(height, bottom)];
  }
}

/** Two triangles with a colour at the top and, if it differs, another at the bottom. */
export function rectangle(left, top, right, bottom, colour, below = colour) {
  const a = [left, top, ...colour];
  const b = [right, top, ...colour];
  const c = [left, bottom, ...below];
  const d = [right, bottom, ...below];
  return [...a, ...b, ...c, ...b, ...d, ...c];
}

function program(gl, vertex, fragment) {
  const handle = gl.createProgram();
  for (const [kind, source] of [
    [gl.VERTEX_SHADER, vertex],
    [gl.FRAGMENT_SHADER, fragment],
  ]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(handle, shader);
  }
  gl.linkProgram(handle);
  if (!gl.getProgramParameter(handle, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(`a shader does not fit this browser: ${gl.getProgramInfoLog(handle)}`);
  }
  const at = {};
  const uniforms = gl.getProgramParameter(handle, gl.ACTIVE_UNIFORMS) ?? 0;
  for (let i = 0; i < uniforms; i += 1) {
    const { name } = gl.getActiveUniform(handle, i);
    at[name] = gl.getUniformLocation(handle, name);
  }
  return { handle, at };
}
