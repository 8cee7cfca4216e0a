// Which key does what: kept for this browser. C and R are Streamlit's own, digits give scores.

const USUAL_KEYS = {
  keep: "k", drop: "d", unsure: "u", later: "l", back: "b", undo: "z",
  tag: "t", note: "n", correct: "e", formatted: "m", guidelines: "g",
};
const ACTION_WORDS = {
  keep: "Keep", drop: "Drop", unsure: "Unsure", later: "Later, or forward", back: "Back",
  undo: "Undo", tag: "Tag", note: "Note", correct: "Correct", formatted: "Formatted or plain",
  guidelines: "Guidelines",
};
const KEYS_KEPT = "deita-review-keys";

class Keys {
  constructor() {
    this.of = { ...USUAL_KEYS };
    try {
      const kept = JSON.parse(localStorage.getItem(KEYS_KEPT) ?? "{}");
      for (const action of Object.keys(USUAL_KEYS)) {
        if (Keys.allowed(kept[action])) this.of[action] = kept[action];
      }
    } catch {
      // Nothing was kept, or something else: the usual keys.
    }
    if (new Set(Object.values(this.of)).size < Object.keys(this.of).length) {
      this.of = { ...USUAL_KEYS };
    }
  }

  static allowed(key) {
    return typeof key === "string" && [...key].length === 1 && !/[cr\d\s]/i.test(key);
  }

  action(key) {
    return Object.keys(this.of).find((action) => this.of[action] === key.toLowerCase());
  }

  // Gives a key to an action; who had it gets the other one. False for a key that cannot be taken.
  set(action, key) {
    const wanted = key.toLowerCase();
    if (!Keys.allowed(wanted)) return false;
    const other = this.action(wanted);
    if (other) this.of[other] = this.of[action];
    this.of[action] = wanted;
    this.keep();
    return true;
  }

  reset() {
    this.of = { ...USUAL_KEYS };
    this.keep();
  }

  keep() {
    try {
      localStorage.setItem(KEYS_KEPT, JSON.stringify(this.of));
    } catch {
      // No room, or not allowed: the keys hold until the page is left.
    }
  }

  // The list of keys, to be changed by a click and the new key.
  draw(panel, changed) {
    const note = element("p", "deita-card-hint", "Click a key, then press the new one. Digits score; C and R are taken.");
    const lines = Object.keys(this.of).map((action) => {
      const button = element("button", "", this.of[action].toUpperCase());
      button.type = "button";
      button.addEventListener("click", () => (button.textContent = "…"));
      button.addEventListener("blur", () => (button.textContent = this.of[action].toUpperCase()));
      button.addEventListener("keydown", (event) => {
        if (event.key === "Tab" || event.key === "Escape" || button.textContent !== "…") return;
        event.preventDefault();
        event.stopPropagation();
        if (this.set(action, event.key)) changed();
        else note.textContent = `${event.key.toUpperCase()} cannot be used: take another letter or sign.`;
      });
      return element("label", "", element("span", "", ACTION_WORDS[action]), button);
    });
    const usual = element("button", "", "Usual keys");
    usual.type = "button";
    usual.addEventListener("click", () => {
      this.reset();
      changed();
    });
    panel.replaceChildren(note, element("div", "deita-card-keylist", ...lines), usual);
  }
}

// True while somebody types, or a dialog lies over the page.
function isTyping(event) {
  const target = event.composedPath()[0];
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName) ||
      document.querySelector('[role="dialog"]') !== null)
  );
}
