"""The memory of a pool table: results kept by key, the oldest give way."""

from deita_core.selection.pool_table import Memo


def test_a_value_is_made_once_and_none_is_a_value_too() -> None:
    made: list[str] = []
    memo = Memo()
    for _ in range(3):
        assert memo.get("x", lambda: made.append("x")) is None
    assert made == ["x"]


def test_the_value_asked_for_longest_ago_gives_way() -> None:
    memo = Memo(most=2)
    for key in ("a", "b", "a", "c"):
        memo.get(key, lambda key=key: key.upper())
    assert memo.get("a", lambda: "made anew") == "A"
    assert memo.get("b", lambda: "made anew") == "made anew"
