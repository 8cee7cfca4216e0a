"""Scorers: complexity and quality of a turn, 1 to 6. Importing this loads no model."""

from deita_core.models.options import ModelOptions
from deita_core.scoring.light.scorer import LightScorer
from deita_core.scoring.llm.scorer import LLMScorer
from deita_core.scoring.protocol import DIMENSIONS, Dimension, ScoreBatch, Scorer, TurnText

__all__ = [
    "DIMENSIONS",
    "Dimension",
    "LLMScorer",
    "LightScorer",
    "ModelOptions",
    "ScoreBatch",
    "Scorer",
    "TurnText",
]
