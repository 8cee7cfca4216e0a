"""Export: write a saved selection in the format a trainer takes."""

import streamlit as st

from deita_core.project.selections import selections
from studio.export.form import export_form, results_view
from studio.shell.resources import current

opened = current()

st.title("Export")
saved = selections(opened.project)
if not saved:
    st.info(
        "There is no saved selection yet: choose rows on the Select page and save them.",
        icon=":material/filter_alt:",
    )
    st.page_link("pages/select.py", label="Go to Select", icon=":material/filter_alt:")
    st.stop()

export_form(opened, saved)
results_view(opened)
