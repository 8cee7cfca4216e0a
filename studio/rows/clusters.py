"""The clusters of a pool: which each row is in, and their list, to filter, rename and make anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.filtering.filter import OneOf, Part
from deita_core.jobs.kinds import ClusterSpec
from deita_core.people import may
from deita_core.project.clusters import ClusterFacts, cluster_facts, clusters, rename_cluster
from deita_core.project.graphs import load_clusters
from deita_core.project.selections import selections, selections_version
from studio.filters.current import put_in_filter
from studio.rows.table import lines_chosen
from studio.shell.jobs_panel import active_job
from studio.shell.person import told
from studio.shell.resources import Opened, arrays, errors_shown, say
from studio.shell.text import plural

NO_CLUSTER = "no cluster"


def cluster_of_rows(opened: Opened) -> NDArray[Any]:
    """The label of each row's cluster: (n,) of text."""
    codes = load_clusters(opened.project)
    if codes is None:
        return np.full(len(arrays(opened)), NO_CLUSTER, object)
    return np.array([*cluster_labels(opened), NO_CLUSTER], object)[codes]  # code -1 is the last one


def cluster_labels(opened: Opened) -> list[str]:
    """The name of each cluster, by number; the number stands before names used twice."""
    codes = load_clusters(opened.project)
    if codes is None:
        return []
    given = {one.cluster: one.name for one in clusters(opened.project)}
    names = [given.get(n, f"cluster {n}") for n in range(int(codes.max(initial=-1)) + 1)]
    twice = {name for name in names if names.count(name) > 1}
    return [f"{n}: {name}" if name in twice else name for n, name in enumerate(names)]


def clusters_view(opened: Opened, rows: NDArray[np.int64]) -> None:
    """Every cluster with what is in it; one that is ticked can be filtered to and renamed."""
    with errors_shown():
        names = [one.name for one in selections(opened.project)]
        selection = None
        if names:
            selection = st.selectbox(
                "Share kept of the selection",
                names,
                key="clusters_selection",
                persist_state="session",
            )
        found = _facts(opened, selection)
        codes = load_clusters(opened.project)
        if found and codes is not None:
            _list(opened, found, codes, rows)
        elif codes is None:
            st.info(
                "Clusters are made once the conversations are embedded.",
                icon=":material/workspaces:",
            )
        else:
            st.caption("The clusters have no names yet: make them anew to name them.")
        _make(opened)


def _list(
    opened: Opened,
    found: list[ClusterFacts],
    codes: NDArray[np.int32],
    rows: NDArray[np.int64],
) -> None:
    inside = np.bincount(codes[rows] + 1, minlength=len(found) + 1)[1:]
    if len(rows) == len(codes):
        st.markdown(f"**{plural(len(found), 'cluster', 'clusters')}** with their names.")
    else:
        here = int(np.count_nonzero(inside))
        said = plural(len(found), "cluster", "clusters")
        st.markdown(f"The rows in view are in **{here:,}** of {said}.")
    table = _lines(found)
    if len(rows) < len(codes):
        table.insert(2, "in view", [int(inside[one.cluster.cluster]) for one in found])
    columns = {"share kept": st.column_config.NumberColumn(format="percent")}
    key = f"explore_clusters_{hash(tuple(one.cluster for one in found)):x}"
    chosen = lines_chosen(table, key=key, alt="Clusters", columns=columns, height=320)
    if chosen:
        _one(opened, found, found[chosen[0]])
    else:
        more = ", or to give it another name" if may("curator") else ""
        st.caption(f"Tick a cluster to see its rows{more}.")


def _one(opened: Opened, found: list[ClusterFacts], one: ClusterFacts) -> None:
    number = one.cluster.cluster
    st.button(
        f"Show its {plural(one.rows)}",
        key=f"filter_cluster_{number}",
        type="primary",
        icon=":material/filter_alt:",
        help="Filters by this cluster.",
        on_click=told(put_in_filter),
        args=(cluster_filter(found, one),),
        kwargs={"instead_of": _is_of_clusters},
    )
    if may("curator"):
        _rename(opened, one)


def cluster_filter(found: list[ClusterFacts], one: ClusterFacts) -> OneOf:
    """The filter for a cluster: by its name, or by its number where others have that name, too."""
    alike = sum(other.cluster.name == one.cluster.name for other in found)
    if alike > 1:
        return OneOf(column="cluster", names=(str(one.cluster.cluster),))
    return OneOf(column="cluster_name", names=(one.cluster.name,))


def _is_of_clusters(part: Part) -> bool:
    return isinstance(part, OneOf) and part.column in ("cluster", "cluster_name")


def _make(opened: Opened) -> None:
    if active_job(opened, ClusterSpec.kind) or not may("curator"):
        return
    with st.expander("Make the clusters anew"):
        ways = {"kmeans": "k-means on the vectors", "hdbscan": "HDBSCAN on the map"}
        method = st.segmented_control(
            "How",
            list(ways),
            default="kmeans",
            required=True,
            format_func=ways.__getitem__,
            key="clusters_method",
        )
        by_vectors = method == "kmeans"
        label = "How many clusters" if by_vectors else "Rows that make a cluster, at least"
        number = st.number_input(
            label,
            min_value=1 if by_vectors else 2,
            value=None,
            step=1,
            placeholder="as the size of the pool asks for",
            key=f"clusters_{method}",
        )
        st.caption("Names given by hand stay only where the clusters come out the same.")
        how = {"method": method, "number" if by_vectors else "smallest": number}
        st.button(
            "Make clusters",
            key="clusters_make",
            icon=":material/workspaces:",
            on_click=told(_submit),
            args=(opened, how),
        )


def _submit(opened: Opened, how: dict[str, Any]) -> None:
    opened.runner.submit([ClusterSpec.read(how)])


def _seen(opened: Opened) -> tuple[str, int, int]:
    return opened.key, opened.project.data_version(), selections_version(opened.project)


@st.cache_data(show_spinner=False, max_entries=8, hash_funcs={Opened: _seen})
def _facts(opened: Opened, selection: str | None) -> list[ClusterFacts]:
    return cluster_facts(opened.project, selection)


def _lines(found: list[ClusterFacts]) -> Any:
    import pandas as pd

    lines = {
        "name": [one.cluster.name for one in found],
        "rows": [one.rows for one in found],
        "complexity": [one.complexity for one in found],
        "quality": [one.quality for one in found],
        "evol score": [one.evol_score for one in found],
        "share kept": [one.kept_share for one in found],
        "typical row": [one.sentence for one in found],
        "words": [", ".join(one.cluster.words) for one in found],
    }
    if all(share is None for share in lines["share kept"]):
        del lines["share kept"]
    return pd.DataFrame(lines).round(2)


def _rename(opened: Opened, one: ClusterFacts) -> None:
    number = one.cluster.cluster
    with st.form(f"rename_cluster_{number}", border=False):
        name = st.text_input(f"Name of cluster {number}", one.cluster.name, max_chars=100)
        if st.form_submit_button("Rename"):
            with errors_shown():
                rename_cluster(opened.project, number, name)
                say("The cluster has its new name.")
                st.rerun()
