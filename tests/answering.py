"""Answers of a chat model that read like some: evolved texts, ranks, tags and trees, by request."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tests.fake_endpoint import said


def plausible(body: dict[str, Any], number: int = 0) -> dict[str, Any]:
    """What a model would say to a chat completion; the same to the same request."""
    asked = body["messages"][-1]["content"]
    seed = int(hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:8], 16)
    form = body.get("response_format", {}).get("json_schema", {}).get("schema")
    text = f"Here is an answer of its own, number {seed}." if form is None else None
    if form is not None:
        text = json.dumps(_fields(form["properties"], asked, seed))
    return said(text, tokens=(len(asked) // 4, len(text or "") // 4))


def _fields(properties: dict[str, Any], asked: str, seed: int) -> dict[str, Any]:
    if set(properties) <= {"instruction", "response"}:
        name = next(iter(properties))
        return {name: f"Consider case {seed % 9973} of it, with {seed % 7 + 2} limits in mind."}
    if "tags" in properties:
        return {"tags": ["a text", f"topic {seed % 5}"][: 1 + seed % 2]}
    if "nodes" in properties:
        nodes = [{"text": f"node {n}", "above": n - 1} for n in range(1 + seed % 4)]
        return {"nodes": nodes}
    if "score" in properties:
        return {"score": 1 + seed % 6}
    return {letter: place for place, letter in enumerate(properties, start=1)}
