"""The scorers that were trained in this project: their report, and what is done with them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import streamlit as st

from deita_core.jobs.chains import score_chain
from deita_core.jobs.trained import TrainedFolder, delete_trained, trained_scorers
from deita_core.models.language_model import revision_of
from deita_core.people import may
from deita_core.project.browse import ProjectInfo
from deita_core.project.models import activate_model, count_undone
from deita_core.project.scores import ScorerRecord
from deita_core.scoring.trained import TrainedScorer
from studio.score.scorer_table import known_scorers
from studio.shell import state
from studio.shell.jobs_panel import active_job
from studio.shell.person import told
from studio.shell.resources import Opened, errors_shown, say
from studio.shell.text import escape, plural
from studio.train.report import report_view, verdict
from studio.train.running import in_training

_METHODS = {"light": "light", "llm": "language model", "pairwise": "on pairs"}


def scorers_said(opened: Opened) -> str:
    """How many there are, for the side column; "" for none."""
    count = len(trained_scorers(opened.project))
    return plural(count, "scorer", "scorers") if count else ""


def show_finished(opened: Opened) -> None:
    """Turn to the report of the training that this session began, once it is there."""
    key, name = st.session_state.get(state.IN_TRAINING, ("", ""))
    if key == opened.key and any(one.name == name for one in trained_scorers(opened.project)):
        del st.session_state[state.IN_TRAINING]
        st.session_state[state.TRAIN_VIEW] = "scorers"
        st.session_state[state.TRAINED] = name


def scorers_view(opened: Opened, found: ProjectInfo) -> None:
    """The scorers on the left, the report of the chosen one on the right."""
    known = {one.name: one for one in trained_scorers(opened.project)}
    if not known:
        if in_training(opened):
            st.caption("The report stands here once the training is done.")
        else:
            _nothing_yet()
        return
    left, right = st.columns([1, 4], gap="large")
    with left:
        chosen = state.bound_choice(
            "Scorers",
            {name: escape(name) for name in known},
            key=state.TRAINED,
            kind="radio",
            captions={name: _caption(one) for name, one in known.items()},
            show_label=False,
        )
    with right:
        _one(opened, known[chosen], found)


def _nothing_yet() -> None:
    st.info(
        "No scorer was trained in this project yet. A scorer of your own learns from labels of 1 "
        "to 6: chains that a chat model ranked (page Evolve), scores that people gave (page "
        "Review), or a file. A light one takes 20 labels or more and seconds to minutes on a CPU, "
        "without a network.",
        icon=":material/model_training:",
    )
    st.button(
        "Train a scorer",
        type="primary",
        icon=":material/add:",
        key="train_first",
        on_click=st.session_state.update,
        args=({state.TRAIN_VIEW: "new"},),
    )


def _caption(scorer: TrainedFolder) -> str:
    facts, report = scorer.facts, scorer.report
    if facts is None or report is None:
        return ":red[damaged]"
    said = f"{facts.dimension}, {_METHODS[facts.method]}"
    figure = report.spearman
    if figure.scorer is not None and figure.length is not None:
        said += f" · Spearman {figure.scorer:.2f}, length alone {figure.length:.2f}"
    if not facts.beats_length and report.advantage is not None:
        said += " · :red[does not beat length]"
    return said


def _one(opened: Opened, scorer: TrainedFolder, found: ProjectInfo) -> None:
    facts, report = scorer.facts, scorer.report
    if facts is None or report is None:
        st.error(escape(scorer.fault or "its folder is damaged"))
        _delete_button(opened, scorer)
        return
    record = _record(opened, scorer, facts)
    used = record is not None and record.active
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"#### {escape(scorer.name)}", width="content")
        if used:
            st.badge("in use", icon=":material/check_circle:", color="green")
        st.space("stretch")
        _use_button(opened, scorer, facts, record, found)
        _delete_button(opened, scorer)
    active_job(opened, "score")
    st.caption(
        f"{facts.dimension.capitalize()}, {_METHODS[facts.method]}, from {escape(facts.source)}. "
        f"Learnt from {plural(report.learnt, 'turn', 'turns')} of "
        f"{plural(report.groups_learnt, 'group', 'groups')}, measured on "
        f"{plural(report.held_out, 'turn', 'turns')} of "
        f"{plural(report.groups_held_out, 'group', 'groups')} that it never saw; "
        f"{facts.made:%Y-%m-%d %H:%M} UTC."
    )
    verdict(report)
    if report.unscored:
        st.caption(f"{plural(report.unscored, 'held-out turn', 'held-out turns')} got no score.")
    report_view(scorer, report)


# use


def _record(opened: Opened, scorer: TrainedFolder, facts: TrainedScorer) -> ScorerRecord | None:
    """The scorer as the project knows it once it has scored.

    Found by its weights: a project that was moved or copied has scores under the old path, and
    another scorer of the same name is another.
    """
    revision = facts.revision or _revision(str(scorer.folder), facts.made)
    for record in reversed(known_scorers(opened)):
        same = record.dimension == facts.dimension and record.revision == revision
        if same and record.model.startswith(facts.loads):
            return record
    return None


@st.cache_data(show_spinner=False, max_entries=32)
def _revision(folder: str, made: datetime) -> str:
    """Of a language model's weights; made: when it was trained."""
    return revision_of(Path(folder), None)


def _use_button(
    opened: Opened,
    scorer: TrainedFolder,
    facts: TrainedScorer,
    record: ScorerRecord | None,
    found: ProjectInfo,
) -> None:
    """Score what it has not scored, and let selection use it; nothing where both are so."""
    undone = found.imported
    if record is not None:
        undone = count_undone(opened.project, {facts.dimension: record.scorer})
    if record is not None and record.active and not undone:
        return
    rows = plural(undone, "conversation", "conversations")
    why = f"Scores {rows}; then selection uses its {facts.dimension}."
    if not undone:
        why = f"All rows are scored by it: selection uses its {facts.dimension} at once."
    if not found.imported:
        why = "The pool is empty: load a file on the Pool page first."
    if st.button(
        "Use this scorer",
        type="primary",
        icon=":material/check:",
        key="train_use",
        disabled=not may("curator") or opened.runner.busy or not found.imported,
        help=why,
    ):
        _use(opened, scorer, facts, record, undone)


def _use(
    opened: Opened,
    scorer: TrainedFolder,
    facts: TrainedScorer,
    record: ScorerRecord | None,
    undone: int,
) -> None:
    with errors_shown():
        if record is not None and not undone:
            activate_model(opened.project, record.scorer)
            say(f"Selection uses {scorer.name} for {facts.dimension} now.")
        elif facts.dimension == "complexity":
            opened.runner.submit(score_chain(scorer.loads, None))
        else:
            opened.runner.submit(score_chain(None, scorer.loads))
        st.rerun()


def _delete_button(opened: Opened, scorer: TrainedFolder) -> None:
    if st.button(
        "Delete", icon=":material/delete:", key="train_delete", disabled=not may("curator")
    ):
        _ask_delete(opened, scorer)


@state.dialog("Delete scorer")
def _ask_delete(opened: Opened, scorer: TrainedFolder) -> None:
    st.markdown(
        f"Delete **{escape(scorer.name)}**, its weights and its report? Scores that it gave stay, "
        "but it can give no more."
    )
    st.button(
        "Delete it",
        type="primary",
        icon=":material/delete:",
        key="train_delete_it",
        on_click=_delete,
        args=(opened, scorer.name),
    )


@told
def _delete(opened: Opened, name: str) -> None:
    delete_trained(opened.project, name)
    say(f"Deleted the scorer “{name}”.")
