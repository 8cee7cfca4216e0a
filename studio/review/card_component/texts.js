// Texts of a pool as nodes: every one of them is set as text, never as markup.

const MOST_CELLS = 4e6; // of the table that finds the words in which two texts differ

function element(tag, style, ...children) {
  const made = document.createElement(tag);
  if (style) made.className = style;
  made.append(...children);
  return made;
}

function plainButton(label, title = "") {
  const made = element("button", "", element("span", "", label));
  made.type = "button";
  made.title = title;
  return made;
}

// ---- prose and code

// Prose and code between fences, in turns: [{ code, text }].
function pieces(text) {
  const found = [];
  let lines = [];
  let fence = "";
  const end = (code) => {
    if (lines.length) found.push({ code, text: lines.join("\n") });
    lines = [];
  };
  for (const line of text.split("\n")) {
    const mark = /^\s{0,3}(`{3,}|~{3,})/.exec(line)?.[1] ?? "";
    if (!fence && mark) {
      end(false);
      fence = mark;
    } else if (fence && mark.startsWith(fence)) {
      end(true);
      fence = "";
    } else {
      lines.push(line);
    }
  }
  end(Boolean(fence));
  return found;
}

function written(text, { code = false, formatted = false } = {}) {
  const whole = document.createDocumentFragment();
  for (const piece of code ? [{ code, text }] : pieces(text)) {
    if (piece.code) whole.append(element("pre", "", element("code", "", piece.text)));
    else if (formatted) whole.append(markdown(piece.text));
    else whole.append(element("div", "deita-card-text", piece.text));
  }
  return whole;
}

// ---- a small part of Markdown: headings, lists, quotes, emphasis, code; no links, no pictures

const INLINE = /(`{1,3})([^`]{1,400})\1|\*\*([^*]{1,400})\*\*|\*([^*\s][^*]{0,400})\*/g;

function inline(text) {
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    parts.push(text.slice(at, match.index));
    if (match[2] != null) parts.push(element("code", "", match[2]));
    else if (match[3] != null) parts.push(element("strong", "", match[3]));
    else parts.push(element("em", "", match[4]));
    at = match.index + match[0].length;
  }
  parts.push(text.slice(at));
  return parts;
}

function markdown(text) {
  const whole = element("div", "deita-card-markdown");
  let open = null; // the block that the next line may go on with
  const into = (tag, line, joined = false) => {
    if (open?.tagName.toLowerCase() !== tag) whole.append((open = element(tag)));
    else if (joined) open.append(element("br"));
    open.append(...line);
  };
  for (const line of text.split("\n")) {
    const heading = /^\s{0,3}#{1,6}\s+(.*)/.exec(line);
    const bullet = /^\s*[-*+]\s+(.*)/.exec(line);
    const number = /^\s*(\d{1,9})[.)]\s+(.*)/.exec(line);
    const quote = /^\s{0,3}>\s?(.*)/.exec(line);
    if (!line.trim()) open = null;
    else if (heading) {
      whole.append(element("p", "deita-card-heading", ...inline(heading[1])));
      open = null;
    } else if (bullet) into("ul", [element("li", "", ...inline(bullet[1]))]);
    else if (number) {
      into("ol", [element("li", "", ...inline(number[2]))]);
      open.lastChild.value = Number(number[1]);
    } else if (quote) into("blockquote", inline(quote[1]), true);
    else if (/^\s*\|/.test(line)) into("pre", [line, "\n"]);
    else into("p", inline(line), true);
  }
  return whole;
}

// ---- words in which two texts differ

// The later text with what was taken out and put in, as nodes; the middle as a whole where it is
// too long to compare word by word.
function differences(before, after) {
  const [old, now] = [before, after].map((text) => text.match(/\s+|\S+/g) ?? []);
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start++;
  let end = 0;
  while (
    end < old.length - start && end < now.length - start &&
    old[old.length - 1 - end] === now[now.length - 1 - end]
  ) end++;
  const a = old.slice(start, old.length - end);
  const b = now.slice(start, now.length - end);
  const marked = element("div", "deita-card-text");
  marked.append(now.slice(0, start).join(""));
  for (const [tag, words] of gathered(steps(a, b))) {
    marked.append(tag ? element(tag, "", words.join("")) : words.join(""));
  }
  marked.append(now.slice(now.length - end).join(""));
  return marked;
}

// Changes with only blanks between them as one: what was taken out, then what was put in.
function gathered(found) {
  const whole = [];
  let taken = [];
  let put = [];
  const end = () => {
    if (taken.length) whole.push(["del", taken]);
    if (put.length) whole.push(["ins", put]);
    taken = [];
    put = [];
  };
  found.forEach(([tag, words], at) => {
    const between = !tag && words.join("").trim() === "" && (taken.length || put.length) && at < found.length - 1;
    if (tag === "del" || between) taken = [...taken, ...words];
    if (tag === "ins" || between) put = [...put, ...words];
    if (!tag && !between) {
      end();
      whole.push(["", words]);
    }
  });
  end();
  return whole;
}

function steps(a, b) {
  if (!a.length || !b.length || a.length * b.length > MOST_CELLS) {
    return [["del", a], ["ins", b]].filter(([, words]) => words.length);
  }
  const wide = b.length + 1;
  const common = new Uint16Array((a.length + 1) * wide); // longest common run of words from here
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * wide + j] = a[i] === b[j]
        ? common[(i + 1) * wide + j + 1] + 1
        : Math.max(common[(i + 1) * wide + j], common[i * wide + j + 1]);
    }
  }
  const found = [];
  const add = (tag, word) => {
    if (found.at(-1)?.[0] === tag) found.at(-1)[1].push(word);
    else found.push([tag, [word]]);
  };
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      add("", a[i++]);
      j++;
    } else if (j >= b.length || (i < a.length && common[(i + 1) * wide + j] >= common[i * wide + j + 1])) {
      add("del", a[i++]);
    } else {
      add("ins", b[j++]);
    }
  }
  return found;
}
