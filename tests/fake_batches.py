"""OpenAI's batch interface as the fake endpoint has it: files, batches, answers after a while."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class FakeBatches:
    """polls: how often a batch is asked for before it is done. loses: the answer to the next batch
    request is a broken one, though the batch is made. expires: only the first half of the next
    batch is answered. batches: their requests by id; answered: how often each was, by its id."""

    polls: int = 1
    loses: bool = False
    expires: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)

    def posted(
        self, path: str, content: bytes, headers: Mapping[str, str], answer: Callable[..., Any]
    ) -> tuple[int, bytes]:
        """Status and body of a POST to /files or /batches."""
        if path.endswith("/files"):
            number = f"file-{len(self.files)}"
            self.files[number] = _file_in(content, headers["Content-Type"])
            return 200, json.dumps({"id": number}).encode()
        given = json.loads(content)
        lines = [json.loads(line) for line in self.files[given["input_file_id"]].splitlines()]
        number = f"batch-{len(self.batches)}"
        batch = {"id": number, "status": "in_progress", "metadata": given["metadata"]}
        self.batches[number] = {**batch, "asked": 0, "lines": lines, "answer": answer}
        self.batches[number]["half"], self.expires = self.expires, False
        if self.loses:
            self.loses = False
            return 500, b"lost"
        return 200, json.dumps(batch).encode()

    def got(self, path: str) -> tuple[int, bytes]:
        """Status and body of a GET of a batch, of all, or of a file's content."""
        if path.endswith("/content"):
            return 200, self.files[path.split("/")[-2]]
        if "?" in path:
            return 200, json.dumps({"data": [_shown(b) for b in self.batches.values()]}).encode()
        batch = self.batches[path.rsplit("/", 1)[1]]
        batch["asked"] += 1
        if batch["asked"] > self.polls and batch["status"] == "in_progress":
            self._finish(batch)
        return 200, json.dumps(_shown(batch)).encode()

    def _finish(self, batch: dict[str, Any]) -> None:
        lines = batch["lines"][: len(batch["lines"]) // 2] if batch["half"] else batch["lines"]
        good, bad = [], []
        for line in lines:
            given = batch["answer"](line["body"], 0)
            fine = isinstance(given, dict)
            body = given if fine else {"error": {"message": given.body.decode()}}
            response = {"status_code": 200 if fine else given.status, "body": body}
            (good if fine else bad).append({"custom_id": line["custom_id"], "response": response})
            self.answered[line["custom_id"]] = self.answered.get(line["custom_id"], 0) + 1
        batch["status"] = "expired" if batch["half"] else "completed"
        for name, found in (("output_file_id", good), ("error_file_id", bad)):
            if found:
                batch[name] = f"{name}-{batch['id']}"
                self.files[batch[name]] = b"\n".join(json.dumps(x).encode() for x in found)


def _shown(batch: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in batch.items() if k not in ("asked", "lines", "answer", "half")}


def _file_in(content: bytes, kind: str) -> bytes:
    """The file out of a form."""
    mark = b"--" + re.findall(r'boundary="?([^";]+)', kind)[0].encode()
    part = next(p for p in content.split(mark) if b"filename=" in p)
    return part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
