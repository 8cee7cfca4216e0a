"""Preference rows for download: verdicts as KTO, corrected answers and pairs of the pool as DPO.

They are made when the button is clicked, by the request that fetches them: the page only counts.
"""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from pathlib import Path

import streamlit as st

from deita_core.formats.write.preferences import (
    PREFERENCE_KINDS,
    PreferenceKind,
    PreferenceLayout,
)
from deita_core.jobs.preferences import pairs_at_hand, write_preferences
from deita_core.people import may
from deita_core.project import Project
from deita_core.project.queues import Queue, answers, queues
from deita_core.review.answers import ACTING_RULES, RULE_WORDS, effect_of
from studio.shell.resources import Opened
from studio.shell.text import escape, plural

_ALL = -1
_LAYOUTS: dict[PreferenceLayout, str] = {"trl": "TRL", "llama-factory": "LLaMA-Factory"}


def preferences_view(opened: Opened) -> None:
    """Offer preference rows, where there is anything to make them of."""
    of_review = {
        one.queue: one
        for one in queues(opened.project)
        if "verdict" in one.asks and one.adjudicates is None
    }
    all_pairs = pairs_at_hand(opened.project)
    if not may("curator") or not (of_review or all_pairs.edits or all_pairs.pairs):
        return
    st.subheader("Preference rows")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind: PreferenceKind = st.segmented_control(
            "Rows",
            PREFERENCE_KINDS if of_review else ["dpo"],
            default="kto" if of_review and not all_pairs.pairs else "dpo",
            required=True,
            format_func=str.upper,
            key="preference_kind",
            help="KTO: answers that reviewers kept or dropped. DPO: a better and a worse answer.",
        )
        layout = st.segmented_control(
            "Layout",
            list(_LAYOUTS),
            default="trl",
            required=True,
            format_func=_LAYOUTS.__getitem__,
            key="preference_layout",
        )
        queue = _queue(of_review, kind)
        rule = _rule() if kind == "kto" else "majority"
    number = None if queue is None else queue.queue
    found = _kto(opened, queue, rule) if kind == "kto" and queue else _dpo(opened, number)
    name = _file_name(kind, queue)
    st.download_button(
        f"Download {kind.upper()} rows",
        lambda: preference_file(opened.project, name, kind, layout, number, rule),
        file_name=name if layout == "trl" else f"{name}.zip",
        icon=":material/download:",
        disabled=not found,
        on_click="ignore",
    )


def _queue(of_review: dict[int, Queue], kind: PreferenceKind) -> Queue | None:
    """The queue whose verdicts or rows are meant; None for all rows."""
    options = list(of_review) if kind == "kto" else [_ALL, *of_review]
    if options == [_ALL]:
        return None
    chosen = st.selectbox(
        "Queue",
        options,
        format_func=lambda one: "All rows" if one == _ALL else of_review[one].name,
        key=f"preference_queue_{kind}",
    )
    return of_review.get(chosen)


def _rule() -> str:
    rule = st.segmented_control(
        "A row is decided by",
        ACTING_RULES,
        default="majority",
        format_func=str.capitalize,
        required=True,
        key="preference_rule",
        help="; ".join(f"{name}: {words}" for name, words in RULE_WORDS.items()),
    )
    return str(rule)


def _kto(opened: Opened, queue: Queue, rule: str) -> int:
    """How many rows of a queue have a clear verdict, said on the page."""
    effect = effect_of(answers(opened.project, queue.queue), rule)
    kept, dropped = len(effect.pinned), len(effect.excluded)
    unclear = (
        f"; {plural(len(effect.undecided))} without a clear one" if len(effect.undecided) else ""
    )
    st.caption(
        f"KTO of {plural(kept + dropped, 'verdict', 'verdicts')} in {escape(queue.name)}: "
        f"{kept:,} wanted, {dropped:,} not{unclear}."
    )
    return kept + dropped


def _dpo(opened: Opened, queue: int | None) -> int:
    """How many rows could be pairs, said on the page."""
    found = pairs_at_hand(opened.project, queue)
    st.caption(
        f"DPO of {plural(found.edits, 'edited row', 'edited rows')} and "
        f"{plural(found.pairs, 'imported pair', 'imported pairs')}; left out are those without "
        "two different answers to the same messages."
    )
    return found.edits + found.pairs


def _file_name(kind: PreferenceKind, queue: Queue | None) -> str:
    of = "" if queue is None else "-" + re.sub(r"[^\w.-]+", "-", queue.name.lower()).strip("-.")
    return f"{kind}{of[:80]}.jsonl"


def preference_file(
    project: Project,
    name: str,
    kind: PreferenceKind,
    layout: PreferenceLayout,
    queue: int | None,
    rule: str,
) -> bytes:
    """The rows as JSON Lines; for LLaMA-Factory a zip of them and their dataset_info.json."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / name
        write_preferences(project, out, kind, layout=layout, queue=queue, rule=rule)
        if layout == "trl":
            return out.read_bytes()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(Path(folder).iterdir()):
                archive.write(path, path.name)
        return packed.getvalue()
