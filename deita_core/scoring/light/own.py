"""Light scorers that a user trained: `light:FOLDER`.

The folder has the same weights file as the shipped scorers, with the rating head alone, and
`scorer.json`, which says what it was trained for and what its weights were then.
"""

from __future__ import annotations

from pathlib import Path

from deita_core.errors import ModelError
from deita_core.scoring.light.scorer import LightScorer
from deita_core.scoring.protocol import Dimension
from deita_core.scoring.trained import read_trained


def own_light_scorer(folder: str, dimension: Dimension) -> LightScorer:
    """The scorer in a folder; ModelError when there is none, it is damaged, or it was trained for
    the other dimension."""
    check_own_light(folder, dimension)
    place = Path(folder).expanduser().resolve()
    told = read_trained(place)
    try:
        scorer = LightScorer(dimension, place, own=True)
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(
            f"the weights in {place} are not those of a light scorer: train it anew"
        ) from error
    if scorer.revision != told.revision:
        raise ModelError(
            f"the weights in {place} were changed since they were trained (revision "
            f"{told.revision} then, {scorer.revision} now): restore the folder, or train it anew"
        )
    return scorer


def check_own_light(folder: str, dimension: Dimension) -> None:
    """Raises ModelError for a folder that cannot be a light scorer of this dimension."""
    if not folder.strip():
        raise ModelError("light: needs the folder of a scorer that you trained; without it: light")
    told = read_trained(Path(folder).expanduser().resolve())
    if told.method != "light":
        raise ModelError(f"{folder} was trained as {told.method}: load it as {told.loads}FOLDER")
    if told.dimension != dimension:
        raise ModelError(f"{folder} was trained for {told.dimension} and cannot score {dimension}")


def check_revision(name: str, revision: str) -> None:
    """Raises ModelError when `light:FOLDER` has other weights now than those of that revision, or
    none; other names are not looked at."""
    kind, colon, folder = name.partition(":")
    if kind != "light" or not colon:
        return
    now = read_trained(Path(folder).expanduser().resolve()).revision
    if now != revision:
        raise ModelError(
            f"{folder} has revision {now} now, and {revision} is asked for: restore the folder of "
            "that time"
        )
