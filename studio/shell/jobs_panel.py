"""The jobs of the project in the side column: progress, time left, cancel, resume.

A page draws the one that makes what it shows, and asks for it by itself once, then by a button.
"""

from __future__ import annotations

import streamlit as st

from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import KINDS
from deita_core.people import may
from deita_core.project.job_log import RESUMABLE, JobRecord
from studio.shell import state
from studio.shell.person import told
from studio.shell.resources import Opened, errors_shown
from studio.shell.text import duration, escape, plural

_SEEN = "jobs_seen"


def jobs_panel(opened: Opened) -> None:
    """Draw the panel; it refreshes itself while something runs, and the page when that ends."""
    st.fragment(_panel, run_every="2s" if opened.runner.busy else None)(opened)


@errors_shown()
def _panel(opened: Opened) -> None:
    if opened.project.closed:
        st.rerun()  # another session deleted it: the page says so
    records = opened.runner.records(20)
    active = tuple(r.job for r in records if r.active)
    before = st.session_state.get(_SEEN)
    if before is not None and before[0] == opened.key and set(before[1]) - set(active):
        # Something ended, so the page's numbers have changed; but what stands half typed in a
        # dialog would be lost: the page runs again when that is closed.
        if not state.dialog_is_open():
            st.session_state[_SEEN] = (opened.key, active)
            st.rerun()
    else:
        st.session_state[_SEEN] = (opened.key, active)
    for record in sorted((r for r in records if r.active), key=lambda r: r.job):
        _draw_active(opened, record)
    if not active and records and records[0].state in RESUMABLE:
        _draw_stopped(opened, first_stopped(records))


def active_job(opened: Opened, kind: str) -> bool:
    """Draw the job of this kind that waits or runs, beside what it makes; True where there is one.

    It refreshes itself, and the page when the job ends.
    """
    if not any(record.active and record.kind == kind for record in opened.runner.records(20)):
        return False
    st.fragment(_one_job, run_every="1s")(opened, kind)
    return True


@errors_shown()
def _one_job(opened: Opened, kind: str) -> None:
    found = [r for r in opened.runner.records(20) if r.active and r.kind == kind]
    for record in found:
        _draw_active(opened, record, place="page")
    if not found and not state.dialog_is_open():
        st.rerun()


def ask_once(opened: Opened, spec: JobSpec, key: str) -> None:
    """Queue the job the first time that this session sees the key, so that one that was cancelled
    does not come again by itself."""
    asked = st.session_state.setdefault(state.JOBS_ASKED, set())
    if key not in asked and may("curator"):
        asked.add(key)
        if not _under_way(opened, spec):
            opened.runner.submit([spec])


def _under_way(opened: Opened, spec: JobSpec) -> bool:
    parameters = spec.to_json()
    return any(
        record.active and record.kind == spec.kind and dict(record.parameters) == parameters
        for record in opened.runner.records(20)
    )


def again(opened: Opened, spec: JobSpec, label: str) -> None:
    """Offer to queue the job."""
    if not may("curator"):
        st.caption("It is not computed yet; a curator can have it done.")
        return
    st.button(
        label,
        key=f"compute_{hash(spec):x}",
        icon=":material/play_arrow:",
        on_click=told(opened.runner.submit),
        args=([spec],),
    )


def _draw_active(opened: Opened, record: JobRecord, *, place: str = "side") -> None:
    kind = KINDS[record.kind]
    if record.state == "waiting":
        st.caption(f":material/schedule: {kind.label}: waiting")
        return
    with st.container(border=True):
        said = escape(describe_progress(record))
        st.progress(record.progress.share, text=f"**{kind.label}** · {said}")
        if st.button(
            "Cancel",
            key=f"cancel-{record.job}" if place == "side" else f"cancel-{place}-{record.job}",
            icon=":material/stop_circle:",
            disabled=not may("curator"),
            help="Stops at the next batch. What is finished stays, and you can go on later.",
        ):
            opened.runner.cancel(record.job)
            st.toast(f"{kind.label} stops at the next batch")


def first_stopped(records: list[JobRecord]) -> JobRecord:
    """The job that stopped the chain of the newest of `records`; the later ones never started."""
    by_number = {record.job: record for record in records}
    first = records[0]
    while (before := by_number.get(first.after or 0)) is not None and before.state in RESUMABLE:
        first = before
    return first


def _draw_stopped(opened: Opened, first: JobRecord) -> None:
    kind = KINDS[first.kind]
    with st.container(border=True):
        st.markdown(f"**{kind.label}** {first.state} after {plural(first.progress.done, 'row')}")
        if first.error:
            st.caption(escape(first.error))
        if st.button(
            "Resume",
            key=f"resume-{first.job}",
            icon=":material/play_arrow:",
            disabled=not may("curator"),
        ):
            opened.runner.resume(first.job)
            st.rerun()


def describe_progress(record: JobRecord) -> str:
    """ "12,288 of 52,002 conversations, 404 a second, 1 min 38 s left"."""
    progress, has_stages = record.progress, KINDS[record.kind].unit == "steps"
    if progress.total is None:
        parts = [progress.sentence()]
    elif has_stages:
        parts = [f"{progress.stage}, {progress.done:,} of {progress.total:,}"]
    else:
        parts = [f"{progress.done:,} of {progress.total:,} {KINDS[record.kind].unit}"]
    if progress.rate and not has_stages:
        parts.append(f"{progress.rate:,.0f} a second")
    if record.seconds_left is not None:
        parts.append(f"{duration(record.seconds_left)} left")
    return ", ".join(parts)
