"""What a pilot found out: speed, time and cost of the rest, health, and the extreme rows."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from deita_core.jobs.kinds.pilot import PilotFacts
from deita_core.project.job_log import jobs
from deita_core.project.models import pilots
from deita_core.project.scores import ScorerRecord
from deita_core.project.vectors import EmbedderRecord
from studio.score.model_choice import EMBEDDING, ModelChoice
from studio.score.scorer_table import LEVELS, extremes, models_of, number_of
from studio.shell.resources import Opened
from studio.shell.text import duration, escape, file_size


@dataclass(frozen=True, slots=True)
class Pilot:
    """A pilot of what is chosen now."""

    choice: ModelChoice
    facts: PilotFacts

    def record(self, opened: Opened) -> ScorerRecord | EmbedderRecord | None:
        """The model as the project knows it: the latest of that id."""
        known = models_of(opened, self.choice.dimension)
        return next((r for r in reversed(known) if r.model == self.facts.model), None)


def latest_pilot(opened: Opened, choice: ModelChoice) -> Pilot | None:
    """The latest pilot of this model with these settings, or None."""
    wanted = (
        choice.dimension,
        choice.name,
        choice.options.model_dump(mode="json", exclude_none=True),
    )
    done = (r for r in jobs(opened.project, 200) if r.kind == "pilot" and r.state == "done")
    ran = (
        (given["dimension"], given["model"], given.get("options") or {})
        for given in (record.parameters for record in done)
    )
    if wanted not in ran:
        return None
    for record in pilots(opened.project):
        if record.model == choice.name and record.facts["dimension"] == choice.dimension:
            return Pilot(choice, PilotFacts.model_validate(record.facts))
    return None


def pilot_view(opened: Opened, found: list[Pilot], price: float | None) -> None:
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
    places = st.columns(len(scored)) if scored else []
    for place, one in zip(places, scored, strict=True):
        scorer = one.record(opened)
        if scorer is not None:
            with place:
                dimension = one.choice.dimension
                st.markdown(f"**{dimension.capitalize()}**: lowest and highest so far")
                extremes(opened, number_of(scorer), key=f"pilot_{dimension}")


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
