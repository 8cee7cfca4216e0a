"""What a pilot found out: speed, time and cost of the rest, health, and the extreme rows."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from deita_core.jobs.kinds.pilot import PilotFacts
from deita_core.project.browse import table_of
from deita_core.project.job_log import jobs
from deita_core.project.pilots import pilots
from deita_core.project.scores import ScoredTurn, ScorerRecord, extreme_turns, scorers
from studio.rows.table import show_conversation
from studio.score.model_choice import EMBEDDING, ModelChoice
from studio.shell.formatting import duration, file_size
from studio.shell.resources import Opened
from studio.shell.safe_text import escape

LEVELS = {
    "good": ":green[:material/check_circle:]",
    "look": ":orange[:material/visibility:]",
    "hopeless": ":red[:material/error:]",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """A pilot of what is chosen now."""

    choice: ModelChoice
    facts: PilotFacts


def tried(opened: Opened, choice: ModelChoice) -> Tried | None:
    """The latest pilot of this model with these settings, or None."""
    wanted = (choice.dimension, choice.name, choice.options.to_json())
    ran = any(
        record.kind == "pilot"
        and record.state == "done"
        and (
            record.parameters["dimension"],
            record.parameters["model"],
            record.parameters.get("options") or {},
        )
        == wanted
        for record in jobs(opened.project, 200)
    )
    if not ran:
        return None
    for record in pilots(opened.project):
        if record.model == choice.name and record.facts["dimension"] == choice.dimension:
            return Tried(choice, PilotFacts.model_validate(record.facts))
    return None


def pilot_view(opened: Opened, found: list[Tried], price: float | None) -> None:
    """Draw what pilots said, side by side, and below it what they scored lowest and highest."""
    st.subheader("Pilot")
    table = pd.DataFrame([_line(one.facts, price) for one in found])
    st.dataframe(table, hide_index=True, key="pilot_table", alt="What the pilots measured")
    if len(found) > 1:
        seconds = sum(one.facts.left_seconds for one in found)
        cost = f", which costs {price * seconds / 3600:,.2f}" if price else ""
        st.caption(f"One after the other: {duration(seconds)} for the rest{cost}.")
    for one in found:
        for sentence in one.facts.health:
            st.markdown(
                f"{LEVELS[one.facts.health_level]} **{one.choice.dimension}**: {escape(sentence)}"
            )
    scored = [one for one in found if one.choice.dimension != EMBEDDING]
    if scored:
        for place, one in zip(st.columns(len(scored)), scored, strict=True):
            with place:
                _extremes_of(opened, one)


def _line(facts: PilotFacts, price: float | None) -> dict[str, object]:
    line: dict[str, object] = {
        "": facts.dimension,
        "tried": f"{facts.rows:,} rows",
        "rows a second": _figures(facts.rows_per_second),
        "tokens a second": f"about {_figures(facts.tokens_per_second)}",
        "loading": duration(facts.load_seconds),
        "memory": file_size(facts.gpu_memory or facts.memory or 0),
        "left": f"{facts.left_rows:,} rows",
        "time for the rest": duration(facts.left_seconds),
    }
    if price:
        line["cost"] = f"{facts.cost(price):,.2f}"
    return line


def _figures(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _extremes_of(opened: Opened, one: Tried) -> None:
    scorer = scorer_of(opened, one.choice.dimension, one.facts.model)
    if scorer is not None:
        st.markdown(f"**{one.choice.dimension.capitalize()}**: lowest and highest so far")
        extremes(opened, scorer.scorer, key=f"pilot_{one.choice.dimension}")


def scorer_of(opened: Opened, dimension: str, model: str) -> ScorerRecord | None:
    """The latest scorer of that id in the project."""
    found = [s for s in scorers(opened.project) if (s.dimension, s.model) == (dimension, model)]
    return found[-1] if found else None


def extremes(opened: Opened, scorer: int, *, key: str, most: int = 5) -> None:
    """The turns with the lowest and highest scores of a scorer; a click opens one."""
    low, high = extreme_turns(opened.project, scorer, most)
    turns = [*low, *[turn for turn in reversed(high) if turn not in low]]
    if not turns:
        st.caption("No turn has a score.")
        return
    event = st.dataframe(
        _turns(opened, turns),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"{key}_{hash(tuple(turns)):x}",
        column_config={
            **{name: st.column_config.NumberColumn(width=70) for name in ("score", "row", "turn")},
            "conversation": st.column_config.TextColumn(width="large"),
        },
        alt="Turns with the lowest and the highest scores",
    )
    for place in event.selection.rows:
        if place < len(turns):
            with st.container(border=True):
                show_conversation(opened, turns[place].row, key=f"{key}_conversation")


def _turns(opened: Opened, turns: list[ScoredTurn]) -> pd.DataFrame:
    stored = table_of(opened.project, [turn.row for turn in turns])
    return pd.DataFrame(
        {
            "score": [round(turn.score, 2) for turn in turns],
            "row": [turn.row for turn in turns],
            "turn": [turn.turn + 1 for turn in turns],
            "conversation": list(stored["preview"]),
        }
    )
