// What a decision does to a row as it is held here, and what takes it back.

const VERDICTS = ["keep", "unsure", "drop"];

function slotOf({ kind, value }) {
  return VERDICTS.includes(kind) ? "verdict" : kind === "withdraw" ? value : kind;
}

function applyTo(entry, item) {
  const { kind, value } = item;
  if (kind === "edit") {
    entry.original ??= entry.messages;
    entry.messages = entry.messages.map((message, at) => ({ ...message, text: item.texts[at] }));
    entry.version = item.of + 1;
  } else if (kind === "tag") entry.tags = [...new Set([...entry.tags, value])];
  else if (kind === "untag") entry.tags = entry.tags.filter((tag) => tag !== value);
  else {
    entry.own = { ...entry.own };
    if (kind === "withdraw") delete entry.own[value];
    else entry.own[slotOf(item)] = value || kind;
  }
}

// Asked before the decision is applied.
function backOf(entry, item) {
  const { row, kind, value } = item;
  if (kind === "edit") return { row, kind, of: item.of + 1, texts: entry.messages.map((one) => one.text) };
  if (kind === "tag" || kind === "untag") return { row, kind: kind === "tag" ? "untag" : "tag", value };
  const slot = slotOf(item);
  const said = entry.own[slot];
  if (said === undefined) return { row, kind: "withdraw", value: slot };
  return slot === "verdict" ? { row, kind: said, value: "" } : { row, kind: slot, value: said };
}

const UNDO_KEPT = "deita-review-undo:";
const MOST_UNDONE = 50;

// What takes back the last decisions, the last one last. It is this window's own, and outlasts a
// reload for the rows that come again with it.
class UndoList {
  constructor(storage, isKnown) {
    this.key = UNDO_KEPT + storage;
    this.items = [];
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.key)) ?? [];
      this.items = kept.filter(({ row }) => isKnown(row));
    } catch {
      // It begins empty.
    }
  }

  get size() {
    return this.items.length;
  }

  push(item) {
    this.items = [...this.items, item].slice(-MOST_UNDONE);
    this.keep();
  }

  pop() {
    const item = this.items.pop();
    this.keep();
    return item;
  }

  keep() {
    try {
      sessionStorage.setItem(this.key, JSON.stringify(this.items));
    } catch {
      // A reload forgets it.
    }
  }
}
