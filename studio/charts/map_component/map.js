// The map: takes colours (written by map_chart.py) and draws its places with points.js; Plotly
// lies over them for lasso, box, moving and zooming. It sends back only what the user did: outline,
// clicked row, hidden groups, the group chosen in the legend.

const instances = new WeakMap();
// What each map last showed, by key: so that a map taken off the page and put back looks the same.
const memory = (window.deitaMaps ??= new Map());
let plotlyLoading = null;

function loadPlotly(url) {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  plotlyLoading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      plotlyLoading = null;
      reject(new Error("The map's drawing library did not load from " + url + ". Reload the page."));
    };
    document.head.appendChild(script);
  });
  return plotlyLoading;
}

class RowMap {
  constructor(root) {
    this.root = root;
    this.plot = root.querySelector(".deita-map-plot");
    this.points = new Points(root.querySelector(".deita-map-points"));
    this.names = new Names(root.querySelector(".deita-map-names"));
    this.frame = root.querySelector(".deita-map-frame");
    this.fit = new Fit(root, this.frame);
    this.tip = root.querySelector(".deita-map-tip");
    this.note = root.querySelector(".deita-map-note");
    this.legend = root.querySelector(".deita-map-legend");
    this.hidden = new Set();
    this.drag = "drawclosedpath";
    this.outline = null;
    this.kind = null;
    this.hovered = null;
    this.drawing = Promise.resolve();
    this.onPlaces = () => this.latest && this.show(this.latest);
    window.addEventListener("deita-places", this.onPlaces);
    this.wire();
  }

  // ---- what Python sends

  async update(component) {
    this.send = component.setStateValue;
    this.tell = component.setTriggerValue;
    if (component.data instanceof Uint8Array) await this.show(component.data);
  }

  async show(bytes) {
    this.latest = bytes;
    const headline = readHeadline(bytes);
    const places = everyPlaces.get(JSON.parse(headline).key);
    if (!places) return; // shown as soon as they come
    const dark = isDark(this.root);
    if (this.headline === headline && this.dark === dark && this.places === places) return;
    this.headline = headline;
    const before = this.data;
    this.data = unpackColours(bytes);
    this.dark = dark;
    this.places = places;
    const header = this.data.header;
    let framed = before?.header.height === header.height && this.framedDark === dark;
    this.framedDark = dark;
    if (!before) {
      this.home = { x: extent(places.x), y: extent(places.y) };
      this.recall();
    } else if (before.header.cleared !== header.cleared) {
      this.outline = this.kind = null;
      framed = false;
    }
    if (this.points.places !== places) this.points.setPlaces(places);
    this.groups = groupRows(this.data, places);
    this.fit.set(header.beside, header.height);
    this.frame.setAttribute("aria-label", header.caption);
    this.drawLegend();
    this.root.dataset.ready = "0";
    this.drawPoints();
    try {
      this.Plotly = await loadPlotly(header.plotly);
      if (!framed || !this.listening) await this.drawFrame();
      if (this.headline === headline) this.showState();
    } catch (error) {
      this.note.textContent = String(error.message ?? error);
    }
  }

  recall() {
    const { key, cleared } = this.data.header;
    const last = memory.get(key) ?? {};
    const outlined = last.cleared === cleared;
    this.outline = outlined ? last.outline : null;
    this.kind = outlined ? last.kind : null;
    this.view = last.view ?? null;
    this.hidden = new Set(last.hidden);
    this.drag = last.drag ?? this.drag;
  }

  remember() {
    const { key, cleared } = this.data.header;
    const { outline, kind, view, drag } = this;
    const { x, y } = view ?? this.home;
    this.root.dataset.view = [...x, ...y].map((value) => value.toFixed(3)).join(" ");
    memory.set(key, { cleared, outline, kind, view, drag, hidden: [...this.hidden] });
  }

  // ---- drawing

  layers() {
    const { header, highlight } = this.data;
    const colours = this.dark ? header.dark : header.light;
    const size = pointSize(header.rows);
    // Strong groups last, and small ones after large ones, so that they are not painted over.
    const order = this.groups.map((_, code) => code).sort(
      (a, b) => header.opacity[a] - header.opacity[b] || this.groups[b].length - this.groups[a].length,
    );
    const layers = order.map((code) => ({
      rows: this.groups[code], colour: colours[code], opacity: header.opacity[code], size,
      hidden: this.hidden.has(code), code,
    }));
    const ring = size + 10;
    const marked = highlight.filter((row) => Number.isFinite(this.places.x[row]));
    layers.push({ rows: marked, colour: this.hex(this.ink()), opacity: 1, size: ring, hole: 1 - 5 / ring });
    return layers;
  }

  hex(colour) {
    const brush = document.createElement("canvas").getContext("2d");
    brush.fillStyle = colour;
    return brush.fillStyle; // "#rrggbb" of whatever way the theme writes it
  }

  ink() {
    return cssColour(this.root, "--st-text-color", this.dark ? "#e4e8ec" : "#1b232c");
  }

  shapes() {
    if (!this.outline) return [];
    const points = this.outline.map(([x, y]) => x + "," + y);
    return [{
      type: "path", path: "M" + points.join("L") + "Z", editable: false,
      line: { color: this.ink(), width: 1.5, dash: "dot" }, fillrule: "evenodd", layer: "above",
      fillcolor: this.dark ? "rgba(255,255,255,0.08)" : "rgba(0,0,0,0.06)",
    }];
  }

  layout() {
    const axis = { visible: false, fixedrange: false };
    const { x, y } = this.view ?? this.home;
    return {
      margin: { l: 0, r: 0, t: 0, b: 0 }, autosize: true, hovermode: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      dragmode: this.drag, shapes: this.shapes(),
      newshape: { line: { color: this.ink(), width: 1.5, dash: "dot" }, fillcolor: "rgba(128,128,128,0.12)" },
      xaxis: { ...axis, range: [...x] }, yaxis: { ...axis, range: [...y] },
    };
  }

  drawPoints() {
    this.points.setLayers(this.layers());
    this.names.set(this.data.header.names);
    this.draw(this.view ?? this.home);
  }

  draw(view) {
    this.points.draw(view);
    this.names.place(view);
  }

  // What Plotly draws: nothing but the outline. It stays while only colours change.
  async drawFrame() {
    const config = { displayModeBar: false, scrollZoom: true, doubleClick: false, responsive: false };
    const ours = (this.ticket = {});
    this.drawing = this.drawing.then(async () => {
      if (this.ticket !== ours || this.gone) return;
      await this.Plotly.react(this.plot, [{ x: [], y: [], mode: "markers" }], this.layout(), config);
      if (!this.listening) this.listen();
      this.note.textContent = this.data.header.rows ? "" : "No rows to draw yet.";
    });
    await this.drawing;
  }

  drawLegend() {
    const { header } = this.data;
    const colours = this.dark ? header.dark : header.light;
    this.legend.replaceChildren(...header.labels.map((label, code) => {
      const chip = document.createElement("span");
      const [number, total] = [header.counts[code], header.totals[code]];
      const shown = !this.hidden.has(code);
      const toggle = document.createElement("button");
      toggle.type = "button";
      toggle.title = (shown ? "Hide: " : "Show: ") + label;
      toggle.dataset.code = code;
      toggle.setAttribute("aria-pressed", String(shown));
      const dot = document.createElement("i");
      dot.style.background = colours[code];
      const count = document.createElement("span");
      count.textContent = number.toLocaleString("en-US");
      if (total !== null) count.textContent += ` of ${total.toLocaleString("en-US")}`;
      toggle.append(dot);
      chip.append(toggle);
      if (header.picks.includes(code)) {
        const pick = document.createElement("button");
        pick.type = "button";
        pick.title = "Filter: only " + label;
        pick.dataset.pick = code;
        pick.append(label, count);
        toggle.setAttribute("aria-label", toggle.title);
        chip.append(pick);
      } else toggle.append(label, count);
      chip.hidden = number === 0 && !total;
      return chip;
    }));
  }

  showState() {
    const state = this.root.dataset;
    state.points = this.groups.reduce((sum, rows) => sum + rows.length, 0);
    state.selected = this.outline ? this.kind : "";
    state.hidden = [...this.hidden].sort((a, b) => a - b).join(",");
    state.drag = this.drag;
    state.version = this.data.header.version;
    state.ready = "1";
    for (const button of this.root.querySelectorAll("[data-drag]")) {
      button.setAttribute("aria-pressed", String(button.dataset.drag === this.drag));
    }
    this.root.querySelector('[data-do="clear"]').disabled = !this.outline;
    this.remember();
  }

  // ---- what the user does

  wire() {
    this.root.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button || !this.listening) return;
      if (button.dataset.drag) this.setDrag(button.dataset.drag);
      else if (button.dataset.do) this.act(button.dataset.do);
      else if (button.dataset.pick) {
        this.tell("picked", { version: this.data.header.version, code: Number(button.dataset.pick) });
      } else if (button.dataset.code) this.toggle(Number(button.dataset.code));
    });
    this.frame.addEventListener("keydown", (event) => this.onKey(event));
    this.frame.addEventListener("mouseleave", () => this.leave());
    this.frame.addEventListener("mousemove", (event) => this.hover(event), true);
    // Plotly reports no click while dragging draws a shape, so clicks are made here, of a press
    // and a release in one place. The row is the one under the pointer at the press.
    this.frame.addEventListener("mousedown", (event) => {
      this.pressed = true;
      if (event.button === 0) this.press = { row: this.hovered, x: event.clientX, y: event.clientY };
      this.tip.hidden = true;
    }, true);
    this.onRelease = (event) => {
      const press = this.press;
      this.pressed = false;
      this.press = null;
      if (!press || press.row === null) return;
      if (Math.hypot(event.clientX - press.x, event.clientY - press.y) > 3) return;
      this.send("clicked", { version: this.data.header.version, row: press.row });
    };
    window.addEventListener("mouseup", this.onRelease, true);
    this.observer = new ResizeObserver(() => {
      if (!this.frame.clientWidth || !this.data) return;
      this.draw(this.view ?? this.home);
      if (this.listening) this.Plotly.Plots.resize(this.plot);
    });
    this.observer.observe(this.frame);
  }

  listen() {
    this.listening = true;
    this.plot.on("plotly_relayout", (change) => this.onRelayout(change));
    this.plot.on("plotly_relayouting", (change) => this.follow(change));
    this.plot.on("plotly_doubleclick", () => this.act("fit"));
  }

  // Moves the points along while the map is dragged or scrolled; a box to zoom into is only drawn.
  follow(change) {
    if (this.pressed && this.drag !== "pan") return;
    const range = (axis) => [change[axis + ".range[0]"], change[axis + ".range[1]"]];
    const [x, y] = [range("xaxis"), range("yaxis")];
    if (![...x, ...y].every(Number.isFinite)) return;
    this.view = { x, y };
    cancelAnimationFrame(this.frameAsked);
    this.frameAsked = requestAnimationFrame(() => this.draw(this.view));
  }

  onRelayout(change) {
    const drawn = change.shapes?.at(-1);
    if (drawn && change.shapes.length > (this.outline ? 1 : 0)) return this.takeShape(drawn);
    if (Object.keys(change).some((name) => name.startsWith("xaxis") || name.startsWith("yaxis"))) {
      this.rememberView();
    }
  }

  takeShape(shape) {
    if (shape.type === "rect") {
      const { x0, x1, y0, y1 } = shape;
      this.select("box", [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]);
    } else {
      const points = (shape.path.match(/[ML][^MLZ]+/g) ?? []).map((step) =>
        step.slice(1).split(",").map(Number));
      const every = Math.ceil(points.length / this.data.header.vertices);
      this.select("polygon", points.filter((_, i) => i % every === 0));
    }
  }

  select(kind, points) {
    this.outline = points && points.length >= 3 ? points : null;
    this.kind = this.outline ? kind : null;
    this.Plotly.relayout(this.plot, { shapes: this.shapes() });
    this.showState();
    const { version } = this.data.header;
    this.send("selection", { version, kind: this.kind ?? "none", points: this.outline });
  }

  rememberView() {
    const { xaxis, yaxis } = this.plot.layout;
    this.view = { x: [...xaxis.range], y: [...yaxis.range] };
    this.draw(this.view);
    this.remember();
  }

  setDrag(mode) {
    this.drag = mode;
    this.Plotly.relayout(this.plot, { dragmode: mode });
    this.showState();
  }

  act(what) {
    const { x, y } = this.view ?? this.home;
    if (what === "in") this.zoom(0.7);
    else if (what === "out") this.zoom(1 / 0.7);
    else if (what === "fit") this.go(this.home.x, this.home.y);
    else if (what === "clear") this.select(null, null);
    else this.select("box", [[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]]]);
  }

  go(x, y) {
    this.Plotly.relayout(this.plot, { "xaxis.range": [...x], "yaxis.range": [...y] });
  }

  zoom(factor) {
    const { x, y } = this.view ?? this.home;
    const around = ([low, high]) => {
      const half = ((high - low) / 2) * factor;
      return [(low + high) / 2 - half, (low + high) / 2 + half];
    };
    this.go(around(x), around(y));
  }

  onKey(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const step = steps[event.key];
    if (!this.listening) return;
    if (step) {
      const { x, y } = this.view ?? this.home;
      const dx = (x[1] - x[0]) * 0.15 * step[0];
      const dy = (y[1] - y[0]) * 0.15 * step[1];
      this.go([x[0] + dx, x[1] + dx], [y[0] + dy, y[1] + dy]);
    } else if (event.key === "+" || event.key === "=") this.act("in");
    else if (event.key === "-") this.act("out");
    else if (event.key === "0") this.act("fit");
    else if (event.key === "Escape" && this.outline) this.act("clear");
    else return;
    event.preventDefault();
  }

  toggle(code) {
    this.hidden.has(code) ? this.hidden.delete(code) : this.hidden.add(code);
    this.drawLegend();
    this.drawPoints();
    this.showState();
    const { version } = this.data.header;
    this.send("hidden", { version, codes: [...this.hidden].sort((a, b) => a - b) });
  }

  leave() {
    this.hovered = null;
    this.tip.hidden = true;
  }

  hover(event) {
    if (event.buttons || !this.listening) return;
    const box = this.frame.getBoundingClientRect();
    const [left, top] = [event.clientX - box.left, event.clientY - box.top];
    const shown = (row) => !this.hidden.has(this.data.codes[row]);
    this.hovered = this.points.nearest(left, top, 12, shown);
    if (this.hovered === null) this.leave();
    else this.showTip(this.hovered, left, top, box);
  }

  showTip(row, left, top, box) {
    const { header, codes } = this.data;
    const { text } = this.places;
    if (text && !this.places.lines) this.places.lines = new TextDecoder().decode(text).split("\n");
    const label = document.createElement("b");
    label.textContent = header.labels[codes[row]];
    this.tip.replaceChildren(label, this.places.lines?.[row] ?? "Click to read this row");
    this.tip.hidden = false;
    const flip = left + 14 + this.tip.offsetWidth > box.width;
    this.tip.style.left = (flip ? Math.max(0, left - 14 - this.tip.offsetWidth) : left + 14) + "px";
    this.tip.style.top = Math.min(top + 14, box.height - this.tip.offsetHeight - 4) + "px";
  }

  close() {
    this.gone = true;
    this.observer.disconnect();
    this.fit.close();
    window.removeEventListener("mouseup", this.onRelease, true);
    window.removeEventListener("deita-places", this.onPlaces);
    cancelAnimationFrame(this.frameAsked);
    this.points.close();
    if (this.listening) this.Plotly.purge(this.plot);
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".deita-map");
  let map = instances.get(root);
  if (!map) instances.set(root, (map = new RowMap(root)));
  map.update(component);
  return () => {
    map.close();
    instances.delete(root);
  };
}
