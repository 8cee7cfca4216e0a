"""The jobs of the Compare page are asked for by the page itself: each once, then by a button.

What they find is kept by its content, so nothing that was computed is computed again.
"""

from __future__ import annotations

import streamlit as st

from deita_core.jobs.kind import JobSpec
from deita_core.people import may
from studio.shell import state
from studio.shell.person import told
from studio.shell.resources import Opened


def ask_once(opened: Opened, spec: JobSpec, key: str) -> None:
    """Queue the job the first time that this session sees the key, so that one that was cancelled
    does not come again by itself."""
    asked = st.session_state.setdefault(state.COMPARE_ASKED, set())
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


def _submit(opened: Opened, spec: JobSpec) -> None:
    opened.runner.submit([spec])


def again(opened: Opened, spec: JobSpec, label: str) -> None:
    """Offer to queue the job."""
    if not may("curator"):
        st.caption("It is not computed yet; a curator can have it done.")
        return
    st.button(
        label,
        key=f"compute_{hash(spec):x}",
        icon=":material/play_arrow:",
        on_click=told(_submit),
        args=(opened, spec),
    )
