"""The training that runs: loss, pace, time left, cancel; and the one that stopped."""

from __future__ import annotations

import numpy as np
import streamlit as st

from deita_core.people import may
from deita_core.project.job_log import RESUMABLE, JobRecord, Progress
from studio.charts.small_charts import Line, Panel, small_charts
from studio.shell.person import closed_to_role, told
from studio.shell.resources import Opened
from studio.shell.text import duration, escape

_KIND = "train"
_CLOSED, _CANCELLED = "trainings_closed", "trainings_cancelled"
_METHODS = {"light": "light", "llm": "language model", "pairwise": "language model on pairs"}


def running_view(opened: Opened) -> None:
    """Draw the training that waits or runs, or why the last one stopped; nothing otherwise."""
    st.fragment(_training, run_every="1s" if opened.runner.busy else None)(opened)


def in_training(opened: Opened) -> bool:
    """Whether a training waits or runs."""
    return any(one.active and one.kind == _KIND for one in opened.runner.records(20))


def _training(opened: Opened) -> None:
    records = [one for one in opened.runner.records(20) if one.kind == _KIND]
    active = sorted((one for one in records if one.active), key=lambda one: one.job)
    for record in active:
        _draw(opened, record)
    if records and not active and records[0].state in RESUMABLE:
        _stopped(opened, records[0])


def _what(record: JobRecord) -> str:
    given = record.parameters
    method = _METHODS.get(given.get("method", "light"), "")
    return f"**{escape(given['name'])}** · {given['dimension']}, {method}"


def _draw(opened: Opened, record: JobRecord) -> None:
    if record.state == "waiting":
        st.caption(f":material/schedule: {_what(record)}: waits for its turn")
        return
    with st.container(border=True):
        left, right = st.columns([2, 3], gap="large", vertical_alignment="center")
        with left:
            st.markdown(f":material/model_training: {_what(record)}")
            st.progress(record.progress.share, text=escape(_how_far(record)))
            _cancel_button(opened, record.job)
        with right:
            _curve(record.progress)


def _cancel_button(opened: Opened, job: int) -> None:
    if (opened.key, job) in st.session_state.get(_CANCELLED, frozenset()):
        st.caption(":material/stop_circle: Stops after this step.")
        return
    st.button(
        "Cancel",
        key=f"train-cancel-{job}",
        icon=":material/stop_circle:",
        disabled=not may("curator"),
        on_click=_cancel,
        args=(opened, job),
        help="A language model writes a checkpoint first, and goes on from there later.",
    )


@told
def _cancel(opened: Opened, job: int) -> None:
    opened.runner.cancel(job)
    st.session_state[_CANCELLED] = st.session_state.get(_CANCELLED, frozenset()) | {
        (opened.key, job)
    }


def _how_far(record: JobRecord) -> str:
    """ "training, step 12 of 60, loss 0.812, 34 rows/s, 2 min 5 s left"."""
    now, parts = record.progress, [record.progress.stage]
    if now.total:
        parts.append(f"step {now.done:,} of {now.total:,}")
    if now.loss is not None:
        parts.append(f"loss {now.loss:.3f}")
    if now.model_rate is not None and now.model_rate > 0:
        parts.append(f"{now.model_rate:,.1f} rows/s")
    if record.seconds_left is not None:
        parts.append(f"{duration(record.seconds_left)} left")
    return ", ".join(parts)


def _curve(progress: Progress) -> None:
    if len(progress.curve) < 2:
        st.caption("The loss is drawn here once there are two steps of it.")
        return
    loss_chart(Line("loss", *np.array(progress.curve, np.float64).T), key="train_loss_now")


def loss_chart(*lines: Line, key: str, height: int = 130) -> None:
    """Losses by step."""
    first, last = lines[0].y[0], lines[0].y[-1]
    alt = f"The loss by step, from {first:.3g} to {last:.3g}"
    small_charts([Panel("Loss", alt, "by step", lines=lines, height=height)], key=key)


def _stopped(opened: Opened, record: JobRecord) -> None:
    mark = (opened.key, record.job, record.finished)
    if mark in st.session_state.get(_CLOSED, frozenset()):
        return
    with st.container(border=True):
        step = f" at step {record.progress.done:,}" if record.progress.done else ""
        st.markdown(f":material/pause_circle: {_what(record)}: {record.state}{step}.")
        if record.error and record.state == "failed":
            st.error(escape(record.error))
        if closed_to_role("curator", "Going on"):
            return
        with st.container(horizontal=True):
            # Not callbacks: the page and the side column must see that something runs again.
            label = "Try again" if record.state == "failed" else "Go on"
            if st.button(
                label,
                type="primary",
                key=f"train-resume-{record.job}",
                icon=":material/play_arrow:",
                help="A language model goes on from its last checkpoint; a light scorer is fitted "
                "from the start.",
            ):
                cancelled = st.session_state.get(_CANCELLED, frozenset())
                st.session_state[_CANCELLED] = cancelled - {(opened.key, record.job)}
                opened.runner.resume(record.job)
                st.rerun()
            if st.button(
                "Close", type="tertiary", key=f"train-close-{record.job}", icon=":material/close:"
            ):
                st.session_state[_CLOSED] = st.session_state.get(_CLOSED, frozenset()) | {mark}
                st.rerun()
