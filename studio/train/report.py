"""The report of a trained scorer as pictures: beside length alone and the shipped light scorer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from deita_core.errors import DeitaError
from deita_core.jobs.trained import TrainedFolder
from deita_core.training.llm_plan import FOLDER, PLAN, command, read_plan
from deita_core.training.llm_run import CurvePoint, read_record
from deita_core.training.report import Figure, TrainingReport
from studio.charts.charts import Dots, dots_figure, show
from studio.charts.colours import CATEGORIES, OTHER, PLAIN
from studio.charts.small_charts import Line, Panel, small_charts
from studio.shell import state
from studio.shell.resources import errors_shown
from studio.shell.text import escape, plural, safe_markdown
from studio.train.running import loss_chart

_HEIGHT = 320
_MOST_PARTS = 12
_TOO_FEW = "There are too few held-out turns to part them."
_TITLES = {
    "Spearman": "Spearman",
    "mean error": "Mean error",
    "pairs": "Pairs right",
    "pairs, better one shorter": "Better one shorter",
}
_SHIPPED = CATEGORIES[1]


def verdict(report: TrainingReport) -> None:
    """Whether it beats length alone: in red where it does not."""
    said = escape(report.verdict)
    if report.beats_length:
        st.success(said, icon=":material/check_circle:")
    elif report.advantage is None:
        st.warning(said, icon=":material/help:")
    else:
        st.error(
            f"**{said}** The number of characters orders the held-out turns as well.",
            icon=":material/error:",
        )


# Said beside each figure of the shipped scorer.
_KNOWN = (
    "The shipped light scorer learnt from public sets (Alpaca, FLASK, UltraFeedback and others): "
    "on turns of theirs its figure flatters it."
)


def report_view(scorer: TrainedFolder, report: TrainingReport) -> None:
    """The four figures, the calibration curve, and one of the further views."""
    for place, one in zip(st.columns(4), report.figures, strict=True):
        with place:
            _figure(one, falling=one is report.mean_error)
    left, right = st.columns([2, 3], gap="medium")
    with left:
        _calibration(report)
    with right:
        views = _views(scorer, report)
        labels = {key: label for key, (label, _) in views.items()}
        view = state.bound_choice("Show", labels, key=state.REPORT_VIEW, show_label=False)
        with st.container(height=_HEIGHT + 20, border=False, autoscroll=False), errors_shown():
            views[view][1]()


def _views(
    scorer: TrainedFolder, report: TrainingReport
) -> dict[str, tuple[str, Callable[[], None]]]:
    found: dict[str, tuple[str, Callable[[], None]]] = {
        "length": ("By length", lambda: _parts(report.lengths, "length")),
        "cluster": ("By cluster", lambda: _parts(report.clusters, "cluster")),
    }
    if scorer.facts is not None and scorer.facts.method != "light":
        found["loss"] = ("Loss", lambda: _loss(scorer))
        found["elsewhere"] = ("Command", lambda: _elsewhere(scorer))
    found["card"] = ("Model card", lambda: _card(scorer))
    return found


# the four figures


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _figure(one: Figure, *, falling: bool) -> None:
    """A figure with its distance from length alone. falling: the less, the better."""
    delta, level = None, False
    if one.scorer is not None and one.length is not None:
        ahead = round(one.scorer - one.length, 2) + 0.0  # no minus before nothing
        delta, level = f"{ahead:+.2f} to length alone", not ahead
    st.metric(
        _TITLES.get(one.name, escape(one.name)),
        _number(one.scorer),
        delta,
        delta_color="off" if level else "inverse" if falling else "normal",
        delta_arrow="off" if level else "auto",
        border=True,
        help=escape(f"{one.sentence[:1].upper()}{one.sentence[1:]}. {_KNOWN}"),
    )
    unit = ("pair", "pairs") if "pair" in one.name else ("turn", "turns")
    beside = f"length {_number(one.length)} · shipped light {_number(one.shipped)}"
    st.caption(f"{beside}  \n{plural(one.n, *unit)}")


# pictures


def _calibration(report: TrainingReport) -> None:
    points = report.calibration
    if len(points) < 2:
        st.markdown("**Calibration**")
        st.caption("Takes at least ten held-out turns with a score.")
        return
    ends = np.array([1.0, 6.0])
    scores, labels = (np.array([getattr(p, of) for p in points]) for of in ("score", "label"))
    panel = Panel(
        "Calibration",
        f"Mean label of turns of about one score, from {labels[0]:.2f} to {labels[-1]:.2f}",
        "mean label (up) of turns of about one score (across); dashed: both alike",
        lines=(
            Line("label = score", ends, ends, OTHER, dashed=True),
            Line("mean label", scores, labels),
        ),
        extent=(1.0, 6.0),
        from_zero=False,
        height=_HEIGHT - 20,
    )
    small_charts([panel], key="train_calibration")


def _parts(parts: Sequence[Figure], kind: str) -> None:
    """Spearman within each part, as dots."""
    told = [one for one in parts if one.scorer is not None]
    if not told:
        none = "The labels say no cluster." if kind == "cluster" and not parts else _TOO_FEW
        st.caption(none)
        return
    shown = told[:_MOST_PARTS]
    series = [
        Dots("length", _values(one.length for one in shown), OTHER),
        Dots("shipped light", _values(one.shipped for one in shown), _SHIPPED, hollow=True),
        Dots("this scorer", _values(one.scorer for one in shown), PLAIN),
    ]
    names = [f"{one.name} · {one.n:,}" for one in shown]
    show(
        dots_figure(names, series, title="Spearman"),
        key=f"train_by_{kind}",
        alt=f"Spearman within each {kind}: this scorer, length alone, the shipped light scorer",
    )
    if few := len(parts) - len(told):
        st.caption(f"{plural(few, 'part has', 'parts have')} too few turns for a figure.")
    if len(told) > len(shown):
        st.caption(f"The {len(shown)} largest of {len(told)}.")


def _values(found: object) -> np.ndarray:
    return np.array([np.nan if one is None else one for one in found], np.float64)  # type: ignore[attr-defined]


# a language model's training


def _loss(scorer: TrainedFolder) -> None:
    record = read_record(scorer.folder)
    lines = [
        Line(name, *points.T, shade, dashed=name != "learnt from")
        for name, points, shade in (
            ("learnt from", _losses(record.curve, "loss"), PLAIN),
            ("held out", _losses(record.curve, "held_out"), OTHER),
        )
        if len(points)
    ]
    if not lines:
        st.caption("No loss was kept.")
        return
    loss_chart(*lines, key="train_loss", height=_HEIGHT - 90)
    st.caption(
        f"Held out is dashed. {plural(record.steps, 'step', 'steps')}, "
        f"{record.rows_per_second:,.1f} rows a second; {plural(record.cut)} cut to the limit of "
        "tokens."
    )


def _losses(curve: Sequence[CurvePoint], of: str) -> np.ndarray:
    """(k, 2) step and loss."""
    found = [(p.step, getattr(p, of)) for p in curve if getattr(p, of) is not None]
    return np.array(found, np.float64).reshape(-1, 2)


def _elsewhere(scorer: TrainedFolder) -> None:
    """How the same training is run on other GPUs."""
    path: Path = scorer.folder / FOLDER / PLAN
    plan = read_plan(path)
    st.caption(
        "The same training, on all GPUs of a machine with more of them: copy the folder of the "
        "scorer there and give this command with its path."
    )
    st.code(command(path, plan.recipe, 8), language="bash", wrap_lines=True)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DeitaError(f"{path} cannot be read: {error}") from error
    st.code(text, language="yaml")


def _card(scorer: TrainedFolder) -> None:
    text = scorer.card
    st.download_button(
        "Download",
        text,
        file_name=f"{scorer.name}-MODEL_CARD.md",
        mime="text/markdown",
        icon=":material/download:",
        key="train_card_download",
        on_click="ignore",
    )
    st.markdown(safe_markdown(text))
