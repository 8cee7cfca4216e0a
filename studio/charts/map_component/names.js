// Names written on the map: the largest first, each where it covers no other one. Zooming in draws
// their places apart, so that more of them fit.

const MOST_NAMES = 60;
const NAME_GAP = 6; // pixels between two names

class Names {
  constructor(element) {
    this.element = element;
    this.brush = document.createElement("canvas").getContext("2d");
    this.given = "";
    this.names = [];
  }

  // names: [x, y, text] each, largest first.
  set(names) {
    const given = JSON.stringify(names);
    if (this.given === given) return;
    this.given = given;
    const style = getComputedStyle(this.element);
    this.brush.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    this.height = parseFloat(style.fontSize) * 1.3;
    this.names = names.map(([x, y, text]) => {
      const span = document.createElement("span");
      span.textContent = text;
      return { x, y, span, width: this.brush.measureText(text).width };
    });
    this.element.replaceChildren(...this.names.map(({ span }) => span));
  }

  place({ x, y }) {
    const { clientWidth: wide, clientHeight: high } = this.element;
    const taken = [];
    for (const name of this.names) {
      const middle = ((name.x - x[0]) / (x[1] - x[0])) * wide;
      const line = (1 - (name.y - y[0]) / (y[1] - y[0])) * high;
      const box = {
        left: middle - name.width / 2 - NAME_GAP, right: middle + name.width / 2 + NAME_GAP,
        top: line - this.height / 2, bottom: line + this.height / 2,
      };
      const inside = box.left >= 0 && box.right <= wide && box.top >= 0 && box.bottom <= high;
      const covers = (other) =>
        box.left < other.right && other.left < box.right &&
        box.top < other.bottom && other.top < box.bottom;
      name.span.hidden = !inside || taken.length >= MOST_NAMES || taken.some(covers);
      if (name.span.hidden) continue;
      taken.push(box);
      name.span.style.left = middle + "px";
      name.span.style.top = line + "px";
    }
  }
}
