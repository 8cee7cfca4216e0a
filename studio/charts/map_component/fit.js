// The map, and the panes beside it, end where the window does, however many lines stand above
// them. The heights that Python gave hold until this has measured, and where it cannot.

const LEAST_MAP = 240; // pixels; a lower window scrolls
const LEAST_PANE = 320;

class Fit {
  constructor(root, frame) {
    Object.assign(this, { root, frame, beside: "" });
    this.block = root.closest('[data-testid="stMainBlockContainer"]');
    this.asked = 0;
    this.again = () => {
      cancelAnimationFrame(this.asked);
      this.asked = requestAnimationFrame(() => this.measure());
    };
    window.addEventListener("resize", this.again);
    this.sizes = new ResizeObserver(this.again);
    this.changes = new MutationObserver(this.again); // a pane is another one when the view is
    if (this.block) this.sizes.observe(this.block);
    if (this.block) this.changes.observe(this.block, { childList: true, subtree: true });
  }

  // beside: a selector of the panes; "" leaves the map as high as it is given, in pixels.
  set(beside, height) {
    this.beside = beside;
    if (!beside) this.frame.style.height = height + "px";
    else if (!this.measure()) this.frame.style.height = height + "px";
  }

  // False where there is nothing to measure by.
  measure() {
    const scroller = this.root.closest('[data-testid="stMain"]');
    if (!this.beside || !this.block || !scroller || !this.root.isConnected) return false;
    const room = parseFloat(getComputedStyle(this.block).paddingBottom) || 0;
    const end = window.innerHeight - room - scroller.scrollTop;
    const column = this.root.closest('[data-testid="stColumn"]');
    const last = column?.querySelector('[data-testid="stVerticalBlock"]')?.lastElementChild ?? this.root;
    const frame = this.frame.getBoundingClientRect();
    const beneath = Math.max(0, last.getBoundingClientRect().bottom - frame.bottom);
    const heights = [[this.frame, end - frame.top - beneath, LEAST_MAP]];
    for (const pane of document.querySelectorAll(this.beside)) {
      const height = end - pane.getBoundingClientRect().top;
      const wrapper = pane.closest('[data-testid="stLayoutWrapper"]');
      for (const one of [wrapper, pane]) if (one) heights.push([one, height, LEAST_PANE]);
    }
    for (const [one, height, least] of heights) {
      const wanted = `${Math.max(least, Math.floor(height))}px`;
      if (one.style.height !== wanted) Object.assign(one.style, { height: wanted, flex: "none" });
    }
    return true;
  }

  close() {
    cancelAnimationFrame(this.asked);
    window.removeEventListener("resize", this.again);
    this.sizes.disconnect();
    this.changes.disconnect();
  }
}
