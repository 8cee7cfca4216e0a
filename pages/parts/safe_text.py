"""Text out of a pool, made harmless for Streamlit.

Streamlit never runs HTML that is inside Markdown, but its Markdown does much more than a pool's
text means: images are fetched from the net, dollar signs become formulas, `:red[...]` and
`:material/...:` become colours and icons, `->` becomes an arrow, Mermaid blocks become diagrams.
`safe_markdown` keeps what a reader expects of an answer (paragraphs, lists, tables, code,
emphasis, links) and takes the rest literally. `escape` takes everything literally, for labels.
"""

from __future__ import annotations

import re
import unicodedata

# Invisible and not a space: breaks a pattern apart without changing what is seen.
_JOINER = "\u2060"
_RTL_OPEN, _RTL_CLOSE = "\u2067", "\u2069"

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})(.*)$")
_INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`)(?:.*?[^`])??\1(?!`)")
_HEADING = re.compile(r"^( {0,3})#{1,6}(?=\s)")
_SETEXT = re.compile(r"^ {0,3}(=+|-+)\s*$")
_ARROW = re.compile(r"(?<!\S)(<->|<-|->|--|>=|<=|~=)(?!\S)")
_DIRECTIVE = re.compile(r":(?=[A-Za-z_]|[+-]1:)")
_DOLLAR = re.compile(r"(\\*)\$")
_TABLE_RULE = re.compile(r"^[\s|:-]+$")
_LIST_START = re.compile(r"^(\s*(?:[-*+]\s+|\d{1,9}[.)]\s+|>\s*|#{1,6}\s+)*)(.*)$", re.DOTALL)
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$^&=\"'])")


def escape(text: str) -> str:
    """The text taken literally, on one line: for labels, badges and captions."""
    flat = " ".join(text.split())
    flat = _DIRECTIVE.sub(":" + _JOINER, flat)
    flat = _ARROW.sub(lambda m: m[0][0] + _JOINER + m[0][1:], flat)
    return _PUNCTUATION.sub(r"\\\1", flat)


def safe_markdown(text: str) -> str:
    """Markdown with images, formulas, directives, diagrams and large headings taken out."""
    lines: list[str] = []
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if fence:
            closes = mark and mark[1].startswith(fence) and not mark[2].strip()
            lines.append(line)
            fence = "" if closes else fence
        elif mark and not (mark[1][0] == "`" and "`" in mark[2]):
            fence = mark[1]
            lines.append(line.replace(mark[2], _language(mark[2])) if mark[2].strip() else line)
        else:
            lines.append(_safe_line(line))
    if fence:
        lines.append(fence)
    # Last and everywhere, code too: whatever this reading of Markdown missed, no image is fetched.
    return "\n".join(lines).replace("![", "!" + _JOINER + "[")


def is_right_to_left(text: str) -> bool:
    """True when most letters among the first 2,000 characters are written right to left."""
    kinds = [unicodedata.bidirectional(c) for c in text[:2000]]
    rtl = sum(kind in ("R", "AL") for kind in kinds)
    return rtl > sum(kind == "L" for kind in kinds)


def isolate_right_to_left(text: str) -> str:
    """Each line marked as right to left, after its list or heading sign, code left alone."""
    lines: list[str] = []
    in_code = False
    for line in text.splitlines():
        if _FENCE.match(line):
            in_code = not in_code
        start = _LIST_START.match(line)
        if in_code or _FENCE.match(line) or not line.strip() or "|" in line or start is None:
            lines.append(line)
        else:
            lines.append(f"{start[1]}{_RTL_OPEN}{start[2]}{_RTL_CLOSE}")
    return "\n".join(lines)


def _language(info: str) -> str:
    """The language of a code block; never one that is drawn instead of shown."""
    word = info.strip().split()[0]
    return word if re.fullmatch(r"[\w+#.-]+", word) and word.lower() != "mermaid" else "text"


def _safe_line(line: str) -> str:
    line = _HEADING.sub(r"\1######", line)
    if _SETEXT.match(line):
        return line.replace("=", "\\=", 1) if "=" in line else "\n" + line
    if not line.strip() or _TABLE_RULE.match(line):
        return line
    parts: list[str] = []
    at = 0
    for code in _INLINE_CODE.finditer(line):
        parts += [_safe_prose(line[at : code.start()]), code[0]]
        at = code.end()
    # Two spaces keep the line break, which chats mean and Markdown would drop.
    return "".join([*parts, _safe_prose(line[at:])]) + "  "


def _safe_prose(text: str) -> str:
    text = text.replace("![", "!" + _JOINER + r"\[")
    text = _DOLLAR.sub(lambda m: m[0] if len(m[1]) % 2 else m[1] + r"\$", text)
    text = _ARROW.sub(lambda m: m[0][0] + _JOINER + m[0][1:], text)
    # Not inside an address: "https://..." keeps working, for its colon is followed by a slash.
    return _DIRECTIVE.sub(":" + _JOINER, text)
