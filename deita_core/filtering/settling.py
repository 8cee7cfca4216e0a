"""What a rule asks of a project beyond the columns of its pool: a filter, closeness to examples.

A filter may look at tags, decisions, clusters or saved selections, all of which change. So it is
applied once, and the rule carries the rows that passed: whoever applies the rule later, or replays
an export, gets the same rows.
"""

from __future__ import annotations

from dataclasses import replace

from deita_core.filtering.columns import PoolColumns
from deita_core.filtering.filter import Filter, Near, parse_filter
from deita_core.filtering.matching import matching_rows
from deita_core.filtering.nearness import closeness
from deita_core.selection.filters import packed_rows
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule
from deita_core.selection.strategies import find_strategy


def filter_of(rule: SelectionRule) -> Filter:
    """The rule's filter; FilterError for a part that cannot be read."""
    return parse_filter(rule.filter).strict()


def settled(rule: SelectionRule, columns: PoolColumns) -> SelectionRule:
    """The rule with the rows that pass its filter as of now.

    A rule without a filter, and one that has its rows already, are themselves. Raises FilterError
    for a filter that cannot be read or applied to this pool.
    """
    if not rule.filter or rule.passing:
        return rule
    return replace(rule, passing=packed_rows(matching_rows(filter_of(rule), columns)))


def needs_more(rule: SelectionRule) -> bool:
    """Does the rule ask for something that `for_rule` puts into the table?"""
    return rule.closeness is not None or find_strategy(rule.strategy).needs_tags


def for_rule(table: PoolTable, rule: SelectionRule, columns: PoolColumns) -> PoolTable:
    """The table with what the rule asks of the project: the closeness to its examples, if it has
    some, and the tags of the rows as of now, if its strategy looks at them.

    The pool's embedder reads the examples. Raises FilterError or ModelError where it cannot.
    """
    strategy = find_strategy(rule.strategy)
    if strategy.needs_tags and table.tags is None:
        tags = columns[strategy.tags_from]
        table = replace(table, tags=tags.values, tag_names=tags.names)
    if rule.closeness is None or table.closeness_to == rule.closeness.examples:
        return table
    examples = rule.closeness.examples
    found = closeness(Near(texts=examples), columns)
    return replace(table, closeness=found, closeness_to=examples)
