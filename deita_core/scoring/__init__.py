"""Scorers: complexity and quality of a turn, 1 to 6.

Importing this loads no model: the light scorers read their weights when they are made, and
the tokenizer at the first score.
"""

from deita_core.scoring.light import LightScorer
from deita_core.scoring.protocol import DIMENSIONS, Dimension, ScoreBatch, Scorer, TurnText

__all__ = ["DIMENSIONS", "Dimension", "LightScorer", "ScoreBatch", "Scorer", "TurnText"]
