"""The Hugging Face dataset card of an export: what was chosen, from what, how, and how to load it.

The front matter follows the hub's dataset card metadata (license, language, size_categories,
task_categories, tags, configs).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from math import isfinite
from statistics import median

from deita_core.errors import ExportError
from deita_core.formats.manifest import Manifest, ModelUse, SelectionRecord
from deita_core.formats.write.export_format import ExportRow

PAPER = "https://arxiv.org/abs/2312.15685"
# By the number of digits: up to three, four, ..., eight or more.
_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "n>10M")
_LICENSE = "{}, as stated by whoever exported it; check the pool files' own licenses."
_LICENSE_UNKNOWN = (
    "Not stated yet. The rows stay under the licenses of the pool files above; name the "
    "one that covers them all before sharing."
)


@dataclass(frozen=True, slots=True)
class CardStatistics:
    """Counts over the rows exported. languages, flagged: rows of each, most first.

    scores: for evol score, complexity and quality, the values of the rows that have one, sorted.
    """

    rows: int
    turns: int
    characters: int
    languages: MappingType[str, int]
    flagged: MappingType[str, int]
    scores: MappingType[str, tuple[float, ...]] = field(default_factory=dict)


def card_statistics(rows: Iterable[ExportRow]) -> CardStatistics:
    """One pass over the rows; memory holds three numbers a row."""
    count = turns = characters = 0
    languages, flagged = Counter[str](), Counter[str]()
    scores: dict[str, list[float]] = {"evol score": [], "complexity": [], "quality": []}
    for row in rows:
        count += 1
        turns += len(row.conversation.turns)
        characters += sum(len(m.content) for m in row.conversation.messages)
        languages[row.language or "unknown"] += 1
        flagged.update(row.flags)
        for name, value in zip(scores, (row.evol_score, row.complexity, row.quality), strict=True):
            if value is not None and isfinite(value):
                scores[name].append(value)
    in_order = {name: tuple(sorted(values)) for name, values in scores.items()}
    most_first = _most_first(languages), _most_first(flagged)
    return CardStatistics(count, turns, characters, *most_first, in_order)


def check_license(license: str) -> None:
    """Raises ExportError for what is no license identifier of the hub."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9.\-]*", license):
        raise ExportError(
            f"license {license!r} is not an identifier of the Hugging Face hub: use one such as "
            "apache-2.0, cc-by-4.0 or other"
        )


def dataset_card(manifest: Manifest, statistics: CardStatistics, license: str = "other") -> str:
    """README.md of the dataset, front matter included; ends with a line end.

    license: an identifier of the hub, else ExportError; "other" until the user names one.
    """
    check_license(license)
    parts = [
        _front_matter(manifest, statistics, license),
        f"# {manifest.selection.name}",
        _summary(manifest, statistics),
        "## How it was selected",
        _pool(manifest),
        _models(manifest.models),
        _rule(manifest.selection),
        "## What is in it",
        _numbers(statistics),
        *_review(manifest),
        "## How to load it",
        _loading(manifest),
        "## License",
        _LICENSE_UNKNOWN if license == "other" else _LICENSE.format(license),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(manifest: Manifest, statistics: CardStatistics, license: str) -> str:
    from huggingface_hub import DatasetCardData

    codes = [code for code in statistics.languages if re.fullmatch(r"[a-z]{2,3}", code)]
    size = _SIZES[min(max(len(str(statistics.rows)) - 3, 0), len(_SIZES) - 1)]
    data = DatasetCardData(
        license=license,
        language=codes or None,
        size_categories=[size],
        task_categories=["text-generation"],
        tags=["instruction-tuning", "data-selection", "deita"],
        pretty_name=manifest.selection.name,
        configs=[{"config_name": "default", "data_files": manifest.output.file_name}],
    )
    return f"---\n{data.to_yaml()}\n---"


def _summary(manifest: Manifest, statistics: CardStatistics) -> str:
    imported = sum(file.imported for file in manifest.pool)
    return (
        f"{statistics.rows:,} conversations for instruction tuning, selected from a pool of "
        f"{imported:,} with Deita Studio, which follows "
        f"[What Makes Good Data for Alignment?]({PAPER}): complexity and quality are scored, "
        "and near-duplicates of better rows are left out."
    )


def _pool(manifest: Manifest) -> str:
    rows = []
    for file in manifest.pool:
        counts = (file.read, file.imported, file.duplicates, file.rejected)
        shown = [f"{count:,}" for count in counts]
        rows.append((file.name, file.mapping.layout, *shown, f"`{file.sha256[:16]}`"))
    head = ("pool file", "layout", "read", "imported", "duplicates", "rejected", "SHA-256")
    return "### Pool\n\n" + _table(head, rows)


def _models(models: Iterable[ModelUse]) -> str:
    rows = []
    for model in models:
        parameters = ", ".join(f"{name} = {value}" for name, value in model.parameters.items())
        rows.append((model.role, model.id, f"`{model.revision}`", parameters))
    return "### Scorers and embedder\n\n" + _table(("for", "model", "revision", "with"), rows)


def _rule(selection: SelectionRecord) -> str:
    lines = [f"- strategy: {selection.strategy}"]
    for name, value in selection.parameters.items():
        if name == "threshold" and isinstance(value, int | float):
            lines.append(
                f"- threshold: cosine similarity above {value:g} to a row already kept drops a "
                f"row (cosine distance below {1 - value:.4g})"
            )
        elif name in ("pinned", "excluded") and isinstance(value, list | tuple) and value:
            lines.append(f"- {name}: {len(value):,} conversations; the manifest has their ids")
        elif name == "passing":
            lines.append("- rows that pass the filter: the manifest has them")
        elif name == "budget":
            unit = selection.parameters.get("budget_unit", "rows")
            budget = f"{value:,} {unit}" if isinstance(value, int) else "none"
            lines.append(f"- budget: {budget}")
        elif name == "aggregation":
            lines.append(f"- evol score: {value} over the turns of complexity x quality")
        else:
            lines.append(f"- {name}: {json.dumps(value, ensure_ascii=False)}")
    return "### Rule\n\n" + "\n".join(lines)


def _numbers(statistics: CardStatistics) -> str:
    rows = statistics.rows
    per_row = f"{statistics.characters / rows:,.0f}" if rows else "0"
    turns = f"{statistics.turns / rows:.2f}" if rows else "0"
    text = f"{rows:,} rows, {turns} turns and {per_row} characters a row on average."
    text += _counts("language", statistics.languages)
    scored = [(name, values) for name, values in statistics.scores.items() if values]
    if scored:
        head = ("score", "rows with it", "lowest", "median", "highest")
        lines = [
            (name, f"{len(v):,}", f"{v[0]:.2f}", f"{median(v):.2f}", f"{v[-1]:.2f}")
            for name, v in scored
        ]
        text += "\n\n" + _table(head, lines)
    return text + _counts("flag", statistics.flagged)


def _review(manifest: Manifest) -> list[str]:
    """A part on who reviewed how much and how well they agree, if anybody did."""
    found, output = manifest.review, manifest.output
    lines = []
    if found is not None:
        people = "person" if found.reviewers == 1 else "people"
        lines.append(
            f"{found.reviewed:,} of the rows selected were reviewed, by {found.reviewers:,} "
            f"{people}."
        )
        if found.twice:
            alpha = "unknown" if found.alpha is None else f"{found.alpha:.2f}"
            raw = "unknown" if found.raw is None else f"{found.raw:.0%}"
            lines.append(
                f"{found.twice:,} have two verdicts or more: Krippendorff's alpha (ordinal) "
                f"{alpha}, raw agreement {raw}."
            )
        lines.append(f"{found.edited:,} have a corrected text.")
    if output.texts == "corrected":
        lines.append("Texts: corrected, that is, edited rows are written in their newest version.")
    elif found is not None:
        lines.append("Texts: original, as they were imported.")
    if output.with_decisions:
        lines.append(
            "Beside each row: version of its text, who edited it, whether it was pinned, tags, how "
            "many said keep, drop and unsure, and the reviewers."
        )
    return ["## What people made of it", " ".join(lines)] if lines else []


def _counts(what: str, rows: MappingType[str, int]) -> str:
    """A table below what stands before it; nothing where there is nothing to count."""
    lines = [(name, f"{count:,}") for name, count in rows.items()]
    return "\n\n" + _table((what, "rows"), lines) if lines else ""


def _loading(manifest: Manifest) -> str:
    format = manifest.output.format
    loader = format if format in ("parquet", "csv") else "json"
    name = json.dumps(manifest.output.file_name, ensure_ascii=False)
    return (
        "```python\nfrom datasets import load_dataset\n\n"
        f'rows = load_dataset("{loader}", data_files={name}, split="train")\n```\n\n'
        f"Format: {format}. SHA-256 of the file: `{manifest.output.sha256}`."
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    plain = str.maketrans({"|": "\\|", "\r": " ", "\n": " "})
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(c.translate(plain) for c in line) + " |" for line in lines)


def _most_first(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
