"""How far the models in use have come, the job that runs or has stopped, and what is left to do."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

import streamlit as st

from deita_core.embedding.catalogue import name_of_embedder
from deita_core.errors import HopelessScorerError, ModelError
from deita_core.jobs.chains import score_chain
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import KINDS, EmbedSpec, GraphSpec, MapSpec, ScoreSpec
from deita_core.models.options import PRECISIONS, ModelOptions
from deita_core.people import may
from deita_core.project.browse import ProjectInfo
from deita_core.project.graphs import has_graph
from deita_core.project.job_log import RESUMABLE, JobRecord, jobs
from deita_core.project.pool_kinds import unfamiliar_to_light
from deita_core.project.scores import ScorerRecord
from deita_core.project.vectors import EmbedderRecord
from deita_core.scoring.catalogue import name_of_scorer
from deita_core.scoring.protocol import DIMENSIONS
from studio.score.model_choice import EMBEDDING
from studio.score.scorer_table import ModelsInUse, models_in_use
from studio.shell.jobs_panel import describe_progress, first_stopped
from studio.shell.person import closed_to_role, told
from studio.shell.resources import AS_OF_NOW, Opened
from studio.shell.text import escape, model_label, plural

_CARD = Path(__file__).parents[2] / "deita_core/scoring/light/weights/MODEL_CARD.md"
_SHOWN = ("score", "pilot", "embed", "import_scores")
_CANCELLED = "jobs_cancelled"
_CLOSED = "jobs_closed"


def run_view(opened: Opened) -> None:
    """Draw the running job of a model, or what stopped the last one; nothing when all is well."""
    st.fragment(_run, run_every="1s" if opened.runner.busy else None)(opened)


def _models_run(record: JobRecord) -> str:
    """Which models a job runs, as a phrase."""
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
    closed = (opened.key, last.job, last.finished) in _remembered(_CLOSED)
    if last.state in RESUMABLE and not closed:
        _stopped(opened, first_stopped(records), last)


def _draw(opened: Opened, record: JobRecord) -> None:
    name = escape(_models_run(record))
    label = KINDS[record.kind].label
    if record.state == "waiting":
        st.caption(f":material/schedule: {label} {name}: waits for its turn")
        return
    with st.container(border=True):
        progress = record.progress
        loading = progress.total is None or not progress.done or progress.stage == "starting"
        doing = "loading the model" if loading else escape(describe_progress(record))
        st.progress(progress.share, text=f"**{label}** {name} · {doing}")
        if progress.speed:
            said = (progress.speed, *progress.notes)
            st.caption("  \n".join(escape(sentence) for sentence in said))
        if record.job in _remembered(_CANCELLED):
            st.caption(":material/stop_circle: Stops at the next batch, or once it is loaded.")
            return
        st.button(
            "Cancel",
            key=f"run-cancel-{record.job}",
            icon=":material/stop_circle:",
            help="Stops at the next batch. What is finished stays, and you can go on later.",
            disabled=not may("curator"),
            on_click=_cancel,
            args=(opened, record.job),
        )


def _stopped(opened: Opened, record: JobRecord, last: JobRecord) -> None:
    hopeless = record.error_code == HopelessScorerError.__name__
    with st.container(border=True):
        done = plural(record.progress.done, "conversation", "conversations")
        st.markdown(
            f":material/pause_circle: **{KINDS[record.kind].label}** {escape(_models_run(record))} "
            f"{record.state} after {done}. What was finished is kept."
        )
        if record.error:
            st.error(escape(record.error))
        if closed_to_role("curator", "Going on"):
            return
        # Not callbacks: the page and the side column must see that something runs again.
        with st.container(horizontal=True):
            if st.button(
                "Try again" if record.state == "failed" else "Go on",
                key=f"run-resume-{record.job}",
                icon=":material/play_arrow:",
                type="secondary" if hopeless else "primary",
            ):
                st.session_state[_CANCELLED] = _remembered(_CANCELLED) - {record.job}
                opened.runner.resume(record.job)
                st.rerun()
            if hopeless and record.kind == "score":
                key = f"run-despite-{record.job}"
                if st.button("Score despite its health", key=key, icon=":material/warning:"):
                    again = {**record.parameters, "despite_health": True}
                    opened.runner.submit([ScoreSpec.model_validate(again)])
                    st.rerun()
            if st.button(
                "Close",
                key=f"run-close-{record.job}",
                type="tertiary",
                icon=":material/close:",
                help="Leave it as it is. The side column can still resume it.",
            ):
                closed = (opened.key, last.job, last.finished)
                st.session_state[_CLOSED] = _remembered(_CLOSED) | {closed}
                st.rerun()


@told
def _cancel(opened: Opened, job: int) -> None:
    opened.runner.cancel(job)
    st.session_state[_CANCELLED] = _remembered(_CANCELLED) | {job}


def _remembered(key: str) -> frozenset[Hashable]:
    return frozenset(st.session_state.get(key, ()))


def progress_sentence(opened: Opened, found: ProjectInfo) -> str:
    """ "52,002 of 52,002 conversations have an evol score by ..., and 51,974 an embedding ..."."""
    used = models_in_use(opened)
    names = dict.fromkeys(escape(model_label(used[d].model)) for d in DIMENSIONS if d in used)
    by = f" by {' and '.join(names)}" if names else ""
    failed = f" ({plural(found.failed)} with no complete turn)" if found.failed else ""
    scored = f"**{found.scored:,}** of {found.imported:,} conversations have an evol score"
    embedded = "none has an embedding"
    if EMBEDDING in used:
        name = escape(model_label(used[EMBEDDING].model))
        embedded = f"**{found.embedded:,}** have an embedding by {name}"
    return f"{scored}{by}{failed}, and {embedded}."


def run_buttons(opened: Opened, found: ProjectInfo) -> None:
    """Offer what the models in use have not done; nothing when all is done."""
    last = next((j for j in jobs(opened.project, 20) if j.kind in ("score", "embed")), None)
    if not may("curator") or opened.runner.busy or (last is not None and last.state in RESUMABLE):
        return  # `run_view` offers to go on with the job that stopped
    unembedded = found.imported - found.embedded - found.embedding_failed
    no_graph = unembedded or (found.embedded and not has_graph(opened.project))
    no_map = unembedded or found.mapped < found.embedded
    missing = (
        (found.unscored, f"{found.unscored:,} to score"),
        (unembedded, f"{unembedded:,} to embed"),
        (no_graph, "the similarity graph to build"),
        (no_map, "the map to draw"),
    )
    to_do = ", ".join(what for is_missing, what in missing if is_missing)
    if not to_do:
        return
    st.warning(f"Still to do: {to_do}.", icon=":material/pending:")
    used = models_in_use(opened)
    chain: list[JobSpec] = []
    try:
        chain += _scoring(used) if found.unscored else []
        chain += [_embedding(used)] if unembedded else []
    except ModelError as error:
        st.caption(f"{escape(str(error))}. Go on with it under **Run a model**.")
        return
    chain += [GraphSpec()] if no_graph else []
    chain += [MapSpec()] if no_map else []
    dimensions = (*(DIMENSIONS if found.unscored else ()), *((EMBEDDING,) if unembedded else ()))
    names = dict.fromkeys(escape(model_label(used[d].model)) for d in dimensions if d in used)
    by = f"With the models in use: {', '.join(names)}." if names else None
    if st.button("Do it now", type="primary", icon=":material/play_arrow:", help=by):
        opened.runner.submit(chain)
        st.rerun()


@st.cache_data(show_spinner=False, max_entries=4, hash_funcs=AS_OF_NOW)
def _unfamiliar(opened: Opened) -> tuple[str, ...]:
    return unfamiliar_to_light(opened.project)


def unfamiliar_notice(opened: Opened) -> None:
    """Say where the pool lies outside what the light scorers learnt; nothing where it does not."""
    said = _unfamiliar(opened)
    if said:
        st.info(
            "Light scorers learnt from short, single English turns, so their scores say less of "
            f"this pool: {escape('; '.join(said))}. Compare scores within one kind of rows.",
            icon=":material/travel_explore:",
        )


def model_card() -> None:
    """What the light scorers are, and how good."""
    st.caption(
        "Light scorers are small CPU models that Deita Studio trained itself. They are a first "
        "look, not the paper's LLM scorers: across domains quality is close to a length meter, and "
        "where the better of two answers is the shorter one it is right in 5 to 40 of 100 cases."
    )
    if _CARD.exists():
        with st.popover("Model card", icon=":material/description:", width="content"):
            st.markdown(_CARD.read_text(encoding="utf-8"))


def _scoring(used: ModelsInUse) -> list[JobSpec]:
    """The scorers in use go on; where there is none, the light one begins."""
    names = {d: name_of_scorer(used[d].model) if d in used else "light" for d in DIMENSIONS}
    options = {d: _options(used[d]) for d in DIMENSIONS if d in used}
    changed = {d: chosen for d, chosen in options.items() if chosen != ModelOptions()}
    return score_chain(names["complexity"], names["quality"], options=changed)


def _embedding(used: ModelsInUse) -> JobSpec:
    if EMBEDDING not in used:
        return EmbedSpec()
    name, options = name_of_embedder(used[EMBEDDING].model), _options(used[EMBEDDING])
    plain = name == "minilm" or options == ModelOptions()
    return EmbedSpec(embedder=name) if plain else EmbedSpec(embedder=name, options=options)


def _options(record: ScorerRecord | EmbedderRecord) -> ModelOptions:
    """The settings that its numbers depend on, as they were."""
    known = dict(record.parameters)
    chosen = {k: known[k] for k in ("max_tokens", "api") if k in known}
    if known.get("precision") in PRECISIONS:
        chosen["precision"] = known["precision"]
    return ModelOptions.model_validate(chosen)
