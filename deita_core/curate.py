"""From an open project to a selection and back into it: the glue the CLI and the app share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.project import Project
from deita_core.project.arrays import PoolArrays, load_arrays
from deita_core.project.selections import save_selection
from deita_core.project.vectors import active_embedder, load_vectors
from deita_core.selection.outcome import Outcome, select
from deita_core.selection.rule import SelectionRule
from deita_core.selection.strategies import find_strategy
from deita_core.selection.table import SelectionInput


def selection_input(project: Project, arrays: PoolArrays | None = None) -> SelectionInput:
    """The pool as `select` takes it, with the vectors of the active embedder.

    Raises SelectionError when the pool is empty, not scored or not embedded, saying what to do.
    """
    arrays = arrays if arrays is not None else load_arrays(project)
    if not len(arrays):
        raise SelectionError("the pool is empty: import a file first")
    if np.isnan(arrays.turn_complexity).all():
        raise SelectionError("no conversation has a score: score the pool first")
    embedder = active_embedder(project)
    if embedder is None:
        raise SelectionError("no conversation has an embedding: embed the pool first")
    rows, vectors = load_vectors(project, embedder)
    return SelectionInput.of_pool(arrays, vectors, rows)


def check_rule_names(rule: SelectionRule, arrays: PoolArrays) -> None:
    """Raises SelectionError for a language, source or flag that no row of the pool has."""
    find_strategy(rule.strategy)
    known = {
        "language": (rule.languages, arrays.language_names),
        "source": (rule.sources, arrays.source_names),
        "flag": (rule.excluded_flags, arrays.flag_names),
    }
    for what, (wanted, names) in known.items():
        for name in wanted:
            if name not in names:
                raise SelectionError(
                    f"no row of this pool has the {what} {name!r}; it has {', '.join(names)}"
                )


def select_and_save(
    project: Project,
    rule: SelectionRule,
    name: str,
    *,
    notes: str = "",
    author: str = "",
    replace: bool = False,
) -> Outcome:
    """Apply a rule to the project's pool and keep the result under a name."""
    arrays = load_arrays(project)
    check_rule_names(rule, arrays)
    outcome = select(rule, selection_input(project, arrays))
    save_outcome(project, outcome, name, notes=notes, author=author, replace=replace)
    return outcome


def save_outcome(
    project: Project,
    outcome: Outcome,
    name: str,
    *,
    notes: str = "",
    author: str = "",
    replace: bool = False,
) -> int:
    """Keep an outcome under a name; returns the selection's number."""
    kept: NDArray[np.int64] = outcome.kept
    return save_selection(
        project,
        name,
        outcome.rule.to_json(),
        outcome.sentence(),
        kept,
        outcome.scores[kept],
        notes=notes,
        author=author,
        replace=replace,
    )
