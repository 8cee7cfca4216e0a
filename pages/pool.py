"""Pool: load files, see what became of every row."""

import streamlit as st

from studio.pool.loader import loader
from studio.pool.overview import (
    duplicates_view,
    files_table,
    flags_view,
    pool_overview,
    rejects_view,
)
from studio.shell.resources import current, info
from studio.shell.text import plural

opened = current()
found = info(opened)

st.title("Pool")
if not found.files:
    st.markdown(
        "A pool is the set of conversations you choose from. Load one or more files below; "
        "they are checked, described, scored, embedded and laid out on a map."
    )
    loader(opened, first=True)
    st.stop()

st.markdown(
    f"**{found.imported:,}** conversations from {plural(found.files, 'file', 'files')}: "
    f"{found.read:,} rows read = {found.imported:,} imported + {found.duplicates:,} duplicates "
    f"+ {found.rejected:,} rejected"
)

files, flags, rejects, duplicates = st.tabs(
    ["Files", "Flags", f"Rejected · {found.rejected:,}", f"Duplicates · {found.duplicates:,}"],
    on_change="rerun",
    key="pool_tab",
)
if files.open:
    with files:
        files_table(opened)
        with st.expander("Load more files", icon=":material/upload_file:"):
            loader(opened, first=False)
        if found.imported:
            pool_overview(opened)
if flags.open:
    with flags:
        flags_view(opened)
if rejects.open:
    with rejects:
        rejects_view(opened)
if duplicates.open:
    with duplicates:
        duplicates_view(opened)
