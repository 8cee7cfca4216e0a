
// Small charts in SVG: bars stacked by group, lines, marks at a place of the x axis. They are drawn
// anew in a few milliseconds, which a chart library does not do. Sends back where one was clicked, and what was
// dragged over.
const shown = new WeakMap();
const AXIS = { left: 38, right: 6, top: 6, bottom: 20 };
const BARE = { left: 0, right: 0, top: 14, bottom: 0 };

const escaped = (text) =>
  String(text).replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);

function brief(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return +(value / 1e6).toPrecision(3) + "M";
  if (size >= 1e4) return +(value / 1e3).toPrecision(3) + "k";
  if (size >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en-US");
  return String(+value.toPrecision(3));
}

function exact(value, unit) {
  if (unit === "share") return (100 * value).toFixed(1) + " %";
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  return value.toFixed(Math.abs(value) < 10 ? 3 : 2);
}

function steps([low, high], most) {
  const raw = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * power).find((s) => s >= raw * 0.999);
  const out = [];
  for (let k = Math.ceil(low / step - 1e-9) || 0; k * step <= high + step * 1e-9; k++) out.push(k * step || 0);
  return out;
}

// Where values stand: from the units of the panel to pixels.
function frame(panel, width) {
  const edge = panel.bare ? BARE : AXIS;
  const [x0, x1] = panel.x;
  const [y0, y1] = panel.y;
  const inner = { width: width - edge.left - edge.right, height: panel.height - edge.top - edge.bottom };
  return {
    edge, inner,
    across: (x) => edge.left + ((x - x0) / (x1 - x0 || 1)) * inner.width,
    up: (y) => edge.top + inner.height - ((y - y0) / (y1 - y0 || 1)) * inner.height,
    back: (left) => Math.min(x1, Math.max(x0, x0 + ((left - edge.left) / inner.width) * (x1 - x0))),
  };
}

function drawBars({ edges, counts }, at, colours) {
  const floor = new Float64Array(edges.length - 1);
  const parts = counts.map((row, group) => {
    let path = "";
    row.forEach((count, bin) => {
      if (!count) return;
      const [left, right] = [at.across(edges[bin]), at.across(edges[bin + 1])];
      const low = at.up(floor[bin]);
      floor[bin] += count;
      path += `M${left.toFixed(1)} ${low.toFixed(1)}H${right.toFixed(1)}V${at.up(floor[bin]).toFixed(1)}H${left.toFixed(1)}Z`;
    });
    return path && `<path d="${path}" fill="${colours[group]}" shape-rendering="crispEdges"/>`;
  });
  return parts.join("");
}

function drawLine({ x, y, dash }, at, colour) {
  let path = "";
  let down = false;
  x.forEach((value, i) => {
    const there = y[i] !== null && Number.isFinite(y[i]);
    if (there) path += `${down ? "L" : "M"}${at.across(value).toFixed(1)} ${at.up(y[i]).toFixed(1)}`;
    down = there;
  });
  return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash ? "5 4" : ""}"/>`;
}

function drawMark({ at: where, text, dash, dot }, at, colour, width) {
  const left = at.across(where);
  const bottom = at.edge.top + at.inner.height;
  const side = left > width * 0.6 ? ["end", left - 4] : ["start", left + 4];
  const words = text ? `<text x="${side[1]}" y="${at.edge.top - 4}" text-anchor="${side[0]}">${escaped(text)}</text>` : "";
  const spot = dot == null ? "" : `<circle cx="${left}" cy="${at.up(dot)}" r="4.5" fill="${colour}"/>`;
  return `<line x1="${left}" x2="${left}" y1="${at.edge.top - 2}" y2="${bottom}" stroke="${colour}"
    stroke-width="1.5" stroke-dasharray="${dash ? "4 3" : ""}"/>${words}${spot}`;
}

function drawAxes(panel, at, width) {
  if (panel.bare) return "";
  const ups = steps(panel.y, Math.max(2, at.inner.height / 36)).map((y) =>
    `<line class="grid" x1="${at.edge.left}" x2="${width - at.edge.right}" y1="${at.up(y)}" y2="${at.up(y)}"/>` +
    `<text class="tick" x="${at.edge.left - 5}" y="${at.up(y) + 4}" text-anchor="end">${panel.unit === "share" ? Math.round(100 * y) + "%" : brief(y)}</text>`);
  const acrosses = steps(panel.x, Math.max(2, at.inner.width / 70)).map((x) =>
    `<text class="tick" x="${at.across(x)}" y="${panel.height - 5}" text-anchor="middle">${brief(x)}</text>`);
  return ups.join("") + acrosses.join("");
}

class Charts {
  constructor(root) {
    this.root = root;
    this.tip = document.createElement("div");
    this.tip.className = "deita-charts-tip";
    this.tip.hidden = true;
    this.observer = new ResizeObserver(() => this.data && this.draw());
    this.observer.observe(root);
    root.addEventListener("mousemove", (event) => this.hover(event));
    root.addEventListener("mouseleave", () => (this.tip.hidden = true));
    root.addEventListener("click", (event) => this.click(event));
    root.addEventListener("mousedown", (event) => this.press(event));
    this.onMove = (event) => this.drag(event);
    this.onRelease = (event) => this.release(event);
    window.addEventListener("mousemove", this.onMove);
    window.addEventListener("mouseup", this.onRelease);
  }

  update(component) {
    this.send = component.setTriggerValue;
    const text = JSON.stringify(component.data);
    const dark = isDark(this.root);
    if (this.text === text && this.dark === dark) return;
    [this.text, this.dark, this.data] = [text, dark, component.data];
    this.draw();
  }

  draw() {
    const width = this.root.clientWidth;
    if (!width) return;
    const tone = (one) => (this.dark ? one.dark : one.light);
    const colours = this.dark ? this.data.dark : this.data.light;
    this.frames = this.data.panels.map((panel) => frame(panel, width));
    this.root.innerHTML = this.data.panels.map((panel, i) => {
      const at = this.frames[i];
      const caption = panel.title
        ? `<figcaption>${escaped(panel.title)} <span>${escaped(panel.note)}</span></figcaption>` : "";
      return `<figure data-panel="${i}">${caption}
        <svg role="img" aria-label="${escaped(panel.alt)}" height="${panel.height}" class="${panel.pick ? "pick" : panel.brush ? "brushed" : ""}">
        ${drawAxes(panel, at, width)}${panel.bars ? drawBars(panel.bars, at, colours) : ""}
        ${panel.lines.map((line) => drawLine(line, at, tone(line))).join("")}
        ${panel.marks.map((mark) => drawMark(mark, at, tone(mark), width)).join("")}
        <rect class="brush" y="${at.edge.top}" height="${at.inner.height}" width="0"/>
        <line class="guide" y1="${at.edge.top}" y2="${at.edge.top + at.inner.height}"/></svg></figure>`;
    }).join("");
    this.root.append(this.tip);
    this.root.dataset.drawn = String(Number(this.root.dataset.drawn ?? 0) + 1);
  }

  place(event) {
    const figure = event.target.closest?.("figure");
    if (!figure) return null;
    const i = Number(figure.dataset.panel);
    const box = figure.querySelector("svg").getBoundingClientRect();
    return { panel: this.data.panels[i], at: this.frames[i], x: this.frames[i].back(event.clientX - box.left), figure };
  }

  hover(event) {
    const here = this.place(event);
    this.tip.hidden = !here;
    if (!here) return;
    const guide = here.figure.querySelector(".guide");
    guide.setAttribute("x1", here.at.across(here.x));
    guide.setAttribute("x2", here.at.across(here.x));
    this.tip.innerHTML = here.panel.bars ? this.barWords(here) : this.lineWords(here);
    const box = this.root.getBoundingClientRect();
    const left = event.clientX - box.left;
    const flip = left + 14 + this.tip.offsetWidth > box.width;
    this.tip.style.left = Math.max(0, flip ? left - 14 - this.tip.offsetWidth : left + 14) + "px";
    this.tip.style.top = event.clientY - box.top + 12 + "px";
  }

  barWords({ panel, x }) {
    const { edges, counts } = panel.bars;
    const bin = Math.max(0, Math.min(edges.length - 2, edges.findIndex((edge) => edge > x) - 1));
    const colours = this.dark ? this.data.dark : this.data.light;
    const lines = counts.map((row, group) => row[bin] ? `<br><i style="background:${colours[group]}"></i>` +
      `${escaped(this.data.labels[group])} ${row[bin].toLocaleString("en-US")}` : "");
    return `<b>${+edges[bin].toPrecision(3)} to ${+edges[bin + 1].toPrecision(3)}</b>${lines.join("")}`;
  }

  lineWords({ panel, x }) {
    const lines = panel.lines.map((line) => {
      let best = 0;
      line.x.forEach((value, i) => { if (Math.abs(value - x) < Math.abs(line.x[best] - x)) best = i; });
      if (line.y[best] == null) return "";
      const colour = this.dark ? line.dark : line.light;
      return `<br><i style="background:${colour}"></i>${escaped(line.name)} ${exact(line.y[best], panel.unit)}`;
    });
    return `<b>${x.toFixed(2)}</b>${lines.join("")}`;
  }

  click(event) {
    const here = this.place(event);
    if (here?.panel.pick) this.send("picked", here.x);
  }

  // A press on a panel begins a brush; a release in the same place is a click on one bar.
  press(event) {
    const here = this.place(event);
    if (event.button !== 0 || !here?.panel.brush) return;
    const { figure, at, x } = here;
    this.brush = { figure, at, panel: Number(figure.dataset.panel), from: x, to: x };
    event.preventDefault(); // no text is marked meanwhile
  }

  drag(event) {
    if (!this.brush) return;
    const { figure, at } = this.brush;
    const left = figure.querySelector("svg").getBoundingClientRect().left;
    this.brush.to = at.back(event.clientX - left);
    const [low, high] = [this.brush.from, this.brush.to].sort((a, b) => a - b).map(at.across);
    const drawn = figure.querySelector(".brush");
    drawn.setAttribute("x", low);
    drawn.setAttribute("width", high - low);
  }

  release() {
    if (!this.brush) return;
    const { figure, panel, from, to } = this.brush;
    this.brush = null;
    figure.querySelector(".brush")?.setAttribute("width", 0);
    const [low, high] = [from, to].sort((a, b) => a - b);
    this.send("brushed", { panel, low, high });
  }

  close() {
    this.observer.disconnect();
    window.removeEventListener("mousemove", this.onMove);
    window.removeEventListener("mouseup", this.onRelease);
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".deita-charts");
  let charts = shown.get(root);
  if (!charts) shown.set(root, (charts = new Charts(root)));
  charts.update(component);
  return () => {
    charts.close();
    shown.delete(root);
  };
}
