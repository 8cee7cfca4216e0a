"""The first start: with no project at all, the sample project is made and prepared."""

from __future__ import annotations

import streamlit as st

from deita_core.project.folder import create_project, list_projects, path_of, projects_folder
from deita_core.sample import SAMPLE_KEY, SAMPLE_NAME, sample_steps
from pages.parts import state
from pages.parts.resources import open_project, say


def prepare_sample_if_alone() -> None:
    """Make the sample project when the folder of projects is empty."""
    if list_projects(projects_folder()):
        return
    make_sample()


def make_sample() -> None:
    """Go to the sample project; when there is none, make it: its jobs run in the background."""
    if path_of(projects_folder(), SAMPLE_KEY).exists():
        st.session_state[state.NEXT_PROJECT] = SAMPLE_KEY
        return
    with create_project(projects_folder(), SAMPLE_KEY) as project:
        project.rename(SAMPLE_NAME)
        path = project.path
    opened = open_project(path)
    opened.runner.submit(sample_steps(opened.project))
    st.session_state[state.NEXT_PROJECT] = path.name.removesuffix(".duckdb")
    say("This is the sample project. It is being prepared: watch the side column.")
