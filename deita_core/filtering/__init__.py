"""Filters over any column of a pool, search in its texts, closeness to texts or rows.

    Filter + PoolColumns -> matching_rows (which rows pass)

Everything here gives a mask or a column over the pool in row order. What docs/python.md shows;
everything else is imported from its file.
"""

from deita_core.filtering.columns import PoolColumns
from deita_core.filtering.filter import Filter, parse_filter
from deita_core.filtering.matching import matching_rows
from deita_core.filtering.settling import settled

__all__ = ["Filter", "PoolColumns", "matching_rows", "parse_filter", "settled"]
