// What was decided and has no receipt yet. Each item is kept under a key of its own in this
// browser, so that windows do not overwrite each other's, and sent until the server has it.

const BATCH = 5;
const WAIT = 2000; // ms from a decision to its sending, when fewer than a batch are there
const PAINT = 60; // ms in which the next row is painted: sending keeps the page busy
const RESEND = 6000; // ms until what has no receipt is sent again
const MOST_AT_ONCE = 200;

class Outbox {
  constructor(storage, send) {
    this.prefix = `${storage}:`;
    this.send = send; // (message) -> nothing
    this.items = new Map();
    this.number = Date.now();
    this.awaited = null; // number of the message that has no receipt yet
    this.tries = 0; // how many messages had no receipt, the last one with them
    this.timer = null;
    this.hurried = false; // the timer stands at PAINT
    this.problem = "";
    this.last = 0;
    this.load();
  }

  load() {
    try {
      for (let place = 0; place < localStorage.length; place++) {
        const key = localStorage.key(place);
        if (!key.startsWith(this.prefix)) continue;
        const item = JSON.parse(localStorage.getItem(key));
        if (item?.client === key.slice(this.prefix.length)) this.items.set(item.client, item);
      }
    } catch {
      // Without storage a reload forgets what was not sent.
    }
    this.items = new Map([...this.items].sort(([a], [b]) => (a < b ? -1 : 1)));
    for (const client of this.items.keys()) this.last = Math.max(this.last, parseInt(client, 10) || 0);
  }

  add(item) {
    // Ids sort as they were decided, whatever the clock does.
    this.last = Math.max(Date.now(), this.last + 1);
    const random = Math.random().toString(36).slice(2, 10).padEnd(8, "0");
    const client = `${String(this.last).padStart(14, "0")}-${random}`;
    this.items.set(client, { ...item, client });
    try {
      localStorage.setItem(this.prefix + client, JSON.stringify({ ...item, client }));
    } catch {
      // As above.
    }
    this.soon();
  }

  of(row) {
    return [...this.items.values()].filter((item) => item.row === row);
  }

  // Sends when it is time: a batch once the next row is painted, otherwise a little later.
  soon() {
    if (this.awaited !== null) return;
    if (this.items.size >= BATCH) this.painted();
    else if (this.items.size && !this.timer) this.timer = setTimeout(() => this.now(), WAIT);
  }

  painted() {
    if (this.awaited !== null || this.hurried) return;
    clearTimeout(this.timer);
    this.hurried = true;
    this.timer = setTimeout(() => this.now(), PAINT);
  }

  now() {
    clearTimeout(this.timer);
    this.hurried = false;
    this.awaited = ++this.number;
    this.tries++;
    this.timer = setTimeout(() => this.now(), RESEND);
    this.send({ number: this.number, items: [...this.items.values()].slice(0, MOST_AT_ONCE) });
  }

  // Takes out what the server has or refuses; returns the refused items with the reason.
  receive({ number, taken, refused, problem }) {
    const gone = refused.map(({ client, why }) => ({ item: this.items.get(client), why }));
    for (const client of [...taken, ...refused.map((one) => one.client)]) {
      this.items.delete(client);
      try {
        localStorage.removeItem(this.prefix + client);
      } catch {
        // As above.
      }
    }
    if (this.awaited === null || number >= this.awaited) this.problem = problem;
    if (this.awaited !== null && number >= this.awaited) {
      this.awaited = null;
      this.tries = 0;
      clearTimeout(this.timer);
      this.timer = null;
      if (problem) this.timer = setTimeout(() => this.now(), RESEND);
      else this.soon();
    }
    return gone.filter((one) => one.item);
  }

  close() {
    clearTimeout(this.timer);
  }
}
