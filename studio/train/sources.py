"""Where the labels of a training come from: ranked chains, a file, or people's reviews."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from deita_core.errors import DeitaError
from deita_core.jobs.kinds.train import LabelsFrom
from deita_core.jobs.label_sources import (
    LabelSource,
    labels_of_chains,
    labels_of_file,
    labels_of_reviews,
)
from deita_core.project.evolutions import Evolution, evolutions, evolutions_version
from deita_core.project.ledger import decisions_version
from deita_core.project.queues import queues, queues_version
from deita_core.scoring.protocol import Dimension
from deita_core.training.label_file import SCALE
from studio.pool.loader import one_file
from studio.shell import state
from studio.shell.resources import Opened
from studio.shell.text import escape, plural

_LABELS: dict[LabelsFrom, str] = {
    "chains": "Ranked chains",
    "reviews": "Reviews",
    "file": "A file",
}
_ALL_QUEUES = 0


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """The labels that are chosen, as a training takes them.

    run, file, queue: the one of them that `labels` asks for. found: what is there; None while
    something is still to be chosen, or there is nothing to choose from, or for an `error`.
    """

    labels: LabelsFrom
    run: str | None = None
    file: Path | None = None
    queue: int | None = None
    scale: tuple[float, float] = SCALE
    found: LabelSource | None = None
    error: str = ""


def label_choice(opened: Opened, dimension: Dimension) -> LabelChoice:
    """Draw the choice of labels for a scorer of this dimension, and read them."""
    labels = state.bound_choice("Labels from", _LABELS, key=state.TRAIN_LABELS)
    try:
        if labels == "chains":
            return _chains(opened, dimension)
        return _reviews(opened, dimension) if labels == "reviews" else _file(dimension)
    except DeitaError as error:
        return LabelChoice(labels, error=str(error))


def open_training(run: Evolution) -> None:
    """Go to the page with the chains of this run chosen; for callbacks."""
    st.session_state[state.TRAIN_VIEW] = "new"
    st.session_state[state.TRAIN_DIMENSION] = run.kind
    st.session_state[state.TRAIN_LABELS] = "chains"
    st.session_state[state.TRAIN_RUN] = str(run.evolution)
    st.session_state[state.WANTED_PAGE] = "train"


def _go_to(page: str) -> None:
    st.session_state[state.WANTED_PAGE] = page


def _missing(said: str, page: str, icon: str) -> None:
    """What these labels need, and the page where it is made."""
    st.info(said, icon=f":material/{icon}:")
    st.button(
        f"Go to {page.capitalize()}",
        key=f"train_to_{page}",
        icon=f":material/{icon}:",
        on_click=_go_to,
        args=(page,),
    )


# ranked chains


def _chains(opened: Opened, dimension: Dimension) -> LabelChoice:
    choice = LabelChoice("chains")
    known = evolutions(opened.project)
    runs = {str(one.evolution): one for one in known if one.kind == dimension and one.ranked}
    if not runs:
        others = sum(one.kind != dimension and one.ranked > 0 for one in known)
        there = f" There is {plural(others, 'run', 'runs')} of the other one." if others else ""
        _missing(
            f"No chains were ranked by {dimension} yet. On the page Evolve a chat model makes "
            "seeds of your pool harder or better step by step, and ranks the variants. Without a "
            f"chat model, train on reviews or on a file: both work offline.{there}",
            "evolve",
            "network_node",
        )
        return choice
    labels = {key: f"{one.name} · {one.ranked:,} chains ranked" for key, one in runs.items()}
    key = state.bound_choice("Run", labels, key=state.TRAIN_RUN, kind="list")
    run = runs[key]
    if run.done < run.chains:
        left = run.chains - run.done
        st.caption(f"{plural(left, 'chain is', 'chains are')} not done: they are left out.")
    return replace(choice, run=run.name, found=_of_chains(opened, run.name, dimension))


def _as_labelled(opened: Opened) -> tuple[str, int, int, int, int]:
    project = opened.project
    versions = evolutions_version(project), queues_version(project), decisions_version(project)
    return opened.key, project.data_version(), *versions


@st.cache_resource(
    show_spinner="Reading the labels", max_entries=4, hash_funcs={Opened: _as_labelled}
)
def _of_chains(opened: Opened, run: str, dimension: Dimension) -> LabelSource:
    return labels_of_chains(opened.project, run, dimension)


# reviews


def _reviews(opened: Opened, dimension: Dimension) -> LabelChoice:
    asked = {one.queue: one.name for one in queues(opened.project) if dimension in one.asks}
    choice = LabelChoice("reviews")
    whole = _of_reviews(opened, dimension, None)
    if not whole.labels.turns:
        _missing(
            f"Nobody has given {dimension} scores to conversations of one turn yet. Make a queue "
            f"that asks for {dimension}: what people give there, 1 to 6, is what is learnt.",
            "review",
            "rate_review",
        )
        return choice
    if len(asked) < 2:
        return replace(choice, found=whole)
    names = {_ALL_QUEUES: "All reviews", **asked}
    queue = st.selectbox("Given in", list(names), format_func=names.__getitem__, key="train_queue")
    if not queue:
        return replace(choice, found=whole)
    return replace(choice, queue=queue, found=_of_reviews(opened, dimension, queue))


@st.cache_resource(
    show_spinner="Reading the reviews", max_entries=4, hash_funcs={Opened: _as_labelled}
)
def _of_reviews(opened: Opened, dimension: Dimension, queue: int | None) -> LabelSource:
    return labels_of_reviews(opened.project, dimension, queue)


# a file


def _file(dimension: Dimension) -> LabelChoice:
    response = "" if dimension == "complexity" else ", response"
    st.caption(
        f"CSV or JSON Lines, one turn a row: instruction{response}, score (or {dimension}); a "
        "group, where several rows are variants of one seed. The review page, and `deita decisions "
        "--labelled`, write such a file."
    )
    file = one_file("File with labels", key="train_labels")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        low, high = (
            st.number_input(label, value=value, step=1.0, key=f"train_{label}", width=150)
            for label, value in zip(("Lowest score", "Highest score"), SCALE, strict=True)
        )
    st.caption(f"In the file, {low:g} to {high:g}; the scorer gives 1 to 6.")
    choice = LabelChoice("file", file=file, scale=(low, high))
    if file is None:
        return choice
    try:
        facts = file.stat()
        stamp = facts.st_mtime_ns, facts.st_size
        return replace(choice, found=_of_file(file, stamp, dimension, choice.scale))
    except OSError as error:
        return replace(choice, error=f"{file.name} cannot be read: {error.strerror}")
    except DeitaError as error:
        return replace(choice, error=str(error))


@st.cache_resource(show_spinner="Reading the labels", max_entries=4)
def _of_file(
    file: Path, stamp: tuple[int, int], dimension: Dimension, scale: tuple[float, float]
) -> LabelSource:
    """stamp: when it was changed, and its size."""
    return labels_of_file(file, dimension, scale)


def sentence_of(source: LabelSource) -> str:
    """What was found, escaped: "From reviews: 240 labelled turns of 240 groups"."""
    return f"From {escape(source.said)}: {escape(source.labels.sentence())}."
