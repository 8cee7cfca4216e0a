// The map: takes one binary payload (written by map_chart.py), draws it with Plotly's scattergl,
// and sends back only what the user did: outline, clicked row, hidden groups, viewport.

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
    this.frame = root.querySelector(".deita-map-frame");
    this.tip = root.querySelector(".deita-map-tip");
    this.note = root.querySelector(".deita-map-note");
    this.legend = root.querySelector(".deita-map-legend");
    this.hidden = new Set();
    this.drag = "drawclosedpath";
    this.outline = null;
    this.kind = null;
    this.hovered = null;
    this.drawing = Promise.resolve();
    this.wire();
  }

  // ---- what Python sends

  async update(component) {
    this.send = component.setStateValue;
    const bytes = component.data;
    if (!(bytes instanceof Uint8Array)) return;
    const dark = isDark(this.root);
    const headline = readHeadline(bytes);
    if (this.headline === headline && this.dark === dark) return;
    this.headline = headline;
    const before = this.data;
    this.data = unpack(bytes);
    this.dark = dark;
    const header = this.data.header;
    if (!before) {
      this.home = { x: extent(this.data.x), y: extent(this.data.y) };
      this.recall();
    } else if (before.header.cleared !== header.cleared) {
      this.outline = this.kind = null;
    }
    this.groups = groupRows(this.data);
    this.frame.style.height = header.height + "px";
    this.frame.setAttribute("aria-label", header.caption);
    this.drawLegend();
    try {
      this.Plotly = await loadPlotly(header.plotly);
      await this.draw();
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
    memory.set(key, { cleared, outline, kind, view, drag, hidden: [...this.hidden] });
  }

  // ---- drawing

  traces() {
    const { header, x, y, highlight } = this.data;
    const colours = this.dark ? header.dark : header.light;
    const kind = (RowMap.webgl ??= hasWebGL()) ? "scattergl" : "scatter";
    const size = pointSize(header.rows);
    // Strong groups last, and small ones after large ones, so that they are not painted over.
    this.order = this.groups.map((_, code) => code).sort(
      (a, b) => header.opacity[a] - header.opacity[b] || this.groups[b].length - this.groups[a].length,
    );
    const traces = this.order.map((code) => ({
      type: kind, mode: "markers", hoverinfo: "none", showlegend: false,
      x: pick(x, this.groups[code]), y: pick(y, this.groups[code]),
      visible: !this.hidden.has(code),
      marker: { size, color: colours[code], opacity: header.opacity[code], line: { width: 0 } },
    }));
    traces.push({
      type: kind, mode: "markers", hoverinfo: "skip", showlegend: false,
      x: pick(x, highlight), y: pick(y, highlight),
      marker: {
        size: size + 8, symbol: "circle-open", color: this.ink(), opacity: 1, line: { width: 2 },
      },
    });
    return traces;
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
      margin: { l: 0, r: 0, t: 0, b: 0 }, autosize: true, hovermode: "closest", hoverdistance: 12,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      dragmode: this.drag, shapes: this.shapes(),
      newshape: { line: { color: this.ink(), width: 1.5, dash: "dot" }, fillcolor: "rgba(128,128,128,0.12)" },
      xaxis: { ...axis, range: [...x] }, yaxis: { ...axis, range: [...y] },
    };
  }

  async draw() {
    this.root.dataset.ready = "0";
    const config = { displayModeBar: false, scrollZoom: true, doubleClick: false, responsive: false };
    const ours = (this.ticket = {});
    this.drawing = this.drawing.then(async () => {
      if (this.ticket !== ours || this.gone) return;
      await this.Plotly.react(this.plot, this.traces(), this.layout(), config);
      if (!this.listening) this.listen();
      this.note.textContent = this.data.header.rows ? "" : "No rows to draw yet.";
      this.showState();
    });
    await this.drawing;
  }

  drawLegend() {
    const { header } = this.data;
    const colours = this.dark ? header.dark : header.light;
    this.legend.replaceChildren(...header.labels.map((label, code) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.title = "Show or hide: " + label;
      chip.dataset.code = code;
      chip.setAttribute("aria-pressed", String(!this.hidden.has(code)));
      const dot = document.createElement("i");
      dot.style.background = colours[code];
      const count = document.createElement("span");
      count.textContent = header.counts[code].toLocaleString("en-US");
      chip.append(dot, label, count);
      chip.hidden = header.counts[code] === 0;
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
      else if (button.dataset.code) this.toggle(Number(button.dataset.code));
    });
    this.frame.addEventListener("keydown", (event) => this.onKey(event));
    this.frame.addEventListener("mouseleave", () => this.leave());
    // Plotly reports no click while dragging draws a shape, so clicks are made here, of a press
    // and a release in one place. The row is the one under the pointer at the press.
    this.frame.addEventListener("mousedown", (event) => {
      if (event.button === 0) this.press = { row: this.hovered, x: event.clientX, y: event.clientY };
      this.tip.hidden = true;
    }, true);
    this.onRelease = (event) => {
      const press = this.press;
      this.press = null;
      if (!press || press.row === null) return;
      if (Math.hypot(event.clientX - press.x, event.clientY - press.y) > 3) return;
      this.send("clicked", { version: this.data.header.version, row: press.row });
    };
    window.addEventListener("mouseup", this.onRelease, true);
    this.observer = new ResizeObserver(() => {
      if (this.listening && this.frame.clientWidth) this.Plotly.Plots.resize(this.plot);
    });
    this.observer.observe(this.frame);
  }

  listen() {
    this.listening = true;
    this.plot.on("plotly_relayout", (change) => this.onRelayout(change));
    this.plot.on("plotly_hover", (event) => this.showTip(event));
    this.plot.on("plotly_unhover", () => this.leave());
    this.plot.on("plotly_doubleclick", () => this.act("fit"));
  }

  rowOf(point) {
    const code = point ? this.order[point.curveNumber] : undefined;
    return code === undefined ? null : this.groups[code][point.pointNumber];
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
    this.remember();
    if (!this.data.header.viewport) return;
    clearTimeout(this.later);
    this.later = setTimeout(() => {
      const [x0, x1] = this.view.x;
      const [y0, y1] = this.view.y;
      this.send("viewport", { version: this.data.header.version, box: [x0, y0, x1, y1] });
    }, 300);
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
    this.Plotly.restyle(this.plot, { visible: !this.hidden.has(code) }, [this.order.indexOf(code)]);
    this.showState();
    const { version } = this.data.header;
    this.send("hidden", { version, codes: [...this.hidden].sort((a, b) => a - b) });
  }

  leave() {
    this.hovered = null;
    this.tip.hidden = true;
  }

  showTip(event) {
    const row = (this.hovered = this.rowOf(event.points?.[0]));
    if (row === null) return;
    const { header, codes, text } = this.data;
    if (text && !this.data.lines) this.data.lines = new TextDecoder().decode(text).split("\n");
    const label = document.createElement("b");
    label.textContent = header.labels[codes[row]];
    this.tip.replaceChildren(label, this.data.lines?.[row] ?? "Click to read this row");
    const box = this.frame.getBoundingClientRect();
    const left = event.event.clientX - box.left;
    const top = event.event.clientY - box.top;
    this.tip.hidden = false;
    const flip = left + 14 + this.tip.offsetWidth > box.width;
    this.tip.style.left = (flip ? Math.max(0, left - 14 - this.tip.offsetWidth) : left + 14) + "px";
    this.tip.style.top = Math.min(top + 14, box.height - this.tip.offsetHeight - 4) + "px";
  }

  close() {
    this.gone = true;
    this.observer.disconnect();
    window.removeEventListener("mouseup", this.onRelease, true);
    clearTimeout(this.later);
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
