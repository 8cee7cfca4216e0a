
// The points of a map: places go to the graphics card once; a change of colour only sorts row
// numbers by group anew. Where there is no WebGL 2 a plain canvas draws them, more slowly.
const VERTEX_SHADER = `
attribute vec2 place;
uniform vec4 view;
uniform float size;
void main() {
  gl_Position = vec4((place - view.xy) * view.zw - 1.0, 0.0, 1.0);
  gl_PointSize = size;
}`;
const FRAGMENT_SHADER = `
precision mediump float;
uniform vec4 colour;
uniform float hole;
void main() {
  float away = length(gl_PointCoord - 0.5) * 2.0;
  float ink = 1.0 - smoothstep(0.75, 1.0, away);
  if (hole > 0.0) ink *= smoothstep(hole - 0.1, hole, away);
  gl_FragColor = vec4(colour.rgb, 1.0) * colour.a * ink;
}`;
const CELLS_ACROSS = 128;

class Points {
  constructor(canvas) {
    this.canvas = canvas;
    this.gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
    if (this.gl) this.prepare();
    else this.flat = canvas.getContext("2d");
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => this.restore());
  }

  prepare() {
    const gl = this.gl;
    const program = gl.createProgram();
    for (const [kind, source] of [
      [gl.VERTEX_SHADER, VERTEX_SHADER],
      [gl.FRAGMENT_SHADER, FRAGMENT_SHADER],
    ]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.bindAttribLocation(program, 0, "place");
    gl.linkProgram(program);
    gl.useProgram(program);
    this.at = Object.fromEntries(
      ["view", "size", "colour", "hole"].map((name) => [name, gl.getUniformLocation(program, name)]),
    );
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.enableVertexAttribArray(0);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  }

  restore() {
    this.prepare();
    this.setPlaces(this.places);
    this.setLayers(this.layers);
    this.draw(this.view);
  }

  setPlaces(places) {
    this.places = places;
    this.grid = null;
    if (!this.gl) return;
    const { x, y } = places;
    const pairs = new Float32Array(2 * x.length);
    for (let i = 0; i < x.length; i++) {
      pairs[2 * i] = x[i];
      pairs[2 * i + 1] = y[i];
    }
    this.gl.bufferData(this.gl.ARRAY_BUFFER, pairs, this.gl.STATIC_DRAW);
    this.gl.vertexAttribPointer(0, 2, this.gl.FLOAT, false, 0, 0);
  }

  // layers: [{ rows, colour "#rrggbb", opacity, size, hole }], the first is drawn first.
  setLayers(layers) {
    this.layers = layers;
    if (!this.gl) return;
    const all = new Uint32Array(layers.reduce((sum, layer) => sum + layer.rows.length, 0));
    let from = 0;
    for (const layer of layers) {
      all.set(layer.rows, from);
      layer.from = from;
      from += layer.rows.length;
    }
    this.gl.bufferData(this.gl.ELEMENT_ARRAY_BUFFER, all, this.gl.DYNAMIC_DRAW);
  }

  // view: { x: [low, high], y: [low, high] } in map coordinates.
  draw(view) {
    this.view = view;
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * scale);
    const height = Math.round(this.canvas.clientHeight * scale);
    if (!width || !height || !this.layers) return;
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    if (this.gl) this.drawOnCard(view, scale);
    else this.drawFlat(view, scale);
  }

  drawOnCard({ x, y }, scale) {
    const gl = this.gl;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform4f(this.at.view, x[0], y[0], 2 / (x[1] - x[0]), 2 / (y[1] - y[0]));
    for (const { rows, from, colour, opacity, size, hole, hidden } of this.layers) {
      if (hidden || !rows.length) continue;
      const [r, g, b] = rgb(colour);
      gl.uniform4f(this.at.colour, r / 255, g / 255, b / 255, opacity);
      gl.uniform1f(this.at.size, size * scale);
      gl.uniform1f(this.at.hole, hole ?? 0);
      gl.drawElements(gl.POINTS, rows.length, gl.UNSIGNED_INT, 4 * from);
    }
  }

  drawFlat({ x, y }, scale) {
    const { width, height } = this.canvas;
    this.flat.clearRect(0, 0, width, height);
    for (const { rows, colour, opacity, size, hole, hidden } of this.layers) {
      if (hidden) continue;
      const side = size * scale;
      this.flat.globalAlpha = opacity;
      this.flat.fillStyle = this.flat.strokeStyle = colour;
      this.flat.lineWidth = 2 * scale;
      for (const row of rows) {
        const left = ((this.places.x[row] - x[0]) / (x[1] - x[0])) * width - side / 2;
        const top = ((y[1] - this.places.y[row]) / (y[1] - y[0])) * height - side / 2;
        if (hole) this.flat.strokeRect(left, top, side, side);
        else this.flat.fillRect(left, top, side, side);
      }
    }
  }

  // The nearest row that `shown` admits within `radius` pixels of a point of the canvas, or null.
  nearest(left, top, radius, shown) {
    const { x, y } = this.view;
    const wide = (x[1] - x[0]) / this.canvas.clientWidth;
    const high = (y[1] - y[0]) / this.canvas.clientHeight;
    const [px, py] = [x[0] + left * wide, y[1] - top * high];
    const grid = (this.grid ??= new Grid(this.places));
    let best = null;
    let least = radius * radius;
    grid.around(px, py, radius * wide, radius * high, (row) => {
      const dx = (this.places.x[row] - px) / wide;
      const dy = (this.places.y[row] - py) / high;
      const away = dx * dx + dy * dy;
      if (away <= least && shown(row)) [best, least] = [row, away];
    });
    return best;
  }

  close() {
    this.gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

// Rows by cell of a square grid over all places, so that a search looks at few of them.
class Grid {
  constructor({ x, y }) {
    this.x = extent(x);
    this.y = extent(y);
    const cells = new Int32Array(x.length);
    this.start = new Uint32Array(CELLS_ACROSS * CELLS_ACROSS + 1);
    for (let i = 0; i < x.length; i++) {
      const placed = Number.isFinite(x[i]) && Number.isFinite(y[i]);
      cells[i] = placed ? this.column(x[i]) + CELLS_ACROSS * this.line(y[i]) : -1;
      if (placed) this.start[cells[i] + 1]++;
    }
    for (let c = 1; c < this.start.length; c++) this.start[c] += this.start[c - 1];
    this.rows = new Uint32Array(this.start.at(-1));
    const filled = this.start.slice();
    for (let i = 0; i < x.length; i++) if (cells[i] >= 0) this.rows[filled[cells[i]]++] = i;
  }

  column(x) {
    return cellOf(x, this.x);
  }

  line(y) {
    return cellOf(y, this.y);
  }

  around(x, y, wide, high, visit) {
    for (let line = this.line(y - high); line <= this.line(y + high); line++) {
      const from = this.start[line * CELLS_ACROSS + this.column(x - wide)];
      const to = this.start[line * CELLS_ACROSS + this.column(x + wide) + 1];
      for (let i = from; i < to; i++) visit(this.rows[i]);
    }
  }
}

function cellOf(value, [low, high]) {
  const cell = Math.floor(((value - low) / (high - low)) * CELLS_ACROSS);
  return Math.min(CELLS_ACROSS - 1, Math.max(0, cell));
}

function rgb(colour) {
  const number = parseInt(colour.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}
