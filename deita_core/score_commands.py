"""The commands that take scores from elsewhere and write them out; `cli` only parses."""

from __future__ import annotations

import argparse

from deita_core.commands import do, opened
from deita_core.project.columns import numeric_columns
from deita_core.steps import export_scores_step, import_scores_step


def import_scores(options: argparse.Namespace) -> None:
    """Take scores from a file or from columns of the pool, or list such columns."""
    if options.list:
        _list_columns(options)
        return
    step = import_scores_step(options.complexity, options.quality, file=options.file)
    with opened(options.project, options.wait) as project:
        print(do(project, [step], quiet=options.quiet)[0].message)


def _list_columns(options: argparse.Namespace) -> None:
    with opened(options.project, options.wait) as project:
        found = numeric_columns(project)
    for column in found:
        span = "" if column.lowest is None else f", {column.lowest:g} to {column.highest:g}"
        print(
            f"{column.name}: {column.numbers:,} numbers{span}; {column.lists:,} lists; "
            f"{column.others:,} others"
        )
    if not found:
        print("no record of the pool holds a number")


def export_scores(options: argparse.Namespace) -> None:
    """Write the active scores to a file."""
    step = export_scores_step(options.out, options.format)
    with opened(options.project, options.wait) as project:
        print(f"{options.out}: {do(project, [step], quiet=options.quiet)[0].message}")
