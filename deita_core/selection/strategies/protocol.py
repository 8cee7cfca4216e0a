"""What a strategy is: the one interface behind which all ways of selecting sit."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

from deita_core.progress import FilterProgress
from deita_core.selection.candidates import Candidates, Limits
from deita_core.selection.status import SelectionTrace


class Strategy(Protocol):
    """A way of selecting rows. `name` is for files, `label` for people, `phrase` for sentences:
    "300 rows selected by top score".
    """

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def phrase(self) -> str: ...

    @property
    def source(self) -> str:
        """Where it comes from and what it does, in one or two sentences."""
        ...

    @property
    def uses_threshold(self) -> bool:
        """False when the threshold of the rule changes nothing."""
        ...

    @property
    def uses_score(self) -> bool:
        """False when scores at most break ties or choose the first row."""
        ...

    @property
    def needs_graph(self) -> bool:
        """True when it raises SelectionError without a similarity graph."""
        ...

    @property
    def needs_clusters(self) -> bool:
        """True when it raises SelectionError without clusters."""
        ...

    @property
    def duplicate_of(self) -> str:
        """What its near-duplicates are too close to, e.g. "a better one"; "" if it has none."""
        ...

    def steps(
        self, candidates: Candidates, limits: Limits
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """A generator of progress that returns the trace, numbered like `candidates`."""
        ...
