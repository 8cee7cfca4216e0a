// The card: shows the rows that wait here, takes answers by key or click, shows the next row at
// once. What was decided goes through the outbox; what the server says comes in by update().

const FEW = 8; // rows left here when more are asked for
const FORMATTED_KEPT = "deita-review-formatted";
const cards = new WeakMap();

class Card {
  constructor(root) {
    this.root = root;
    const part = (name) => root.querySelector(`.deita-card-${name}`);
    for (const name of ["bar", "progress", "kept", "tools", "alert", "about", "answers", "more", "after"]) {
      this[name] = part(name);
    }
    this.turns = new Turns(part("turns"), {
      save: () => this.save(), leave: () => this.leave(), again: () => this.outbox.now(),
    });
    this.guide = root.querySelector('[data-panel="guidelines"]');
    this.keyPanel = root.querySelector('[data-panel="keys"]');
    this.keys = new Keys();
    this.rows = new Map(); // by number, with everything known about each
    this.order = []; // to decide, those put off at the end
    this.putOff = new Set();
    this.past = []; // decided, the last one last
    this.looking = -1; // place in the past that is shown; -1: the next row to decide
    this.undoing = null;
    this.correcting = null;
    this.formatted = false;
    try {
      this.formatted = localStorage.getItem(FORMATTED_KEPT) === "1";
    } catch {
      // Plain, then.
    }
    this.onKey = (event) => this.key(event);
    this.onHide = () => document.hidden && this.outbox?.items.size && this.outbox.now();
    this.onResize = () => this.fit();
    document.addEventListener("keydown", this.onKey);
    document.addEventListener("visibilitychange", this.onHide);
    window.addEventListener("pagehide", this.onHide);
    window.addEventListener("resize", this.onResize);
    this.block = root.closest('[data-testid="stMainBlockContainer"]');
    this.observer = new ResizeObserver(this.onResize);
    if (this.block) this.observer.observe(this.block);
  }

  close() {
    document.removeEventListener("keydown", this.onKey);
    document.removeEventListener("visibilitychange", this.onHide);
    window.removeEventListener("pagehide", this.onHide);
    window.removeEventListener("resize", this.onResize);
    this.observer.disconnect();
    this.outbox?.close();
  }

  // ---- what the server sends

  update(component) {
    const data = component.data;
    if (!data) return;
    const first = !this.data;
    this.data = data;
    this.deliver = (message) => component.setStateValue("sent", { ...message, later: this.waiting() });
    this.outbox ??= new Outbox(data.storage, (message) => {
      this.drawKept();
      this.deliver(message);
    });
    this.fetched = Date.now();
    const refused = this.outbox.receive(data.receipt);
    this.take(data, refused);
    if (refused.length) {
      this.say(refused.map(({ item, why }) => `Row ${item.row} was not kept: ${why}`).join(" "));
    }
    if (first) this.start();
    this.draw();
    setTimeout(() => this.outbox.soon()); // not while the page is being drawn
  }

  start() {
    const { cookie, reviewer, guidelines, own } = this.data;
    if (cookie) document.cookie = `${cookie}=${encodeURIComponent(reviewer)}; path=/; max-age=31536000; SameSite=Lax`;
    this.guide.replaceChildren(markdown(guidelines));
    this.guide.hidden = !guidelines || own > 0 || this.outbox.items.size > 0;
    this.undoing = new UndoList(this.data.storage, (row) => this.rows.has(row));
    this.drawTools();
    this.drawAnswers();
    this.drawMore();
  }

  take(data, refused) {
    const back = refused.map(({ item }) => item.row);
    for (const row of data.rows) this.rows.set(row.row, { ...this.rows.get(row.row), ...row });
    for (const row of data.before) {
      if (this.rows.has(row.row)) continue;
      this.rows.set(row.row, row);
      this.past.push(row.row);
    }
    const sent = new Set(data.rows.map((row) => row.row));
    for (const row of back) if (!sent.has(row)) this.forget(row);
    for (const { row, facts, others } of data.after) {
      if (this.rows.has(row)) this.rows.get(row).after = { facts, others };
    }
    for (const entry of this.rows.values()) {
      const waiting = this.outbox.of(entry.row);
      if (!waiting.length) entry.counted = this.isWhole(entry);
      else if (sent.has(entry.row) || entry.counted === undefined) {
        entry.counted = this.isWhole(entry);
        for (const item of waiting) applyTo(entry, item);
      }
    }
    this.arrange(sent, back);
  }

  arrange(sent, back) {
    const settled = this.outbox.awaited === null;
    const before = this.order[0];
    const stays = (row) => sent.has(row) || row === this.correcting?.row || this.outbox.of(row).length > 0 || !settled;
    const kept = this.order.filter((row) => stays(row) && !this.isWhole(this.rows.get(row)));
    const fresh = [...sent].filter((row) => !kept.includes(row) && !this.isWhole(this.rows.get(row)));
    this.past = this.past.filter((row) => !fresh.includes(row));
    // Decided before a reload, and not in the ledger yet.
    this.past.push(...[...sent].filter((row) => this.isWhole(this.rows.get(row)) && !this.past.includes(row)));
    this.looking = Math.min(this.looking, this.past.length - 1);
    const now = [...kept.filter((row) => !this.putOff.has(row)), ...fresh.filter((row) => !back.includes(row))];
    const first = fresh.filter((row) => back.includes(row));
    this.order = [...first, ...now, ...kept.filter((row) => this.putOff.has(row))];
    if (before !== undefined && !this.order.includes(before) && !this.isWhole(this.rows.get(before))) {
      this.say(`Row ${before} does not wait for you any more: it was answered elsewhere, or its time ran out and somebody else has it.`);
    }
  }

  forget(row) {
    this.rows.delete(row);
    this.past = this.past.filter((one) => one !== row);
    this.order = this.order.filter((one) => one !== row);
    this.looking = -1;
  }

  // ---- what is known

  isWhole(entry) {
    return this.data.asks.every((ask) => ask in entry.own);
  }

  get shown() {
    return this.rows.get(this.looking >= 0 ? this.past[this.looking] : this.order[0]) ?? null;
  }

  waiting() {
    return this.order.filter((row) => this.putOff.has(row)).length;
  }

  // ---- deciding

  do(entry, given) {
    const item = { row: entry.row, ...given };
    if (item.kind !== "edit") item.version = entry.version;
    this.undoing.push(backOf(entry, item));
    applyTo(entry, item);
    this.outbox.add(item);
  }

  answer(kind, value = "") {
    const entry = this.shown;
    if (!entry || this.correcting || this.ranOut()) return;
    const slot = slotOf({ kind, value });
    if (entry.own[slot] !== (value || kind)) this.do(entry, { kind, value });
    this.alert.hidden = true;
    if (this.isWhole(entry)) this.advance(entry);
    this.draw();
    this.refill();
  }

  advance(entry) {
    if (this.looking >= 0) {
      if (this.data.asks.length === 1) this.forward();
      return;
    }
    this.order = this.order.filter((row) => row !== entry.row);
    this.putOff.delete(entry.row);
    this.past = [...this.past.filter((row) => row !== entry.row), entry.row];
  }

  digit(number) {
    const entry = this.shown;
    const ask = entry && this.asked(entry);
    if (!ask) return;
    const value = ask === "label" ? this.data.labels[number - 1] : number <= 6 ? String(number) : null;
    if (value == null) return;
    const asks = this.scored();
    entry.active = asks[(asks.indexOf(ask) + 1) % asks.length];
    this.answer(ask, value);
  }

  scored() {
    return this.data.asks.filter((ask) => ask !== "verdict");
  }

  // What a digit answers: the first question that is open; of an answered row each in turn.
  asked(entry) {
    const asks = this.scored();
    return asks.find((ask) => !(ask in entry.own)) ?? entry.active ?? asks[0];
  }

  later() {
    if (this.looking >= 0) return this.forward();
    const entry = this.shown;
    if (!entry) return;
    this.order = [...this.order.slice(1), entry.row];
    this.putOff.add(entry.row);
    if (this.order.length === 1) this.say("This is the only row that is left.");
    this.refill();
  }

  forward() {
    this.looking = this.looking + 1 < this.past.length ? this.looking + 1 : -1;
  }

  back() {
    if (!this.past.length) return;
    this.looking = this.looking < 0 ? this.past.length - 1 : Math.max(0, this.looking - 1);
  }

  undo() {
    const item = this.undoing.pop();
    const entry = item && this.rows.get(item.row);
    if (!entry) return;
    applyTo(entry, item);
    if (item.kind !== "edit") item.version = entry.version;
    this.outbox.add(item);
    if (this.isWhole(entry)) {
      this.looking = this.past.indexOf(entry.row);
      return;
    }
    this.past = this.past.filter((row) => row !== entry.row);
    this.order = [entry.row, ...this.order.filter((row) => row !== entry.row)];
    this.looking = -1;
  }

  // The lease has ended: says so and asks for rows again, before anything is decided.
  ranOut() {
    if (Date.now() - this.fetched < this.data.minutes * 60000) return false;
    this.say(`These rows were given back after ${this.data.minutes} minutes. They are fetched again, if nobody else has them; then go on.`);
    this.outbox.now();
    return true;
  }

  refill() {
    if (this.order.length <= FEW + this.waiting() && this.data.more) this.outbox.painted();
  }

  say(text) {
    const close = element("button", "", "×");
    close.type = "button";
    close.title = "Close";
    close.addEventListener("click", () => (this.alert.hidden = true));
    this.alert.replaceChildren(element("span", "", text), close);
    this.alert.hidden = false;
  }

  // ---- keys

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !this.data || isTyping(event)) return;
    if (/^[1-9]$/.test(event.key)) {
      this.digit(Number(event.key));
    } else {
      const action = this.keys.action(event.key);
      if (!action) return;
      this.act(action);
    }
    event.preventDefault();
  }

  act(action) {
    if (this.correcting) return;
    if (VERDICTS.includes(action)) {
      if (this.data.asks.includes("verdict")) this.answer(action);
      return;
    }
    if (action === "tag" || action === "note") this.more.querySelector(`[data-input="${action}"]`).focus();
    else if (action === "correct") this.correct();
    else if (action === "guidelines") this.guide.hidden = !this.guide.hidden || !this.data.guidelines;
    else if (action === "formatted") this.format();
    else if (!this.ranOut()) this[action]();
    this.draw();
  }

  format() {
    this.formatted = !this.formatted;
    try {
      localStorage.setItem(FORMATTED_KEPT, this.formatted ? "1" : "0");
    } catch {
      // It holds until the page is left.
    }
  }

  // ---- correcting

  correct() {
    const entry = this.shown;
    if (!entry || entry.left) return;
    this.correcting = { row: entry.row, of: entry.version };
  }

  save() {
    const entry = this.rows.get(this.correcting.row);
    const texts = this.turns.corrected();
    const { of } = this.correcting;
    this.correcting = null;
    const changed = entry && texts.some((text, at) => text !== entry.messages[at].text);
    if (changed) this.do(entry, { kind: "edit", of, texts });
    this.draw();
  }

  // ---- drawing

  draw() {
    const entry = this.shown;
    this.root.dataset.row = entry?.row ?? "";
    const empty = entry ? "" : String(this.fetching());
    const mark = this.correcting
      ? `correcting ${this.correcting.row}`
      : [entry?.row, entry?.version, this.formatted, empty].join(" ");
    if (mark !== this.drawn) {
      const moved = this.drawnRow !== entry?.row;
      if (!entry) this.turns.empty(this.fetching() ? "The next rows are on their way …" : "Nothing is left for you in this queue.");
      else this.turns.draw(entry, { correcting: Boolean(this.correcting), formatted: this.formatted });
      if (moved) this.turns.toTop();
      this.drawnRow = entry?.row;
    }
    this.drawn = mark;
    this.drawAbout(entry);
    this.drawState(entry);
    this.drawProgress();
    this.drawKept();
    this.drawAfter(entry);
  }

  drawTools() {
    const tool = (action, label, title) => this.button(label, action, title);
    const name = this.button(this.data.reviewer, null, this.data.cookie ? "Review under another name" : "Your name");
    name.disabled = !this.data.cookie;
    name.addEventListener("click", () => {
      document.cookie = `${this.data.cookie}=; path=/; max-age=0`;
      location.reload();
    });
    const keys = this.button("Keys", null, "Which key does what");
    keys.addEventListener("click", () => {
      this.keyPanel.hidden = !this.keyPanel.hidden;
      this.drawKeys();
    });
    const guide = tool("guidelines", "Guidelines", "What to look for");
    guide.hidden = !this.data.guidelines;
    this.tools.replaceChildren(
      guide,
      tool("formatted", "Formatted", "Show Markdown as it is meant; links and pictures are left as text"),
      keys,
      name,
    );
  }

  drawKeys() {
    this.keys.draw(this.keyPanel, () => {
      this.drawTools();
      this.drawAnswers();
      this.drawMore();
      this.drawKeys();
      this.draw();
    });
  }

  // A button that does an action, with its key on it; or one that does nothing yet.
  button(label, action, title = "") {
    const made = plainButton(label, title);
    if (!action) return made;
    made.dataset.action = action;
    made.append(element("kbd", "", this.keys.of[action].toUpperCase()));
    made.addEventListener("click", () => {
      this.act(action);
      made.blur();
    });
    return made;
  }

  drawAnswers() {
    const groups = [];
    if (this.data.asks.includes("verdict")) {
      const words = { keep: "Keep", unsure: "Unsure", drop: "Drop" };
      const buttons = VERDICTS.map((verdict) => {
        const made = this.button(words[verdict], verdict);
        Object.assign(made.dataset, { ask: "verdict", value: verdict });
        return made;
      });
      groups.push(element("div", "deita-card-group deita-card-verdicts", ...buttons));
    }
    for (const ask of this.scored()) groups.push(this.choices(ask));
    const moves = element("div", "deita-card-group deita-card-moves",
      this.button("Later", "later", "Shows another row; this one comes again at the end"),
      this.button("Back", "back", "The row decided before"),
      this.button("Undo", "undo", "Takes back what was decided last"));
    this.answers.replaceChildren(...groups, moves);
  }

  choices(ask) {
    const values = ask === "label" ? this.data.labels : ["1", "2", "3", "4", "5", "6"];
    const buttons = values.map((value, at) => {
      const made = element("button", "", element("span", "", value));
      made.type = "button";
      Object.assign(made.dataset, { ask, value });
      if (ask === "label" && at < 9) made.append(element("kbd", "", String(at + 1)));
      made.addEventListener("click", () => {
        this.answer(ask, value);
        made.blur();
      });
      return made;
    });
    const group = element("div", "deita-card-group", element("span", "deita-card-name", ask), ...buttons);
    group.dataset.of = ask;
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", ask);
    return group;
  }

  drawMore() {
    const field = (action, label, most) => {
      const input = element("input");
      Object.assign(input, { type: "text", maxLength: most, placeholder: label });
      input.setAttribute("aria-label", label);
      input.dataset.input = action;
      input.addEventListener("focus", () => (input.dataset.row = this.shown?.row ?? ""));
      input.addEventListener("keydown", (event) => {
        if (event.key === "Escape") input.value = action === "note" ? this.shown?.own.note ?? "" : "";
        if (event.key === "Escape" || event.key === "Enter") input.blur();
      });
      input.addEventListener("change", () => this.typed(action, input));
      return element("label", "", element("kbd", "", this.keys.of[action].toUpperCase()), input);
    };
    const tag = field("tag", "Add a tag", 100);
    const known = element("datalist");
    known.id = `deita-card-tags-${Math.random().toString(36).slice(2)}`;
    tag.querySelector("input").setAttribute("list", known.id);
    this.tagsKnown = known;
    const correct = this.button("Correct", "correct", "Change the texts: a new version, the original stays");
    const save = this.button("Save the correction", null);
    save.dataset.correcting = "";
    save.className = "deita-card-main";
    save.append(element("kbd", "", "Ctrl Enter"));
    save.addEventListener("click", () => this.save());
    const leave = this.button("Leave it as it was", null);
    leave.dataset.correcting = "";
    leave.append(element("kbd", "", "Esc"));
    leave.addEventListener("click", () => this.leave());
    this.more.replaceChildren(tag, known, field("note", "Note: why", 2000), correct, save, leave);
  }

  leave() {
    this.correcting = null;
    this.draw();
  }

  typed(action, input) {
    const entry = this.rows.get(Number(input.dataset.row));
    const text = input.value.trim();
    if (!entry) return;
    if (action === "tag") {
      input.value = "";
      if (text && !entry.tags.includes(text)) this.do(entry, { kind: "tag", value: text });
    } else if (text && text !== entry.own.note) this.do(entry, { kind: "note", value: text });
    else if (!text && entry.own.note) this.do(entry, { kind: "withdraw", value: "note" });
    this.draw();
  }

  drawAbout(entry) {
    if (!entry) return this.about.replaceChildren();
    const place = this.looking >= 0 ? "decided before" : this.putOff.has(entry.row) ? "put off" : "";
    const chips = entry.tags.map((tag) => {
      const off = element("button", "", "×");
      off.type = "button";
      off.title = `Take the tag ${tag} off`;
      off.addEventListener("click", () => {
        this.do(entry, { kind: "untag", value: tag });
        this.draw();
      });
      return element("span", "deita-card-chip", tag, off);
    });
    const said = [entry.version ? `corrected, version ${entry.version}` : "", place, ...entry.about];
    this.about.replaceChildren(
      element("b", "", `Row ${entry.row}`),
      ...said.filter(Boolean).map((text) => element("span", "", text)),
      ...entry.facts.map((text) => element("span", "deita-card-fact", text)),
      ...entry.judged.map((text) => element("span", "deita-card-fact", text)),
      ...chips,
    );
  }

  fetching() {
    return this.data.more || this.outbox.items.size > 0 || this.outbox.awaited !== null;
  }

  drawState(entry) {
    const busy = Boolean(this.correcting);
    const ask = entry && this.asked(entry);
    for (const button of this.answers.querySelectorAll("button[data-ask]")) {
      const { ask: of, value } = button.dataset;
      button.setAttribute("aria-pressed", String(entry?.own[of] === value));
      button.disabled = !entry || busy;
    }
    for (const group of this.answers.querySelectorAll("[data-of]")) {
      group.classList.toggle("deita-card-active", group.dataset.of === ask && this.scored().length > 1);
    }
    const action = (name) => this.root.querySelector(`[data-action="${name}"]`);
    action("later").disabled = busy || !entry;
    action("later").firstChild.textContent = this.looking >= 0 ? "Forward" : "Later";
    action("back").disabled = busy || !this.past.length || this.looking === 0;
    action("undo").disabled = busy || !this.undoing.size;
    action("correct").disabled = busy || !entry || entry.left > 0;
    action("formatted").setAttribute("aria-pressed", String(this.formatted));
    action("guidelines").setAttribute("aria-pressed", String(!this.guide.hidden));
    for (const part of this.more.children) {
      part.hidden = part.tagName !== "DATALIST" && ("correcting" in part.dataset) !== busy;
    }
    const note = this.more.querySelector('[data-input="note"]');
    if (document.activeElement !== note) note.value = entry?.own.note ?? "";
    if (this.tagsDrawn !== this.data.tags) {
      this.tagsDrawn = this.data.tags;
      this.tagsKnown.replaceChildren(...this.data.tags.map((tag) => {
        const option = element("option");
        option.value = tag;
        return option;
      }));
    }
  }

  drawProgress() {
    const { own, done, total, pace } = this.data;
    const rows = new Set([...this.outbox.items.values()].map((item) => item.row));
    let mine = own;
    for (const row of rows) {
      const entry = this.rows.get(row);
      if (entry) mine += Number(this.isWhole(entry)) - Number(Boolean(entry.counted));
    }
    const number = (value) => value.toLocaleString("en");
    const said = [`${number(mine)} by you`, `${number(done)} of ${number(total)} rows done`];
    if (pace !== null) said.push(`${number(pace)} rows an hour`);
    this.progress.textContent = said.join(" · ");
    this.bar.firstElementChild.style.width = `${(100 * done) / Math.max(1, total)}%`;
    this.bar.setAttribute("aria-valuenow", String(Math.round((100 * done) / Math.max(1, total))));
  }

  drawKept() {
    const waiting = this.outbox.items.size;
    const { problem, tries } = this.outbox;
    this.kept.dataset.waiting = String(waiting);
    if (tries > 1) this.kept.textContent = `${waiting} wait in this browser: the server does not answer yet`;
    else if (problem && !waiting) this.kept.textContent = `no more rows for now: ${problem}`;
    else if (problem) this.kept.textContent = `${waiting} not kept yet, and tried again: ${problem}`;
    else this.kept.textContent = waiting ? `${waiting} on the way` : "all kept";
  }

  drawAfter(entry) {
    const decided = entry && this.isWhole(entry) ? entry : this.rows.get(this.past.at(-1));
    if (!decided) return this.after.replaceChildren();
    const slots = [...this.data.asks, "note"].filter((slot) => slot in decided.own);
    const own = slots.map((slot) => (slot === "verdict" ? "" : `${slot} `) + decided.own[slot]);
    const parts = [`${decided === entry ? "Row" : "Last: row"} ${decided.row}`, `you: ${own.join(", ")}`];
    const after = decided.after ?? { facts: [], others: [] };
    this.after.replaceChildren(...[...parts, ...after.others, ...after.facts].map((text) => element("span", "", text)));
  }

  // The card ends where the window does, so that its buttons are always in view.
  fit() {
    const scroller = this.root.closest('[data-testid="stMain"]');
    const top = this.root.getBoundingClientRect().top + (scroller?.scrollTop ?? 0);
    const room = this.block ? parseFloat(getComputedStyle(this.block).paddingBottom) : 0;
    const height = `${Math.max(440, Math.floor(window.innerHeight - top - room - 8))}px`;
    if (this.root.style.height !== height) this.root.style.height = height;
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".deita-card");
  let card = cards.get(root);
  if (!card) cards.set(root, (card = new Card(root)));
  card.update(component);
  card.fit();
  return () => {
    card.close();
    cards.delete(root);
  };
}
