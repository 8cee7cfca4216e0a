// A list of any length: only the lines in sight are in the page, and their texts come in batches.
// It says which line is chosen (arrow keys walk) and which are ticked; Python says which rows they
// are. Texts of a pool go into `textContent` alone.

const LINE = 44; // pixels; the style sheet centres two lines of text in them
const AROUND = 8; // lines drawn above and below what is in sight
const PAUSE = 90; // ms between two messages while a key is held down
const lists = new WeakMap();

class RowList {
  constructor(root) {
    this.root = root;
    this.box = root.querySelector(".deita-list-lines");
    this.space = root.querySelector(".deita-list-space");
    this.drawn = new Map();
    this.lines = new Map();
    this.said = 0;
    this.timer = null;
    this.box.addEventListener("scroll", () => this.draw());
    this.box.addEventListener("keydown", (event) => this.onKey(event));
    this.space.addEventListener("click", (event) => this.onClick(event));
  }

  update({ data, setStateValue }) {
    this.send = setStateValue;
    this.dark = isDark(this.root);
    this.asked = null;
    const other = this.data?.name !== data.name;
    this.data = data;
    this.box.style.height = data.height + "px";
    this.box.setAttribute("aria-label", data.label);
    this.box.setAttribute("aria-multiselectable", String(data.many));
    this.space.style.height = data.total * LINE + "px";
    if (other) {
      clearTimeout(this.timer);
      this.lines.clear();
      this.ticked = new Set(data.ticked);
      this.said = Math.max(this.said, data.said);
      this.at = data.at;
      this.box.scrollTop = 0;
    }
    data.lines.forEach((line, i) => this.lines.set(data.first + i, line));
    // An answer to an older message says nothing about where the hand is by now.
    if (data.said >= this.said && data.at !== this.at) this.at = data.at;
    if (data.said >= this.said && this.shown !== `${data.name} ${this.at}`) this.bringIntoView();
    if (this.row !== data.row) this.scrollBack();
    this.row = data.row;
    this.redraw();
  }

  bringIntoView() {
    this.shown = `${this.data.name} ${this.at}`;
    if (this.at < 0) return;
    const [top, height] = [this.at * LINE, this.data.height];
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + LINE > this.box.scrollTop + height) this.box.scrollTop = top + LINE - height;
  }

  redraw() {
    for (const element of this.drawn.values()) element.remove();
    this.drawn.clear();
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / LINE) - AROUND);
    const seen = Math.ceil(this.data.height / LINE) + 2 * AROUND;
    const last = Math.min(this.data.total, first + seen);
    for (const [place, element] of this.drawn) {
      if (place >= first && place < last) continue;
      element.remove();
      this.drawn.delete(place);
    }
    let missing = null;
    for (let place = first; place < last; place++) {
      if (!this.lines.has(place)) missing ??= place;
      if (this.drawn.has(place)) continue;
      const element = this.line(place);
      this.drawn.set(place, element);
      this.space.append(element);
    }
    if (missing !== null && this.asked !== missing) {
      this.asked = missing;
      this.send("wanted", { name: this.data.name, place: missing });
    }
  }

  line(place) {
    const [text, note, colour] = this.lines.get(place) ?? ["…", "", null];
    const element = document.createElement("div");
    element.className = "deita-list-line";
    element.id = "line-" + place;
    element.dataset.place = place;
    element.style.top = place * LINE + "px";
    element.style.height = LINE + "px";
    element.setAttribute("role", "option");
    element.setAttribute("aria-selected", String(place === this.at));
    element.setAttribute("aria-posinset", place + 1);
    element.setAttribute("aria-setsize", this.data.total);
    if (this.data.many) element.append(this.tick(place));
    const first = document.createElement("b");
    first.textContent = text;
    const second = document.createElement("small");
    if (colour !== null) {
      const dot = document.createElement("i");
      dot.style.background = (this.dark ? this.data.dark : this.data.light)[colour];
      second.append(dot);
    }
    second.append(note);
    element.append(first, second);
    return element;
  }

  tick(place) {
    const box = document.createElement("input");
    box.type = "checkbox";
    box.tabIndex = -1;
    box.checked = this.ticked.has(place);
    box.setAttribute("aria-label", "Tick this row");
    return box;
  }

  onClick(event) {
    const line = event.target.closest(".deita-list-line");
    if (!line) return;
    const place = Number(line.dataset.place);
    this.box.focus({ preventScroll: true });
    const tick = event.target.matches("input") || event.ctrlKey || event.metaKey;
    if (this.data.many && event.shiftKey) this.setTicks(this.at < 0 ? place : this.at, place, true);
    else if (this.data.many && tick) this.setTicks(place, place, !this.ticked.has(place));
    else this.choose(place);
  }

  setTicks(one, other, ticked) {
    for (let place = Math.min(one, other); place <= Math.max(one, other); place++) {
      if (ticked) this.ticked.add(place);
      else this.ticked.delete(place);
    }
    this.redraw();
    this.send("ticked", { name: this.data.name, places: [...this.ticked].sort((a, b) => a - b) });
  }

  onKey(event) {
    const page = Math.max(1, Math.floor(this.data.height / LINE) - 1);
    const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page };
    const last = this.data.total - 1;
    const { at } = this;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key in steps) this.choose(Math.min(last, Math.max(0, at + steps[event.key])));
    else if (event.key === "Home") this.choose(0);
    else if (event.key === "End") this.choose(last);
    else if (event.key === " " && this.data.many && at >= 0) this.setTicks(at, at, !this.ticked.has(at));
    else return;
    if (event.shiftKey && this.data.many && event.key.startsWith("Arrow")) this.setTicks(at, this.at, true);
    event.preventDefault();
    event.stopPropagation();
  }

  choose(place) {
    if (place === this.at) return;
    this.at = place;
    this.bringIntoView();
    this.redraw();
    this.box.setAttribute("aria-activedescendant", "line-" + place);
    this.said += 1;
    if (this.timer) return;
    this.tell();
    this.timer = setTimeout(() => {
      this.timer = null;
      if (this.told !== this.said) this.tell();
    }, PAUSE);
  }

  tell() {
    this.told = this.said;
    this.send("chosen", { name: this.data.name, place: this.at, said: this.said });
    this.scrollBack();
  }

  // What is read is at its beginning again.
  scrollBack() {
    for (const one of this.data.scrolled ? document.querySelectorAll(this.data.scrolled) : []) {
      one.style.overflowAnchor = "none"; // or the browser would follow what stood there before
      one.scrollTop = 0;
    }
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".deita-list");
  let list = lists.get(root);
  if (!list) lists.set(root, (list = new RowList(root)));
  list.update(component);
}
