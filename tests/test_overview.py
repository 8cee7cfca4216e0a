"""The bars of the Pool page lead to the rows that they count, no more and no fewer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from deita_core.filtering import PoolColumns, matching_rows
from deita_core.filtering.filter import Bounds, Filter
from deita_core.project import Project
from deita_core.project.browse import tally
from studio.charts.charts import count_by_group, rank_shares
from studio.pool.overview import length_part, names_part, turns_part
from tests.builders import imported_project, prepared_project


def passing(values: np.ndarray, part: Bounds) -> int:
    low, high = part.low, part.high
    return sum((low is None or v >= low) and (high is None or v <= high) for v in values.tolist())


@pytest.mark.parametrize("extent", [(0.0, 40.0), (0.0, 61.3), (0.0, 400.0)])
def test_a_bar_of_lengths_leads_to_the_rows_that_it_counts(extent: tuple[float, float]) -> None:
    tokens = np.random.default_rng(3).integers(0, 80, 500)
    counted = count_by_group(tokens.astype(np.float64), extent=extent)
    bars = [bar for bar, count in enumerate(counted.counts[0].tolist()) if count]
    found = [passing(tokens, length_part(counted.edges, bar)) for bar in bars]
    assert found == [int(counted.counts[0][bar]) for bar in bars]
    assert sum(found) == 500


def test_each_number_of_turns_is_in_one_group() -> None:
    turns = np.arange(1, 30)
    assert [passing(turns, turns_part(group)) for group in range(5)] == [1, 1, 3, 5, 19]


def test_a_bar_of_names_leads_to_its_name_and_the_last_one_to_all_others() -> None:
    shares = {f"name {n}": 20 - n for n in range(11)}
    assert names_part("flag", shares, 2).names == ("name 2",)
    assert names_part("flag", shares, 8).names == ("name 8", "name 9", "name 10")
    assert names_part("flag", {"a": 1, "b": 2}, 0).names == ("b",)


def test_the_languages_counted_are_those_that_a_filter_finds(tmp_path: Path) -> None:
    with Project.open(prepared_project(tmp_path / "topics.duckdb")) as project:
        counts = tally(project, "language")
        shares = dict(zip(counts["name"], counts["rows"].tolist(), strict=True))
        columns = PoolColumns(project)
        for bar, (_, count) in enumerate(rank_shares(shares, 8)):
            wanted = Filter(parts=(names_part("language", shares, bar),))
            assert matching_rows(wanted, columns).sum() == count


def test_a_ticked_flag_leads_to_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def page(path: str) -> None:
        from pathlib import Path

        import streamlit as st

        from studio.pool.overview import flags_view
        from studio.shell.resources import open_project

        flags_view(open_project(Path(path)))
        said = [st.session_state.get(key, "") for key in ("filter", "wanted_page")]
        st.markdown(" ".join(said))

    path = imported_project(tmp_path / "bare.duckdb", '{"instruction": "a or b", "output": "b"}')
    shown = AppTest.from_function(page, args=(str(path),), default_timeout=60).run()
    assert not shown.button
    monkeypatch.setattr("studio.pool.overview.lines_chosen", lambda *given, **named: [0])
    shown.run()
    assert shown.button[0].label == "Open its 1 row in Explore"
    shown.button[0].click().run()
    assert shown.markdown[-1].value == "flag=one-word response explore"
