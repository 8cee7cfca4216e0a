"""Conditions and quotas of a rule as the texts that stand in their fields and in the URL.

The texts are those of `Condition.describe` and `Quota.describe`, so what is shown can be typed.
"""

from __future__ import annotations

import re

from deita_core.errors import SelectionError
from deita_core.selection.rule_parts import CONDITION_COLUMNS, EACH, Condition, Quota

_NUMBER = r"(-?[\d,]*\.?\d+)"
_CONDITION = re.compile(
    rf"\s*([a-z_ ]+?)\s+(?:at least {_NUMBER}|at most {_NUMBER}|{_NUMBER} to {_NUMBER})\s*"
)
_QUOTA = re.compile(
    rf"\s*(each )?(source|file|language|cluster|flag)(?: (.+?))?: at most {_NUMBER}\s*(%?)\s*"
)


def parse_condition(text: str) -> Condition:
    """The inverse of `Condition.describe`; raises SelectionError that shows how to write one."""
    found = _CONDITION.fullmatch(text)
    column = found[1].replace(" ", "_") if found else ""
    if found is None or column not in CONDITION_COLUMNS:
        names = ", ".join(name.replace("_", " ") for name in CONDITION_COLUMNS)
        raise SelectionError(
            f"{text!r} is no filter: write, for example, tokens 50 to 2000, or quality at least 3; "
            f"there are {names}"
        )
    least, most, low, high = (None if found[i] is None else _value(found[i]) for i in range(2, 6))
    return Condition(column, least if low is None else low, most if high is None else high)


def parse_quota(text: str) -> Quota:
    """The inverse of `Quota.describe`; raises SelectionError that shows how to write one."""
    found = _QUOTA.fullmatch(text)
    if found is None or bool(found[1]) == bool(found[3]):
        raise SelectionError(
            f"{text!r} is no quota: write, for example, each language: at most 20 %, or "
            "source chats.json: at most 500; there are source, language, cluster and flag"
        )
    column = "source" if found[2] == "file" else found[2]
    value = _value(found[4])
    name = EACH if found[1] else found[3]
    if found[5]:
        return Quota(column, name, share=value / 100)
    return Quota(column, name, most=int(value))


def _value(text: str) -> float:
    return float(text.replace(",", ""))
