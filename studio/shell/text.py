"""Numbers, times and names as people read them, and text out of a pool made harmless.

Streamlit never runs HTML that is inside Markdown, but its Markdown does much more than a pool's
text means: images are fetched from the net, dollar signs become formulas, `:red[...]` and
`:material/...:` become colours and icons, `->` becomes an arrow, Mermaid blocks become diagrams.
`safe_markdown` keeps what a reader expects of an answer (paragraphs, lists, tables, code,
emphasis, links) and takes the rest literally. `escape` takes everything literally, for labels.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Sequence

# Invisible and not a space: breaks a pattern apart without changing what is seen.
_JOINER = "\u2060"
_RTL_OPEN, _RTL_CLOSE = "\u2067", "\u2069"

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})(.*)$")
_INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`)(?:.*?[^`])??\1(?!`)")
_HEADING = re.compile(r"^( {0,3})#{1,6}(?=\s)")
_SETEXT = re.compile(r"^ {0,3}(=+|-+)\s*$")
_ARROW = re.compile(r"(?<!\S)(<->|<-|->|--|>=|<=|~=)(?!\S)")
_DIRECTIVE = re.compile(r"(\\*):(?=[A-Za-z_]|[+-]1:)")
_LINKED = re.compile(r"https?:(?=//)|www(?=\.)|(?=@)", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://[^\s<>()\[\]`\\]+")
# Where a link's target begins that is no address: a script, data, a page of this app.
_TARGET = re.compile(r"\](?=[(:])(?!.\s*<?https?://)|<(?=[a-z][\w+.-]+:(?!//))", re.IGNORECASE)
_DOLLAR = re.compile(r"(\\*)\$")
_TABLE_RULE = re.compile(r"^[\s|:-]+$")
_BULLET = re.compile(r"^\s*[-*+]\s+")
_NUMBER = re.compile(r"^\s*(\d{1,9})([.)])(?=\s)")
_INDENTED = re.compile(r" {4}|\t")
_BLOCK = re.compile(r"[\s>#]*(?:(?:[-*+]|\d{1,9}[.)])\s+)?")
# What a mark may not stand in: code, addresses, where a link leads.
_WHOLE = (_INLINE_CODE, _ADDRESS, re.compile(r"\]\u2060?\([^)]*\)?|^\s*\[[^\]]*\]:.*"))
# Background alone is hardly seen on white.
_MARK, _END = ":orange-background[:orange[", "]]\u2060"
_MARK_HTML = '<mark style="background: #ffa42166; color: inherit; padding: 0 2px">'
_LINE_START = re.compile(r"^(\s*(?:>\s*|#{1,6}\s+)*)(.*)$", re.DOTALL)
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$^&=\"'])")


def plural(count: int, one: str = "row", many: str = "rows") -> str:
    """ "1 row", "52,002 rows"."""
    return f"{count:,} {one if count == 1 else many}"


def duration(seconds: float) -> str:
    """ "8 s", "3 min 5 s", "2 h 10 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def file_size(count: int) -> str:
    """ "512 bytes", "21.1 MB"."""
    if count < 1000:
        return f"{count} bytes"
    for unit, scale in (("KB", 1e3), ("MB", 1e6)):
        if count < scale * 1000:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 1e9:.2f} GB"


def compact(count: int) -> str:
    """ "912", "1.2 million"."""
    if count < 1_000_000:
        return f"{count:,}"
    return f"{count / 1e6:.1f} million"


def percent(part: int, whole: int) -> str:
    """ "12.3 %", or "0 %" of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "0 %"


def model_label(name: str) -> str:
    """A model's id as a label: of a folder its last two parts."""
    prefix, colon, rest = name.partition(":")
    if colon and rest.startswith("/"):
        return f"{prefix}:…/{'/'.join(rest.rstrip('/').split('/')[-2:])}"
    return name


def escape(text: str) -> str:
    """The text taken literally, on one line: for labels and captions; addresses are no links."""
    flat = _DIRECTIVE.sub(r"\1:" + _JOINER, " ".join(text.split()))
    flat = _LINKED.sub(lambda found: found[0] + _JOINER, flat)
    flat = _ARROW.sub(_break_up, flat)
    return _PUNCTUATION.sub(r"\\\1", flat)


def escape_badge(text: str) -> str:
    """The same for `st.badge`, which escapes brackets itself."""
    return escape(text).replace(r"\[", "[").replace(r"\]", "]")


Spans = Sequence[tuple[int, int]]


def safe_markdown(text: str, spans: Spans = ()) -> str:
    """Markdown with images, formulas, directives, diagrams and large headings taken out.

    spans: first character and end of what is to be marked, ascending, apart from each other. What
    is in code, in an address or across the signs of Markdown stays as it is, unmarked.
    """
    lines: list[str] = []
    fence, at = "", 0
    for line, whole in zip(text.splitlines(), text.splitlines(keepends=True), strict=True):
        mark = _FENCE.match(line)
        if fence:
            closes = mark and mark[1].startswith(fence) and not mark[2].strip()
            lines.append(line)
            fence = "" if closes else fence
        elif mark and not (mark[1][0] == "`" and "`" in mark[2]):
            fence = mark[1]
            lines.append(line.replace(mark[2], _language(mark[2])) if mark[2].strip() else line)
        else:
            inside = [(max(0, a - at), min(len(line), b - at)) for a, b in spans]
            lines.append(
                _marked(line, _safe_line(line), [one for one in inside if one[0] < one[1]])
            )
        at += len(whole)
    if fence:
        lines.append(fence)
    # Last and everywhere, code too: whatever this reading of Markdown missed, no image is fetched.
    return "\n".join(lines).replace("![", "!" + _JOINER + "[")


def is_right_to_left(text: str) -> bool:
    """True when most letters among the first 2,000 characters are written right to left."""
    kinds = [unicodedata.bidirectional(c) for c in text[:2000]]
    rtl = sum(kind in ("R", "AL") for kind in kinds)
    return rtl > sum(kind == "L" for kind in kinds)


def plain_right_to_left(text: str) -> str:
    """Each line of plain text marked as right to left, otherwise unchanged."""
    return "\n".join(
        f"{_RTL_OPEN}{line}{_RTL_CLOSE}" if line.strip() else line for line in text.splitlines()
    )


def markdown_right_to_left(text: str) -> str:
    """Each line of Markdown marked as right to left; code and tables are left alone.

    Lists become plain lines: Streamlit keeps their signs on the left whatever the alignment.
    """
    lines: list[str] = []
    in_code = False
    for line in text.splitlines():
        if _FENCE.match(line):
            in_code = not in_code
        if in_code or _FENCE.match(line) or not line.strip() or "|" in line:
            lines.append(line)
            continue
        line = _NUMBER.sub(r"\1\\\2", _BULLET.sub("• ", line))
        start = _LINE_START.match(line)
        assert start is not None  # noqa: S101 - both of its groups may be empty
        ending = "  " if line.endswith("  ") else ""
        lines.append(f"{start[1]}{_RTL_OPEN}{start[2].rstrip()}{_RTL_CLOSE}{ending}")
    return "\n".join(lines)


def _language(info: str) -> str:
    """The language of a code block; never one that is drawn instead of shown."""
    word = info.strip().split()[0]
    return word if re.fullmatch(r"[\w+#.-]+", word) and word.lower() != "mermaid" else "text"


def _safe_line(line: str) -> str:
    line = _HEADING.sub(r"\1######", line)
    if _SETEXT.match(line):
        return line.replace("=", "\\=", 1) + "  " if "=" in line else "\n" + line
    if not line.strip() or _TABLE_RULE.match(line):
        return line
    # Two spaces keep the line break, which chats mean and Markdown would drop.
    return _between(_INLINE_CODE, line, _safe_prose, str) + "  "


def _safe_prose(text: str) -> str:
    """Prose between pieces of code; addresses in it stay whole, other targets are no links."""
    text = _TARGET.sub(lambda found: found[0] + _JOINER, text)
    return _between(_ADDRESS, text, _literal, lambda address: address.replace("$", "%24"))


def _marked(line: str, shown: str, spans: Spans) -> str:
    """A line made safe, with what was at these places of it before marked.

    Marks are only put in: without them the line is what it was, so nothing in it comes to life.
    """
    places = _places(line, shown) if spans and not _INDENTED.match(line) else None
    if places is None:
        return shown
    begins = _BLOCK.match(line)
    whole = [found.span() for pattern in _WHOLE for found in pattern.finditer(shown)]
    for start, end in reversed(spans):
        start = max(start, begins.end() if begins else 0)
        while start > 0 and line[start - 1] in "\\:":
            start -= 1  # a sign before the mark would keep it from being one
        if start >= end or line[end - 1] == "\\":
            continue
        first, last = (places[start - 1] + 1 if start else 0), places[end - 1] + 1
        piece = shown[first:last]
        if any(first < b and a < last for a, b in whole) or not _stands_alone(piece):
            continue
        shown = f"{shown[:first]}{_MARK}{piece}{_END}{shown[last:]}"
    return shown


def _places(line: str, shown: str) -> list[int] | None:
    """Where each character of a line is after `_safe_line`, which puts some in between."""
    places, at = [], 0
    for sign in line:
        at = shown.find(sign, at) + 1
        if not at:
            return None
        places.append(at - 1)
    return places


def _stands_alone(piece: str) -> bool:
    """Whether brackets open and close within it, and it is of one cell of a table."""
    depth = 0
    for sign in re.sub(r"\\.", "", piece):
        depth += (sign == "[") - (sign == "]")
        if depth < 0 or sign in "|`":
            return False
    return depth == 0


def marks_in(shown: str) -> int:
    """How many marks `safe_markdown` has put into what it returned."""
    return shown.count(_MARK)


def marked_html(text: str, spans: Spans) -> str:
    """Plain text as HTML with the spans marked; every sign of the text is taken literally."""
    parts, at = [], 0
    for start, end in spans:
        parts += [html.escape(text[at:start]), _MARK_HTML, html.escape(text[start:end]), "</mark>"]
        at = end
    return "".join([*parts, html.escape(text[at:])])


def _between(
    pattern: re.Pattern[str], text: str, other: Callable[[str], str], found: Callable[[str], str]
) -> str:
    """The text with `found` applied to the matches of a pattern, and `other` to what is between."""
    parts: list[str] = []
    at = 0
    for match in pattern.finditer(text):
        parts += [other(text[at : match.start()]), found(match[0])]
        at = match.end()
    return "".join([*parts, other(text[at:])])


def _literal(text: str) -> str:
    text = text.replace("![", "!" + _JOINER + r"\[")
    # An even run of backslashes before the sign escapes itself only, so one more is needed.
    text = _DOLLAR.sub(lambda m: m[1] + ("" if len(m[1]) % 2 else "\\") + "$", text)
    text = _ARROW.sub(_break_up, text)
    return _DIRECTIVE.sub(lambda m: m[1] + ("" if len(m[1]) % 2 else "\\") + ":" + _JOINER, text)


def _break_up(found: re.Match[str]) -> str:
    return found[0][0] + _JOINER + found[0][1:]
