"""Export: write a saved selection in the format a trainer takes."""

import streamlit as st

from deita_core.project.selections import selections
from studio.export.form import export_form, results_view
from studio.export.preferences import preferences_view
from studio.shell.resources import current, stop_without

opened = current()

st.title("Export")
saved = selections(opened.project)
if not saved:
    above = st.container()
    preferences_view(opened)
    missing = "There is no saved selection yet: choose rows on the Select page and save them."
    with above:
        stop_without(missing, "filter_alt", page="select", page_icon="filter_alt")

export_form(opened, saved)
preferences_view(opened)
results_view(opened)
