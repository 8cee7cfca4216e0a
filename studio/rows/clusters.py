"""The clusters of a pool: which each row is in, and the list of them, where they are renamed."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.people import may
from deita_core.project.clusters import ClusterFacts, cluster_facts, clusters, rename_cluster
from deita_core.project.graphs import load_clusters
from deita_core.project.selections import selections_version
from studio.rows.table import lines_chosen
from studio.shell.resources import Opened, arrays, errors_shown, say
from studio.shell.text import plural

_NONE = "no cluster"


def cluster_of_rows(opened: Opened) -> NDArray[Any]:
    """The name of each row's cluster: (n,) of text; its number stands before names used twice."""
    found, codes = clusters(opened.project), load_clusters(opened.project)
    if codes is None:
        return np.full(len(arrays(opened)), _NONE, object)
    given = {one.cluster: one.name for one in found}
    names = [given.get(n, f"cluster {n}") for n in range(int(codes.max(initial=-1)) + 1)]
    twice = {name for name in names if names.count(name) > 1}
    names = [f"{n}: {name}" if name in twice else name for n, name in enumerate(names)]
    return np.array([*names, _NONE], object)[codes]  # code -1 is the last one


def cluster_list(opened: Opened) -> None:
    """Every cluster with what is in it; a curator can give the one that is ticked another name."""
    found = _facts(opened)
    if not found:
        return
    with st.expander(f"{plural(len(found), 'cluster', 'clusters')} with their names"):
        chosen = lines_chosen(_lines(found), key="explore_clusters", alt="Clusters")
        if chosen and may("curator"):
            _rename(opened, found[chosen[0]])
        elif may("curator"):
            st.caption("Tick a cluster to give it another name.")


def _seen(opened: Opened) -> tuple[str, int, int]:
    return opened.key, opened.project.data_version(), selections_version(opened.project)


@st.cache_data(show_spinner=False, max_entries=4, hash_funcs={Opened: _seen})
def _facts(opened: Opened) -> list[ClusterFacts]:
    return cluster_facts(opened.project)


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
