"""How files would be read, before they are imported; and the mapping that changes it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from deita_core.conversation import ROLES
from deita_core.errors import DeitaError
from deita_core.formats import LAYOUTS, detect
from deita_core.formats.model import Detection, Mapping, PoolRow
from pages.parts.safe_text import escape

_AUTO = "Detect"


@st.cache_data(show_spinner="Looking at the file", max_entries=32)
def _detect(path: str, modified: float, mapping: str | None) -> Detection:
    return detect(Path(path), Mapping.from_json(mapping) if mapping else None)


def preview_files(files: list[Path]) -> tuple[Mapping | None, bool]:
    """Show each file's first rows; the mapping chosen (None: detected), and can all be read?"""
    mapping = _mapping_form(files)
    readable = True
    for path in files:
        with st.container(border=True):
            try:
                found = _detect(
                    str(path), path.stat().st_mtime, mapping.to_json() if mapping else None
                )
            except DeitaError as error:
                st.markdown(f"**{escape(path.name)}**")
                st.error(str(error), icon=":material/error:")
                readable = False
                continue
            st.markdown(f"**{escape(path.name)}** · {escape(found.explanation)}")
            _preview_rows(found)
    return mapping, readable


def _preview_rows(found: Detection) -> None:
    lines = []
    for row in found.preview:
        if isinstance(row, PoolRow):
            turns = row.conversation.turns
            lines.append(
                {
                    "row": row.position,
                    "turns": len(turns),
                    "system": (row.conversation.system or "")[:80],
                    "first instruction": turns[0].instruction[:200] if turns else "",
                    "first response": (turns[0].response or "")[:200] if turns else "",
                    "note": "; ".join(row.notes),
                }
            )
        else:
            lines.append({"row": row.position, "note": f"rejected: {row.reason}"})
    st.dataframe(lines, hide_index=True, alt=f"The first rows of {found.path.name} as read")


def _mapping_form(files: list[Path]) -> Mapping | None:
    with st.expander("Column mapping: say yourself how the records are to be read"):
        labels = {name: layout.label for name, layout in LAYOUTS.items()}
        name = st.selectbox(
            "Layout",
            [_AUTO, *LAYOUTS],
            format_func=lambda key: labels.get(key, "Detect it (recommended)"),
            key="mapping_layout",
        )
        if name == _AUTO:
            return None
        layout = LAYOUTS[name]
        st.caption(layout.description)
        fields = _fields(files)
        columns = {}
        for column in layout.columns:
            theirs = st.selectbox(
                f"{column.name}{' (required)' if column.required else ''}",
                fields,
                index=None,
                placeholder="found by its usual names",
                accept_new_options=True,
                help=column.explanation,
                key=f"mapping-{name}-{column.name}",
            )
            if theirs:
                columns[column.name] = theirs
        st.caption("Roles with other names, e.g. Benutzer → user:")
        roles = st.data_editor(
            [{"role in the file": "", "means": "user"}],
            num_rows="dynamic",
            column_config={"means": st.column_config.SelectboxColumn(options=list(ROLES))},
            key="mapping_roles",
        )
    named = {r["role in the file"]: r["means"] for r in roles if r.get("role in the file")}
    return Mapping(name, columns, named)


def _fields(files: list[Path]) -> list[str]:
    fields: list[str] = []
    for path in files:
        try:
            fields += _detect(str(path), path.stat().st_mtime, None).fields
        except DeitaError:
            continue  # its error is shown beside its preview
    return list(dict.fromkeys(fields))
