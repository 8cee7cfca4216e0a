"""Score: complexity and quality of every turn, and the embeddings behind diversity."""

import streamlit as st

from deita_core.selection.evol import AGGREGATIONS
from pages.parts import state, words
from pages.parts.chart_data import count_by_group, count_grid
from pages.parts.charts import density_figure, histogram_figure, is_dark, show
from pages.parts.colours import PLAIN
from pages.parts.map_payload import MapGroup
from pages.parts.resources import current, info, scores
from pages.parts.score_runs import embeddings_view, failures_view, run_buttons, scorers_view

opened = current()
found = info(opened)

st.title("Score")
if not found.imported:
    st.info("The pool is empty: load a file on the Pool page first.", icon=":material/database:")
    st.page_link("pages/pool.py", label="Go to Pool", icon=":material/database:")
    st.stop()

tried = found.imported - found.unscored
st.markdown(
    f"**{found.scored:,}** of {found.imported:,} conversations have an evol score "
    f"({words.share(tried, found.imported)} scored through"
    + (f"; {words.rows(found.failed)} with no complete turn" if found.failed else "")
    + f") and **{found.embedded:,}** have an embedding."
)
run_buttons(opened, found)
if not tried:
    st.stop()

st.segmented_control(
    "Turns count as",
    [one.name for one in AGGREGATIONS],
    default="sum",
    required=True,
    key=state.AGGREGATION,
    bind="query-params",
)
how = st.session_state[state.AGGREGATION]
st.caption(next(one.explanation for one in AGGREGATIONS if one.name == how))

columns = scores(opened, how)
group = (MapGroup("conversations", PLAIN),)
for place, (name, values, extent) in zip(
    st.columns(3),
    (
        ("complexity", columns.complexity, (1.0, 6.0)),
        ("quality", columns.quality, (1.0, 6.0)),
        ("evol score", columns.evol, None),
    ),
    strict=True,
):
    counted = count_by_group(values, extent=extent)
    figure = histogram_figure(
        counted, group, title=name, unit="1 to 6" if extent else how, dark=is_dark()
    )
    with place:
        show(figure, key=f"histogram-{name}", alt=f"How many conversations have which {name}")

both, models = st.columns([3, 2])
with both:
    st.subheader("Complexity and quality together")
    grid = count_grid(columns.complexity, columns.quality, extent=(1.0, 6.0))
    show(
        density_figure(grid, x_title="complexity", y_title="quality", dark=is_dark()),
        key="density",
        alt="How many conversations have which pair of complexity and quality",
    )
with models:
    scorers_view(opened)
    embeddings_view(opened, found)
failures_view(opened)
