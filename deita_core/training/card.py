"""The model card of a trained scorer: what it learnt from, how good it is, where it is not."""

from __future__ import annotations

import re
from collections.abc import Mapping

from deita_core.files import one_line
from deita_core.scoring.trained import TrainedScorer
from deita_core.training.report import Figure, TrainingReport

CARD = "MODEL_CARD.md"
_NONE = "–"


def card_text(scorer: TrainedScorer, report: TrainingReport, facts: Mapping[str, str]) -> str:
    """The card in Markdown, the same for the same training but for its date.

    facts: more that is to be said of how it was trained, by what it is called.
    """
    told = {
        "dimension": scorer.dimension,
        "method": scorer.method,
        "labels": scorer.source,
        "learnt from": f"{report.learnt:,} turns of {report.groups_learnt:,} groups",
        "held out": f"{report.held_out:,} turns of {report.groups_held_out:,} groups (whole groups "
        f"by a hash with seed {scorer.seed}), of which {report.unscored:,} got no score",
        **facts,
        "SHA-256 of the labels": scorer.labels_sha256,
        "trained": scorer.made.strftime("%Y-%m-%d %H:%M UTC"),
    }
    lines = [f"# {_plain(scorer.name)}", "", f"**{report.verdict}**", ""]
    lines += ["| | |", "| --- | --- |"]
    lines += [f"| {name} | {_plain(said)} |" for name, said in told.items()]
    lines += ["", "## On turns it never saw", "", *_table(report.figures), ""]
    within = (
        "of one group" if report.pairs_within == "group" else "of all (no group has two labels)"
    )
    lines += [f"Pairs are any two turns {within} whose labels differ.", ""]
    lines += [f"- {one.name}: {one.sentence}." for one in report.figures]
    lines += _calibration(report)
    for title, parts in (("length", report.lengths), ("cluster", report.clusters)):
        if parts:
            lines += ["", f"## Spearman by {title}", "", *_table(parts)]
    return "\n".join([*lines, "", _LIMITS, ""])


_LIMITS = """## Limits

It repeats what its labels say, on texts like theirs. On other languages, lengths and subjects
nothing was measured. The licence of the labels may bind what is made with it.

The shipped light scorer learnt from public sets (Alpaca, FLASK, UltraFeedback and others): on turns
of theirs its figures flatter it."""


def _table(figures: tuple[Figure, ...]) -> list[str]:
    rows = [
        "| | n | this scorer | length alone | shipped light scorer |",
        "| --- |" + " ---: |" * 4,
    ]
    for one in figures:
        numbers = " | ".join(_number(value) for value in (one.scorer, one.length, one.shipped))
        rows.append(f"| {_plain(one.name)} | {one.n:,} | {numbers} |")
    return rows


def _calibration(report: TrainingReport) -> list[str]:
    if not report.calibration:
        return []
    rows = [
        "",
        "## Calibration",
        "",
        "| turns | mean score | mean label |",
        "| ---: | ---: | ---: |",
    ]
    return rows + [f"| {p.n:,} | {p.score:.2f} | {p.label:.2f} |" for p in report.calibration]


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"


def _plain(text: str) -> str:
    """A text of a user's that stays text in a cell of a Markdown table."""
    return re.sub(r"([\\|<>`*_\[\]])", r"\\\1", one_line(text))
