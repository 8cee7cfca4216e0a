"""What other tools mean by their threshold, and the rule that does the same here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Preset:
    """A known convention.

    name: for files. label: for people. strategy, threshold: what to put into the rule; the
    threshold is a cosine similarity. explanation: the conversion, in one sentence or two.
    """

    name: str
    label: str
    strategy: str
    threshold: float
    explanation: str


PRESETS: Final = (
    Preset(
        "paper",
        "Paper",
        "repr_filter",
        0.9,
        "Deita drops a row with a similarity above 0.9 to one kept before it: cosine distance "
        "below 0.1. Its 0.9 belongs to LLaMA embeddings, which lie close together; under another "
        "embedder the same number may drop hardly any row.",
    ),
    Preset(
        "distilabel",
        "distilabel",
        "distilabel",
        0.96,
        "DeitaFiltering keeps a row whose cosine distance to the nearest row of the whole pool is "
        "at least its diversity_threshold: 0.04, as in its DEITA pipeline, is similarity 0.96. Its "
        "default of 0.9 is similarity 0.10 and keeps almost nothing; of two twins both are "
        "dropped.",
    ),
    Preset(
        "nemo",
        "NeMo Curator",
        "nemo_curator",
        0.99,
        "NeMo Curator drops a row of a cluster with a similarity of 1 - eps or more to another: "
        "its default eps of 0.01 is similarity 0.99, and a row at exactly 0.99 is dropped too.",
    ),
)


def find_preset(strategy: str, threshold: float) -> Preset | None:
    """The preset that has this strategy and threshold, if one has."""
    for preset in PRESETS:
        if (preset.strategy, preset.threshold) == (strategy, threshold):
            return preset
    return None
