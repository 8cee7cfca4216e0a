"""Scorers: complexity and quality of a turn, 1 to 6.

Importing this loads no model: the light scorers read their weights when they are made, and
the tokenizer at the first score; an LLM scorer loads its model when it is made.
"""

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
