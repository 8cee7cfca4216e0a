// The conversation of a row: its turns with folds, or the fields in which they are corrected.

const FOLDED = 1500; // characters of a message that are shown at first
const SHOWN_MESSAGES = 12;
const ROLES = {
  system: "System", user: "User", assistant: "Assistant",
  function_call: "Function call", tool: "Tool result",
};

class Turns {
  constructor(node, { save, leave, again }) {
    this.node = node;
    Object.assign(this, { save, leave, again });
  }

  empty(text) {
    const again = plainButton("Look again", "Others may have given rows back");
    again.addEventListener("click", this.again);
    this.node.replaceChildren(element("div", "deita-card-empty", element("p", "", text), again));
  }

  draw(entry, how) {
    const shown = how.correcting ? entry.messages.length : SHOWN_MESSAGES;
    const made = entry.messages.slice(0, shown).map((message, at) => this.turn(entry, message, at, how));
    const rest = entry.messages.slice(shown);
    if (rest.length) {
      const more = plainButton(`Show ${rest.length} more message${rest.length > 1 ? "s" : ""}`);
      more.addEventListener("click", () => {
        more.replaceWith(...rest.map((message, at) => this.turn(entry, message, shown + at, how)));
      });
      made.push(more);
    }
    if (entry.left) {
      made.push(element("p", "deita-card-hint", `${entry.left.toLocaleString("en")} characters more are not shown here; Explore has the whole row.`));
    }
    this.node.replaceChildren(...made);
    if (how.correcting) [...this.node.querySelectorAll("textarea")].at(-1)?.focus();
  }

  toTop() {
    this.node.scrollTop = 0;
  }

  corrected() {
    return [...this.node.querySelectorAll("textarea")].map((area) => area.value);
  }

  turn(entry, message, at, how) {
    const length = message.text.length;
    const title = element("summary", "", ROLES[message.role] ?? message.role);
    if (length > FOLDED) title.append(element("span", "", `${length.toLocaleString("en")} characters`));
    const turn = element("details", "deita-card-turn", title);
    turn.dataset.role = message.role;
    turn.open = true;
    if (how.correcting) {
      turn.append(this.field(message));
      return turn;
    }
    if (message.reasoning) {
      turn.append(this.fold("Reasoning (neither scored nor embedded)", written(message.reasoning)));
    }
    turn.append(this.body(message, how.formatted));
    const before = entry.original?.[at]?.text;
    if (before !== undefined && before !== message.text) {
      const fold = this.fold("The original, with what was changed", differences(before, message.text));
      fold.open = true;
      turn.append(fold);
    }
    return turn;
  }

  fold(title, content) {
    return element("details", "deita-card-fold", element("summary", "", title), content);
  }

  field(message) {
    const area = element("textarea", "", message.text);
    area.setAttribute("aria-label", ROLES[message.role] ?? message.role);
    area.rows = 2;
    area.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.leave();
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.save();
    });
    return area;
  }

  body(message, formatted) {
    const { text } = message;
    const how = { code: message.role === "tool" || message.role === "function_call", formatted };
    const body = element("div", "deita-card-body");
    if (!text.trim()) body.append(element("p", "deita-card-hint", "(empty)"));
    else if (text.length <= FOLDED * 1.2) body.append(written(text, how));
    else {
      const space = text.lastIndexOf(" ", FOLDED);
      const cut = space > FOLDED / 2 ? space : FOLDED;
      const all = plainButton(`Show all ${text.length.toLocaleString("en")} characters`);
      all.addEventListener("click", () => body.replaceChildren(written(text, how)));
      body.append(written(`${text.slice(0, cut)} …`, how), all);
    }
    return body;
  }
}
