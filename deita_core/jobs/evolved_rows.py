"""Evolved variants that join the pool: a file of their own with lineage, imported like any other.

Each row is a conversation of one turn. Its record says where it is from, and stays with it: as
columns (`record.lineage.method`), in the view of the conversation, and in exports of the records.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deita_core.errors import EvolvingError
from deita_core.evolving.variant import Variant
from deita_core.files import private_folder, whole_file
from deita_core.formats.read.layout import Mapping
from deita_core.jobs.chains import register_files
from deita_core.jobs.kinds.import_pool import ImportSpec
from deita_core.project import Project
from deita_core.project.evolutions import Evolution
from deita_core.project.evolved_chains import VariantScore, scores_of, variants_of
from deita_core.project.folder import data_folder

# The last variant of each chain, or all that were kept. Seeds are in the pool already.
Which = Literal["last", "all"]


@dataclass(frozen=True, slots=True)
class Joined:
    """The file of the rows that join, how many it has, and the job that imports it; None where it
    was imported before."""

    path: Path
    rows: int
    spec: ImportSpec | None


def join_pool(project: Project, evolution: Evolution, which: Which = "last") -> Joined:
    """Write the variants of a run to a file of the data folder, and register it for the import.

    Raises EvolvingError where the run has none that was kept.
    """
    records = list(_records(project, evolution, which))
    if not records:
        raise EvolvingError(
            f"no variant of {evolution.name!r} was kept: evolve it further, or look at why they "
            "were eliminated"
        )
    lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records)
    place = hashlib.sha256(f"{project.path} {evolution.evolution} {lines}".encode()).hexdigest()
    folder = data_folder() / "evolved" / place[:12]
    private_folder(folder)
    path = folder / f"{_file_name(evolution.name)}.evolved.jsonl"
    with whole_file(path) as partial:
        partial.write_text(lines, encoding="utf-8")
    numbers = register_files(project, [path], Mapping("openai"))
    return Joined(path, len(records), ImportSpec(sources=numbers) if numbers else None)


def lineage_sentence(record: str) -> str | None:
    """Where a row is from, out of its original record; None for one that did not evolve.

    Without its rank, which is hidden from who reviews the row blindly.
    """
    if '"lineage"' not in record:
        return None
    try:
        found = json.loads(record)["lineage"]
        round_, method, parent = int(found["round"]), str(found["method"]), int(found["parent"])
        run, chain = str(found["evolution"]), int(found["chain"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None  # a record from elsewhere, with a field of the same name
    start = "the seed" if parent == 0 else f"round {parent}"
    return f"Evolved: round {round_} of chain {chain} of {run}, by {method} from {start}."


def _file_name(name: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "-_" else "-" for sign in name)[:80]


def _records(project: Project, evolution: Evolution, which: Which) -> Iterator[dict[str, Any]]:
    scores = scores_of(project, evolution.evolution)
    ids = dict(
        project.rows(
            "SELECT h.chain, c.id FROM chains h JOIN conversations c USING (row) "
            "WHERE h.evolution = ?",
            evolution.evolution,
        )
    )
    kept: dict[int, list[Variant]] = {}
    for one in variants_of(project, evolution.evolution):
        if one.eliminated is None and one.round > 0:
            kept.setdefault(one.chain, []).append(one)
    for chain, variants in kept.items():
        for one in variants[-1:] if which == "last" else variants:
            yield _record(evolution, one, ids[chain], scores[chain][one.round])


def _record(
    evolution: Evolution, variant: Variant, seed: str, score: VariantScore
) -> dict[str, Any]:
    said = [{"role": "user", "content": variant.instruction}]
    if variant.response is not None:
        said.append({"role": "assistant", "content": variant.response})
    lineage = {
        "evolution": evolution.name,
        "kind": evolution.kind,
        "seed": seed,
        "chain": variant.chain,
        "round": variant.round,
        "parent": variant.parent,
        "method": variant.method,
        "model": variant.model,
        "prompts": variant.prompts,
        "tokens": variant.prompt_tokens + variant.answer_tokens,
        "seconds": round(variant.seconds, 3),
        "score": score.score,
    }
    return {"messages": said, "lineage": lineage}
