"""A scorer that was trained on pairs: `reward:FOLDER`.

A language model with one number as its output, higher for the better turn of a pair. For a turn
alone that number means nothing; a straight line that rises, fitted on the scores the model was
trained with and kept in the folder (`reward.json`), makes it 1 to 6. The order of turns is the
model's.

It reads the same prompts as the scorers that answer with a token, cut in the same way. On a CPU a
score depends on its turn alone, to the last bit; on a GPU the batch moves its last digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, FiniteFloat, PositiveFloat

from deita_core.errors import ModelError
from deita_core.models.batches import first_budget, padded, run_longest_first
from deita_core.models.device import pick_device
from deita_core.models.language_model import LanguageModel, check_max_tokens, load_language_model
from deita_core.models.options import ModelOptions, Parameters
from deita_core.scoring.llm.prompts import TEMPLATE, PromptTokenizer, prompt_of
from deita_core.scoring.protocol import (
    NOT_FINITE,
    Dimension,
    ScoreBatch,
    TurnText,
    score_scorable,
)

LINE = "reward.json"


class RewardLine(BaseModel):
    """What makes a score of the model's number: low + slope x number, held within 1 to 6.

    dimension: what the model was trained for. template: the prompts it reads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dimension: Dimension
    template: str
    slope: PositiveFloat
    low: FiniteFloat

    def scores(self, numbers: NDArray[np.float64]) -> NDArray[np.float32]:
        """(n,) numbers -> (n,) float32 in [1, 6]; NaN stays NaN."""
        return np.asarray(np.clip(self.low + self.slope * numbers, 1.0, 6.0), np.float32)


def read_line(folder: Path) -> RewardLine:
    """The line of a trained folder; ModelError when there is none that can be used."""
    try:
        line = RewardLine.model_validate_json((folder / LINE).read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder} is no scorer trained on pairs: its {LINE} cannot be read; name the folder "
            "that such a training made"
        ) from error
    if line.template != TEMPLATE:
        raise ModelError(
            f"{folder} was trained on the prompts {line.template!r}, and here they are "
            f"{TEMPLATE!r}: train it anew"
        )
    return line


class RewardModel:
    """A language model that gives a turn one number, on one device."""

    def __init__(self, folder: Path, options: ModelOptions) -> None:
        """Loads it; ModelError when that fails."""
        device = options.device or pick_device().kind
        self.model: LanguageModel = load_language_model(
            str(folder), head="value", precision=options.precision, device=device
        )
        check_max_tokens(str(folder), options.max_tokens, self.model.limit)
        self.tokenizer = PromptTokenizer(
            self.model.tokenizer, options.max_tokens or self.model.limit
        )
        self._budget = first_budget(self.model.device, options.batch_tokens)
        network = self.model.network
        filler = network.config.get_text_config().pad_token_id
        if filler is None:
            raise ModelError(
                f"{folder} does not say with which token rows are filled up (pad_token_id in "
                "config.json), by which the model knows where a text ends"
            )
        self._filler = int(filler)
        # The one number in float32: bfloat16 has three digits, and many turns would tie.
        head = getattr(network, "score", None)
        if head is None:
            raise ModelError(f"{type(network).__name__} has no layer that gives a single number")
        head.float().register_forward_pre_hook(lambda _, given: (given[0].float(),))

    def numbers(
        self, dimension: Dimension, turns: Sequence[TurnText]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[str | None]]:
        """The model's (n,) numbers, which texts were cut (n,), and why a number is NaN.

        `turns` must have what the dimension needs.
        """
        encoded = self.tokenizer.encode([prompt_of(dimension, turn) for turn in turns])
        found = np.full(len(turns), np.nan)

        def one_batch(rows: list[int]) -> None:
            found[rows] = self._of_batch(padded(encoded.ids, rows, self._filler))

        lengths = [len(ids) for ids in encoded.ids]
        failed = run_longest_first(lengths, self._budget, one_batch)
        reasons = [
            failed.get(row, None if np.isfinite(number) else NOT_FINITE)
            for row, number in enumerate(found)
        ]
        return found, encoded.truncated, reasons

    def _of_batch(self, ids: Any) -> NDArray[np.float64]:
        """(B, T) int64 tokens -> (B,) float64. No mask: see `padded`."""
        import torch

        with torch.inference_mode():
            given = self.model.network(input_ids=ids.to(self.model.device), use_cache=False)
            return np.asarray(given.logits[:, 0].double().cpu().numpy())


class RewardScorer:
    """Scores turns 1 to 6 by a model that was trained on pairs; see `Scorer` and the module's text.

    id: "reward:", then the absolute path of the folder.
    """

    def __init__(
        self, folder: str | Path, dimension: Dimension, options: ModelOptions | None = None
    ) -> None:
        """Raises ModelError when the folder holds no such scorer, or not for that dimension."""
        place, options = Path(folder).expanduser(), options or ModelOptions()
        self._line = read_line(place)
        if self._line.dimension != dimension:
            raise ModelError(f"{folder} scores {self._line.dimension}, not {dimension}")
        self._reward = RewardModel(place, options)
        model = self._reward.model
        self.dimension: Dimension = dimension
        self.id = f"reward:{model.name}"
        self.revision = model.revision
        self.parameters: Parameters = {
            "precision": model.precision,
            "max_tokens": self._reward.tokenizer.max_tokens,
            "template": TEMPLATE,
        }

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """Scores in the order of `turns`; NaN with a reason where there is none."""
        return score_scorable(self.dimension, turns, self._scored)

    def _scored(self, turns: Sequence[TurnText]) -> ScoreBatch:
        numbers, truncated, reasons = self._reward.numbers(self.dimension, turns)
        scores = self._line.scores(numbers)
        scores[[reason is not None for reason in reasons]] = np.nan
        return ScoreBatch(scores, tuple(reasons), None, truncated)
