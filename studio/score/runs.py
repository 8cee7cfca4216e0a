"""The job of a model as it goes: progress, speed, health; cancel, resume, go on despite all.

What the Score page says first: how far the models in use have come, and what is left.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from deita_core.embedding.catalogue import name_of_embedder
from deita_core.errors import HopelessScorerError, ModelError
from deita_core.jobs.chains import score_chain
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import KINDS, EmbedSpec, GraphSpec, MapSpec
from deita_core.models.options import PRECISIONS, ModelOptions
from deita_core.project.browse import ProjectInfo
from deita_core.project.graphs import has_graph
from deita_core.project.job_log import RESUMABLE, JobRecord, jobs
from deita_core.project.scores import ScorerRecord
from deita_core.project.vectors import EmbedderRecord
from deita_core.scoring.catalogue import name_of_scorer
from deita_core.scoring.protocol import DIMENSIONS
from studio.score.scorer_table import known_embedders, known_scorers
from studio.shell.formatting import model_label, plural
from studio.shell.jobs_panel import describe_progress
from studio.shell.resources import Opened
from studio.shell.safe_text import escape

_SHOWN = ("score", "pilot", "embed", "import_scores")
_CANCELLED = "jobs_cancelled"
_CLOSED = "jobs_closed"


def run_view(opened: Opened) -> None:
    """Draw the running job of a model, or what stopped the last one; nothing when all is well."""
    busy = opened.runner.busy
    st.fragment(_run, run_every="1s" if busy else None)(opened)


def models_of(record: JobRecord) -> str:
    """Which models a job runs, in words."""
    given = record.parameters
    if record.kind == "pilot":
        return f"{given['dimension']} by {model_label(given['model'])}"
    if record.kind == "embed":
        return model_label(given["embedder"])
    if record.kind == "import_scores":
        return " and ".join(given["fields"].values())
    named = {d: model_label(given[d]) for d in ("complexity", "quality") if given.get(d)}
    if len(set(named.values())) == 1 and len(named) == 2:
        return f"complexity and quality by {next(iter(named.values()))}"
    return ", ".join(f"{d} by {name}" for d, name in named.items())


def _run(opened: Opened) -> None:
    records = [r for r in opened.runner.records(20) if r.kind in _SHOWN]
    for record in sorted((r for r in records if r.active), key=lambda r: r.job):
        _draw(opened, record)
    if not records or any(r.active for r in records):
        return
    last = records[0]
    closed = (opened.key, last.job, last.finished) in st.session_state.get(_CLOSED, ())
    if last.state in RESUMABLE and not closed:
        _stopped(opened, _first_of_chain(records), last)


def _draw(opened: Opened, record: JobRecord) -> None:
    name = escape(models_of(record))
    label = KINDS[record.kind].label
    if record.state == "waiting":
        st.caption(f":material/schedule: {label} {name}: waits for its turn")
        return
    with st.container(border=True):
        progress = record.progress
        loading = progress.total is None or not progress.done or progress.stage == "starting"
        doing = "loading the model" if loading else describe_progress(record)
        st.progress(progress.share, text=f"**{label}** {name} · {doing}")
        if progress.speed:
            said = (progress.speed, *progress.notes)
            st.caption("  \n".join(escape(sentence) for sentence in said))
        if record.job in st.session_state.get(_CANCELLED, ()):
            st.caption(":material/stop_circle: Stops at the next batch, or once it is loaded.")
            return
        st.button(
            "Cancel",
            key=f"run-cancel-{record.job}",
            icon=":material/stop_circle:",
            help="Stops at the next batch. What is finished stays, and you can go on later.",
            on_click=_cancel,
            args=(opened, record.job),
        )


def _stopped(opened: Opened, record: JobRecord, last: JobRecord) -> None:
    hopeless = record.error_code == HopelessScorerError.__name__
    with st.container(border=True):
        done = plural(record.progress.done, "conversation", "conversations")
        st.markdown(
            f":material/pause_circle: **{KINDS[record.kind].label}** {escape(models_of(record))} "
            f"{record.state} after {done}. What was finished is kept."
        )
        if record.error:
            st.error(escape(record.error))
        # Not callbacks: the page and the side column must see that something runs again.
        with st.container(horizontal=True):
            if st.button(
                "Try again" if record.state == "failed" else "Go on",
                key=f"run-resume-{record.job}",
                icon=":material/play_arrow:",
                type="secondary" if hopeless else "primary",
            ):
                _resume(opened, record.job)
                st.rerun()
            if (
                hopeless
                and record.kind == "score"
                and st.button(
                    "Score despite its health",
                    key=f"run-despite-{record.job}",
                    icon=":material/warning:",
                )
            ):
                _despite(opened, record)
                st.rerun()
            if st.button(
                "Close",
                key=f"run-close-{record.job}",
                type="tertiary",
                icon=":material/close:",
                help="Leave it as it is. The side column can still resume it.",
            ):
                _close(opened, last)
                st.rerun()


def _first_of_chain(records: list[JobRecord]) -> JobRecord:
    """The job that stopped; later steps only say that they did not start."""
    last = records[0]
    by_number = {record.job: record for record in records}
    while (before := by_number.get(last.after or 0)) is not None:
        if before.state not in RESUMABLE:
            break
        last = before
    return last


def _cancel(opened: Opened, job: int) -> None:
    opened.runner.cancel(job)
    st.session_state[_CANCELLED] = {*st.session_state.get(_CANCELLED, ()), job}


def _resume(opened: Opened, job: int) -> None:
    st.session_state[_CANCELLED] = {*st.session_state.get(_CANCELLED, ())} - {job}
    opened.runner.resume(job)


def _close(opened: Opened, last: JobRecord) -> None:
    entry = (opened.key, last.job, last.finished)
    st.session_state[_CLOSED] = {*st.session_state.get(_CLOSED, ()), entry}


def _despite(opened: Opened, record: JobRecord) -> None:
    opened.runner.submit([("score", {**record.parameters, "despite_health": True})])


_CARD = Path(__file__).parents[2] / "deita_core/scoring/light/weights/MODEL_CARD.md"


def sentence(opened: Opened, found: ProjectInfo) -> str:
    """ "52,002 of 52,002 conversations are scored with ...; 51,974 are embedded with ..."."""
    active = {r.dimension: r for r in known_scorers(opened) if r.active}
    names = [model_label(active[d].model) for d in DIMENSIONS if d in active]
    by = " and ".join(f"`{name}`" for name in dict.fromkeys(names))
    failed = f" ({plural(found.failed)} with no complete turn)" if found.failed else ""
    said = (
        f"**{found.scored:,}** of {found.imported:,} conversations have an evol score"
        f"{f' by {by}' if by else ''}{failed}"
    )
    embedder = next((e for e in known_embedders(opened) if e.active), None)
    if embedder is None:
        return f"{said}, and none has an embedding."
    return (
        f"{said}, and **{found.embedded:,}** have an embedding by `{model_label(embedder.model)}`."
    )


def run_buttons(opened: Opened, found: ProjectInfo) -> None:
    """Offer what the models in use have not done; nothing when all is done."""
    if opened.runner.busy or _stopped_names(opened):
        return
    missing = found.imported - found.embedded - found.embedding_failed
    graph_is_missing = bool(found.embedded) and not has_graph(opened.project)
    map_is_missing = found.mapped < found.embedded
    parts = [
        f"{found.unscored:,} to score" if found.unscored else "",
        f"{missing:,} to embed" if missing else "",
        "the similarity graph to build" if graph_is_missing or missing else "",
        "the map to draw" if map_is_missing or missing else "",
    ]
    if not any(parts):
        return
    st.warning(f"Still to do: {', '.join(p for p in parts if p)}.", icon=":material/pending:")
    steps: list[JobSpec] = []
    try:
        steps += _scoring(opened) if found.unscored else []
        steps += [_embedding(opened)] if missing else []
    except ModelError as error:
        st.caption(f"{escape(str(error))}. Go on with it under **Run a model**.")
        return
    steps += [GraphSpec()] if missing or graph_is_missing else []
    steps += [MapSpec()] if missing or map_is_missing else []
    by = _by(opened, scoring=bool(found.unscored), embedding=bool(missing))
    if st.button("Do it now", type="primary", icon=":material/play_arrow:", help=by or None):
        opened.runner.submit(steps)
        st.rerun()


def model_card() -> None:
    """What the light scorers are, and how good."""
    st.caption(
        "Light scorers are small CPU models that Deita Studio trained itself. They are a first "
        "look, not the paper's LLM scorers: see how well they agree with ratings."
    )
    if _CARD.exists():
        with st.popover("Model card", icon=":material/description:", width="content"):
            st.markdown(_CARD.read_text(encoding="utf-8"))


def _stopped_names(opened: Opened) -> bool:
    """Is the way on offered by what stopped last?"""
    last = [j for j in jobs(opened.project, 20) if j.kind in ("score", "embed")]
    return bool(last) and last[0].state in RESUMABLE


def _by(opened: Opened, *, scoring: bool, embedding: bool) -> str:
    active = [r.model for r in known_scorers(opened) if r.active and scoring]
    active += [e.model for e in known_embedders(opened) if e.active and embedding]
    names = dict.fromkeys(model_label(model) for model in active)
    return f"With the models in use: {', '.join(names)}." if names else ""


def _scoring(opened: Opened) -> list[JobSpec]:
    """The scorers in use go on; where there is none, the light one begins."""
    active = {r.dimension: r for r in known_scorers(opened) if r.active}
    names = {d: name_of_scorer(active[d].model) if d in active else "light" for d in DIMENSIONS}
    options = {d: chosen for d, r in active.items() if (chosen := _options(r)) != ModelOptions()}
    return score_chain(names["complexity"], names["quality"], options=options)


def _embedding(opened: Opened) -> JobSpec:
    active = next((e for e in known_embedders(opened) if e.active), None)
    if active is None:
        return EmbedSpec()
    chosen = _options(active)
    name = name_of_embedder(active.model)
    plain = name == "minilm" or chosen == ModelOptions()
    return EmbedSpec(embedder=name) if plain else EmbedSpec(embedder=name, options=chosen)


def _options(record: ScorerRecord | EmbedderRecord) -> ModelOptions:
    """The settings that its numbers depend on, as they were."""
    known = dict(record.parameters)
    chosen = {k: known[k] for k in ("max_tokens", "api") if k in known}
    if known.get("precision") in PRECISIONS:
        chosen["precision"] = known["precision"]
    return ModelOptions.from_json(chosen)
