"""What the folder of a scorer that a user trained says of it, in `scorer.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeInt, ValidationError

from deita_core.errors import ModelError
from deita_core.scoring.protocol import Dimension

FACTS = "scorer.json"
# light: small models on a CPU. llm: a language model that answers with a score. pairwise: one that
# was trained on which of two turns is the better.
TrainingMethod = Literal["light", "llm", "pairwise"]
METHODS: tuple[TrainingMethod, ...] = get_args(TrainingMethod)
_LOADS = {"light": "light:", "llm": "llm:", "pairwise": "reward:"}


class TrainedScorer(BaseModel):
    """A scorer of one's own.

    source: where its labels came from, in words; labels_sha256: of all labels as they were used.
    revision: of its weights (light), else "". learnt, held_out: labelled turns, groups: of all.
    beats_length: whether it ranks held-out turns better than length alone. made: UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    dimension: Dimension
    method: TrainingMethod
    source: str
    labels_sha256: str
    revision: str = ""
    learnt: NonNegativeInt
    held_out: NonNegativeInt
    groups: NonNegativeInt
    seed: NonNegativeInt
    beats_length: bool
    made: AwareDatetime

    @property
    def loads(self) -> str:
        """What stands before the folder in the name that the catalogue loads."""
        return _LOADS[self.method]


def read_trained(folder: Path) -> TrainedScorer:
    """What a folder says; ModelError when it says nothing that can be read."""
    path = folder / FACTS
    try:
        return TrainedScorer.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder} is no scorer of your own: it has no {FACTS}; name the folder that a "
            "training made"
        ) from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        place = ".".join(map(str, wrong["loc"])) or "the file"
        raise ModelError(
            f"{path} is damaged: {place}: {wrong['msg']}; restore the folder, or train it anew"
        ) from error
