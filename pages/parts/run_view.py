"""The job of a model as it goes: progress, speed, health; cancel, resume, go on despite all."""

from __future__ import annotations

import streamlit as st

from deita_core.jobs.kinds import KINDS
from deita_core.project.job_log import RESUMABLE, JobRecord
from pages.parts import words
from pages.parts.jobs_panel import describe_progress
from pages.parts.resources import Opened
from pages.parts.safe_text import escape

_SHOWN = ("score", "pilot", "embed", "import_scores")
_HOPELESS = "stopped: "
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
        return f"{given['dimension']} by {words.model(given['model'])}"
    if record.kind == "embed":
        return words.model(given["embedder"])
    if record.kind == "import_scores":
        return " and ".join(given["fields"].values())
    named = {d: words.model(given[d]) for d in ("complexity", "quality") if given.get(d)}
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
        share = min(1.0, record.done / record.total) if record.total else 0.0
        if record.total is None or not record.done or record.message == "starting":
            st.progress(share, text=f"**{label}** {name} · loading the model")
        else:
            st.progress(share, text=f"**{label}** {name} · {describe_progress(record)}")
        speed, _, health = record.message.partition("; ")
        if record.kind == "score" and record.done:
            said = [speed.partition(", ")[2], *(health.split("; ") if health else ())]
            st.caption("  \n".join(escape(sentence) for sentence in said if sentence))
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
    hopeless = (record.error or "").startswith(_HOPELESS)
    with st.container(border=True):
        done = words.rows(record.done, "conversation", "conversations")
        st.markdown(
            f":material/pause_circle: **{KINDS[record.kind].label}** {escape(models_of(record))} "
            f"{record.state} after {done}. What was finished is kept."
        )
        if record.error:
            st.error(escape(record.error.removeprefix(_HOPELESS)))
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
    while (before := by_number.get(last.parameters.get("after") or 0)) is not None:
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
    given = {k: v for k, v in record.parameters.items() if k != "after"}
    opened.runner.submit([("score", {**given, "despite_health": True})])
