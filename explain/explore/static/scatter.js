// Points drawn by WebGL: hundreds of thousands that can be moved, zoomed, hovered over and lassoed.
//
// Nothing here makes code from text, as the drawing libraries built on regl do: the content
// security policy of this server forbids it.

const VERTEX = `
attribute vec2 place; attribute vec4 colour; uniform vec2 scale; uniform vec2 shift; uniform float size; varying vec4 of;
void main() { gl_Position = vec4(place * scale + shift, 0.0, 1.0); gl_PointSize = size; of = colour; }`;
const FRAGMENT = `
precision mediump float; varying vec4 of;
void main() { float r = length(gl_PointCoord - 0.5); if (r > 0.5) discard; float a = of.a * smoothstep(0.5, 0.4, r); gl_FragColor = vec4(of.rgb * a, a); }`;
const EDGE = { left: 58, right: 14, top: 12, bottom: 42 };
const CELLS = 256;

export class Scatter {
  // x, y: Float32Array; bytes: rgba of each; limits: [[x0, x1], [y0, y1]]; names: axis labels.
  constructor(box, { x, y, bytes, limits, names, size, equal = false, diagonal = false, bars = null }) {
    Object.assign(this, { box, x, y, bytes, limits, names, equal, diagonal, bars });
    this.size = size || Math.max(2.5, Math.min(9, 320 / Math.sqrt(x.length)));
    this.hovered = -1;
    this.chosen = null;
    this.lassoing = false;
    this.polygon = [];
    this.onhover = this.onopen = this.onlasso = () => {};
    this.points = document.createElement("canvas");
    this.over = document.createElement("canvas");
    this.points.setAttribute("aria-hidden", "true");
    this.over.setAttribute("aria-hidden", "true");
    box.replaceChildren(this.points, this.over);
    this.gl = this.points.getContext("webgl", { antialias: true, premultipliedAlpha: true, preserveDrawingBuffer: false });
    if (this.gl) this.prepare();
    this.index();
    this.reset();
    this.listen();
    new ResizeObserver(() => this.draw()).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  prepare() {
    const gl = this.gl;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    this.uniform = Object.fromEntries(["scale", "shift", "size"].map((name) => [name, gl.getUniformLocation(program, name)]));
    // Coordinates relative to the middle: 32 bits are few once one zooms.
    this.middle = this.limits.map(([low, high]) => (low + high) / 2);
    const places = new Float32Array(2 * this.x.length);
    for (let i = 0; i < this.x.length; i++) {
      places[2 * i] = this.x[i] - this.middle[0];
      places[2 * i + 1] = this.y[i] - this.middle[1];
    }
    this.attribute(program, "place", places, 2, gl.FLOAT, false);
    this.colours = this.attribute(program, "colour", this.bytes, 4, gl.UNSIGNED_BYTE, true);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  attribute(program, name, data, n, type, normalised) {
    const gl = this.gl;
    const buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    const place = gl.getAttribLocation(program, name);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, n, type, normalised, 0, 0);
    return buffer;
  }

  recolour(bytes) {
    this.bytes = bytes;
    if (this.gl) {
      this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.colours);
      this.gl.bufferData(this.gl.ARRAY_BUFFER, bytes, this.gl.STATIC_DRAW);
    }
    this.draw();
  }

  // Which points are in each cell of a grid over the limits; those beyond are in its outer cells.
  index() {
    const cellOf = (value, [low, high]) => Math.min(CELLS - 1, Math.max(0, Math.floor((CELLS * (value - low)) / (high - low))));
    this.cellOf = cellOf;
    const of = new Uint32Array(this.x.length);
    const starts = new Uint32Array(CELLS * CELLS + 1);
    for (let i = 0; i < of.length; i++) {
      of[i] = cellOf(this.y[i], this.limits[1]) * CELLS + cellOf(this.x[i], this.limits[0]);
      starts[of[i] + 1]++;
    }
    for (let i = 0; i < CELLS * CELLS; i++) starts[i + 1] += starts[i];
    const next = starts.slice();
    this.order = new Uint32Array(of.length);
    for (let i = 0; i < of.length; i++) this.order[next[of[i]]++] = i;
    this.starts = starts;
  }

  reset() {
    this.view = this.limits.map((ends) => ends.slice());
    this.draw();
  }

  frame() {
    const width = this.box.clientWidth;
    const height = this.box.clientHeight;
    return { width, height, across: width - EDGE.left - EDGE.right, down: height - EDGE.top - EDGE.bottom };
  }

  toScreen(x, y) {
    const f = this.frame();
    const [[x0, x1], [y0, y1]] = this.view;
    return [EDGE.left + (f.across * (x - x0)) / (x1 - x0), EDGE.top + f.down * (1 - (y - y0) / (y1 - y0))];
  }

  toData(px, py) {
    const f = this.frame();
    const [[x0, x1], [y0, y1]] = this.view;
    return [x0 + ((px - EDGE.left) / f.across) * (x1 - x0), y0 + (1 - (py - EDGE.top) / f.down) * (y1 - y0)];
  }

  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.drawNow();
    });
  }

  drawNow() {
    const f = this.frame();
    if (!f.width || f.across <= 0) return;
    const ratio = window.devicePixelRatio || 1;
    for (const canvas of [this.points, this.over]) {
      const [w, h] = [Math.round(f.width * ratio), Math.round(f.height * ratio)];
      if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    }
    const pen = this.over.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, f.width, f.height);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    if (this.gl) this.drawPoints(f, ratio);
    else this.drawFlat(pen);
    this.drawAxes(pen, f, colour);
  }

  drawPoints(f, ratio) {
    const gl = this.gl;
    const [[x0, x1], [y0, y1]] = this.view;
    gl.viewport(0, 0, this.points.width, this.points.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(EDGE.left * ratio, EDGE.bottom * ratio, f.across * ratio, f.down * ratio);
    const sx = (2 * f.across) / f.width / (x1 - x0);
    const sy = (2 * f.down) / f.height / (y1 - y0);
    const left = (2 * EDGE.left) / f.width - 1;
    const bottom = (2 * EDGE.bottom) / f.height - 1;
    gl.uniform2f(this.uniform.scale, sx, sy);
    gl.uniform2f(this.uniform.shift, left + (this.middle[0] - x0) * sx, bottom + (this.middle[1] - y0) * sy);
    const zoom = Math.sqrt((this.limits[0][1] - this.limits[0][0]) / (x1 - x0));
    gl.uniform1f(this.uniform.size, ratio * Math.min(14, this.size * Math.sqrt(Math.max(zoom, 0.5))));
    gl.drawArrays(gl.POINTS, 0, this.x.length);
    gl.disable(gl.SCISSOR_TEST);
  }

  // Without WebGL: slower, and the same.
  drawFlat(pen) {
    for (let i = 0; i < this.x.length; i++) {
      const [px, py] = this.toScreen(this.x[i], this.y[i]);
      const b = this.bytes.subarray(4 * i, 4 * i + 4);
      pen.fillStyle = `rgba(${b[0]},${b[1]},${b[2]},${b[3] / 255})`;
      pen.fillRect(px - 1.5, py - 1.5, 3, 3);
    }
  }

  drawAxes(pen, f, colour) {
    const bottom = EDGE.top + f.down;
    pen.strokeStyle = colour("--line");
    pen.fillStyle = colour("--soft");
    pen.lineWidth = 1;
    pen.strokeRect(EDGE.left + 0.5, EDGE.top + 0.5, f.across, f.down);
    pen.font = "12px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const value of ticks(this.view[0], Math.max(2, Math.floor(f.across / 65)))) {
      const [px] = this.toScreen(value, 0);
      pen.fillRect(px, bottom, 1, 4);
      pen.fillText(tickText(value), px, bottom + 7);
    }
    pen.fillText(this.names[0], EDGE.left + f.across / 2, bottom + 24);
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const value of ticks(this.view[1], Math.max(2, Math.floor(f.down / 60)))) {
      const [, py] = this.toScreen(0, value);
      pen.fillRect(EDGE.left - 4, py, 4, 1);
      pen.fillText(tickText(value), EDGE.left - 7, py);
    }
    pen.save();
    pen.translate(13, EDGE.top + f.down / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText(this.names[1], 0, 0);
    pen.restore();
    pen.save();
    pen.beginPath();
    pen.rect(EDGE.left, EDGE.top, f.across, f.down);
    pen.clip();
    if (this.diagonal) this.line(pen, this.toScreen(this.view[0][0], this.view[0][0]), this.toScreen(this.view[0][1], this.view[0][1]), colour("--soft"), 1);
    if (this.bars) this.drawBars(pen, colour);
    this.drawLasso(pen, colour);
    if (this.hovered >= 0) {
      const [px, py] = this.toScreen(this.x[this.hovered], this.y[this.hovered]);
      pen.strokeStyle = colour("--ink");
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(px, py, 7, 0, 7);
      pen.stroke();
    }
    pen.restore();
  }

  drawBars(pen, colour) {
    const shown = this.x.length <= 300;
    for (let i = 0; i < this.x.length; i++) {
      if ((!shown && i !== this.hovered) || !Number.isFinite(this.bars[2 * i])) continue;
      const strong = i === this.hovered;
      this.line(pen, this.toScreen(this.x[i], this.bars[2 * i]), this.toScreen(this.x[i], this.bars[2 * i + 1]), colour(strong ? "--ink" : "--line"), strong ? 2 : 1);
    }
  }

  line(pen, from, to, colour, width) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
  }

  drawLasso(pen, colour) {
    if (this.polygon.length < 2) return;
    pen.beginPath();
    this.polygon.forEach(([x, y], i) => pen[i ? "lineTo" : "moveTo"](...this.toScreen(x, y)));
    pen.closePath();
    pen.strokeStyle = colour("--ink");
    pen.lineWidth = 1.5;
    pen.stroke();
    pen.globalAlpha = 0.08;
    pen.fillStyle = colour("--ink");
    pen.fill();
    pen.globalAlpha = 1;
  }

  // Calls with each point in the cells of the grid that a rectangle touches.
  between(x0, x1, y0, y1, call) {
    for (let row = this.cellOf(y0, this.limits[1]); row <= this.cellOf(y1, this.limits[1]); row++) {
      const first = this.starts[row * CELLS + this.cellOf(x0, this.limits[0])];
      const last = this.starts[row * CELLS + this.cellOf(x1, this.limits[0]) + 1];
      for (let k = first; k < last; k++) call(this.order[k]);
    }
  }

  nearest(px, py, most = 10) {
    const [x0, y0] = this.toData(px - most, py + most);
    const [x1, y1] = this.toData(px + most, py - most);
    let best = -1;
    let least = most * most;
    const [x, y] = this.toData(px, py);
    const [across, down] = [2 * most / (x1 - x0), 2 * most / (y1 - y0)];
    this.between(x0, x1, y0, y1, (i) => {
      const distance = (across * (this.x[i] - x)) ** 2 + (down * (this.y[i] - y)) ** 2;
      if (distance < least) {
        best = i;
        least = distance;
      }
    });
    return best;
  }

  inside(polygon) {
    const found = [];
    if (polygon.length < 3) return found;
    const [[x0, x1], [y0, y1]] = [0, 1].map((k) => [Math.min(...polygon.map((p) => p[k])), Math.max(...polygon.map((p) => p[k]))]);
    const [cx, cy] = [0, 1].map((k) => Float64Array.from(polygon, (p) => p[k]));
    this.between(x0, x1, y0, y1, (i) => {
      const x = this.x[i];
      const y = this.y[i];
      if (x < x0 || x > x1 || y < y0 || y > y1) return;
      let within = false;
      for (let a = 0, b = cx.length - 1; a < cx.length; b = a++) {
        if (cy[a] > y !== cy[b] > y && x < ((cx[b] - cx[a]) * (y - cy[a])) / (cy[b] - cy[a]) + cx[a]) within = !within;
      }
      if (within) found.push(i);
    });
    return found.sort((a, b) => a - b);
  }

  zoom(factor, px, py) {
    const at = this.toData(px, py);
    this.view = this.view.map(([low, high], k) => [at[k] + (low - at[k]) * factor, at[k] + (high - at[k]) * factor]);
    if (this.equal) this.view[1] = this.view[1].slice();
    this.draw();
  }

  move(dx, dy) {
    const f = this.frame();
    const shift = [(-dx / f.across) * (this.view[0][1] - this.view[0][0]), (dy / f.down) * (this.view[1][1] - this.view[1][0])];
    this.view = this.view.map(([low, high], k) => [low + shift[k], high + shift[k]]);
    this.draw();
  }

  listen() {
    const box = this.box;
    let from = null;
    const place = (event) => [event.clientX - box.getBoundingClientRect().left, event.clientY - box.getBoundingClientRect().top];
    box.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 200), ...place(event));
    }, { passive: false });
    box.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      box.setPointerCapture(event.pointerId);
      from = { at: place(event), moved: false, lasso: this.lassoing || event.shiftKey };
      if (from.lasso) this.polygon = [this.toData(...from.at)];
    });
    box.addEventListener("pointermove", (event) => {
      const at = place(event);
      if (!from) {
        const found = this.nearest(...at);
        if (found !== this.hovered) {
          this.hovered = found;
          this.onhover(found, at);
          this.draw();
        }
        return;
      }
      const [dx, dy] = [at[0] - from.at[0], at[1] - from.at[1]];
      if (Math.hypot(dx, dy) < 3 && !from.moved) return;
      from.moved = true;
      if (from.lasso) {
        this.polygon.push(this.toData(...at));
        this.draw();
      } else {
        this.move(dx, dy);
        from.at = at;
      }
    });
    box.addEventListener("pointerup", (event) => {
      if (!from) return;
      const was = from;
      from = null;
      if (was.lasso && was.moved) this.onlasso(thinned(this.polygon));
      else if (!was.moved) {
        const found = this.nearest(...place(event));
        if (found >= 0) this.onopen(found);
      }
    });
    box.addEventListener("pointercancel", () => { from = null; });
    box.addEventListener("pointerleave", () => {
      this.hovered = -1;
      this.onhover(-1);
      this.draw();
    });
    box.addEventListener("keydown", (event) => {
      const f = this.frame();
      const steps = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
      if (event.key in steps) this.move(...steps[event.key]);
      else if (event.key === "+" || event.key === "=") this.zoom(0.8, f.width / 2, f.height / 2);
      else if (event.key === "-") this.zoom(1.25, f.width / 2, f.height / 2);
      else if (event.key === "0") this.reset();
      else return;
      event.preventDefault();
    });
  }
}

// At most 60 corners, so that an address can hold them.
function thinned(polygon) {
  const step = Math.max(1, Math.ceil(polygon.length / 60));
  return polygon.filter((_, i) => i % step === 0);
}

function ticks([low, high], most) {
  const raw = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((s) => s * power >= raw) || 10);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(i * step);
  return found;
}

function tickText(value) {
  const text = Math.abs(value) >= 1e5 ? value.toExponential(1) : String(Number(value.toPrecision(8)));
  return text.replace("-", "−");
}
