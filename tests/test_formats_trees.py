"""Message trees: a row is a whole tree, read along its best-ranked path."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from deita_core.formats.read import PoolRow, Reject, detect, read

NESTED = {
    "text": "Q", "role": "prompter", "replies": [
        {"text": "worse", "role": "assistant", "rank": 1, "replies": []},
        {"text": "best", "role": "assistant", "rank": 0, "replies": [
            {"text": "unanswered", "role": "prompter", "rank": None, "replies": []},
            {"text": "more?", "role": "prompter", "rank": None, "replies": [
                {"text": "unranked", "role": "assistant", "rank": None, "replies": []},
                {"text": "deleted", "role": "assistant", "rank": 0, "deleted": True, "replies": []},
                {"text": "more.", "role": "assistant", "rank": 3, "replies": [
                    {"text": "and?", "role": "prompter", "rank": 0, "replies": []}]}]}]}],
}  # fmt: skip
PATH = ["Q", "best", "more?", "more."]


def flat(tree: dict[str, Any], name: str, parent: str | None = None) -> list[dict[str, Any]]:
    ids = itertools.count()

    def walk(node: dict[str, Any], parent: str | None) -> list[dict[str, Any]]:
        own = f"{name}{next(ids)}"
        rest = {key: value for key, value in node.items() if key != "replies"}
        message = {"message_id": own, "parent_id": parent, "message_tree_id": name, **rest}
        return [message, *(m for reply in node["replies"] for m in walk(reply, own))]

    return walk(tree, parent)


def rows(folder: Path, records: list[Any]) -> list[PoolRow | Reject]:
    path = folder / "trees.jsonl"
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records))
    found = list(read(path))
    assert [row.position for row in found] == list(range(len(found)))
    return found


def texts(row: PoolRow | Reject) -> list[str]:
    assert isinstance(row, PoolRow), row
    return [message.content for message in row.conversation.messages]


def test_the_best_ranked_path_of_a_nested_tree_is_taken(tmp_path: Path):
    under_prompt = {"message_tree_id": "t", "tree_state": "ready", "prompt": NESTED}
    assert [texts(row) for row in rows(tmp_path, [NESTED, NESTED])] == [PATH, PATH]
    assert [texts(row) for row in rows(tmp_path, [under_prompt])] == [PATH]


def test_a_flat_tree_reads_as_the_nested_one(tmp_path: Path):
    (row,) = rows(tmp_path, flat(NESTED, "t"))
    assert texts(row) == PATH
    assert row.notes == ("a last question without an answer was left out",)


@pytest.mark.parametrize("tree_id", ["message_tree_id", "without"])
def test_messages_of_a_tree_need_not_stand_together(tmp_path: Path, tree_id: str):
    a, b = flat(NESTED, "a"), flat({**NESTED, "text": "other"}, "b")
    mixed = [m for pair in zip(reversed(a), b, strict=True) for m in pair]
    records = [{tree_id if k == "message_tree_id" else k: v for k, v in m.items()} for m in mixed]
    first, second = rows(tmp_path, records)
    # Reversed messages: the order in the file decides among equals, and ranks do not change.
    assert (texts(first), texts(second)) == (PATH, ["other", *PATH[1:]])
    assert len(json.loads(first.raw)) == len(a)
    assert (first.line, second.line) == (1, 2)


def test_a_root_alone_is_a_question_without_response(tmp_path: Path):
    (row,) = rows(tmp_path, [{**flat(NESTED, "t")[0]}])
    assert row.conversation.turns[0].response is None


def test_a_tree_without_its_root_is_rejected_with_all_its_messages(tmp_path: Path):
    orphans = flat(NESTED, "a")[1:]
    bad, good = rows(tmp_path, orphans + flat(NESTED, "b"))
    assert isinstance(bad, Reject)
    assert "orphans" in bad.reason
    assert json.loads(bad.raw) == orphans
    assert texts(good) == PATH


def test_a_deleted_tree_is_rejected(tmp_path: Path):
    (bad,) = rows(tmp_path, flat({**NESTED, "deleted": True}, "a"))
    assert isinstance(bad, Reject)
    assert "deleted" in bad.reason


def test_orphans_beside_a_root_are_left_out_with_a_note(tmp_path: Path):
    tree = flat(NESTED, "a")
    lost = {**tree[1], "message_id": "x", "parent_id": "gone", "rank": -1}
    (row,) = rows(tmp_path, [*tree, lost])
    assert texts(row) == PATH
    assert "1 messages whose parent is missing were left out" in row.notes


def test_messages_in_a_circle_are_rejected(tmp_path: Path):
    message = {"text": "x", "role": "prompter"}
    circle = [{"id": "1", "parent": "2", **message}, {"id": "2", "parent": "1", **message}]
    root = {"id": "3", "parent": None, **message}
    found = rows(tmp_path, [*circle, root])
    assert [isinstance(row, Reject) for row in found] == [True, True, False]


def test_damage_between_messages_keeps_its_place(tmp_path: Path):
    records = [*flat(NESTED, "a"), '{"message_id": "broken', *flat(NESTED, "b"), {"text": "no id"}]
    found = rows(tmp_path, records)
    assert [isinstance(row, Reject) for row in found] == [False, True, False, True]
    assert found[1].line == len(flat(NESTED, "a")) + 1


def test_a_start_counts_trees(tmp_path: Path):
    found = rows(tmp_path, flat(NESTED, "a") + flat(NESTED, "b"))
    assert list(read(tmp_path / "trees.jsonl", start=1)) == found[1:]
    assert detect(tmp_path / "trees.jsonl").mapping.layout == "flat_tree"
