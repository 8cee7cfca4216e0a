"""Runs a training that was written before: `python -m deita_core.training.launch training.yaml`.

Under `accelerate launch` it trains on all the GPUs that it is given. Each step is a line on the
standard output; a training that was stopped goes on from its last checkpoint.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deita_core.errors import DeitaError
from deita_core.training.labels import TrainingStep
from deita_core.training.llm import run_llm
from deita_core.training.llm_plan import read_plan
from deita_core.training.pairwise import run_pairwise


def main(arguments: Sequence[str]) -> int:
    """Trains as the file says; 0 when the scorer is there, 1 after an error, 2 for no file."""
    if len(arguments) != 1:
        print("usage: python -m deita_core.training.launch TRAINING.yaml", file=sys.stderr)
        return 2
    path = Path(arguments[0]).resolve()
    try:
        plan = read_plan(path)
        run = run_llm if plan.method == "llm" else run_pairwise
        run(plan, path.parent.parent, _say)
    except DeitaError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _say(step: TrainingStep) -> None:
    if os.environ.get("RANK", "0") != "0":  # one of many processes speaks
        return
    loss = "" if step.loss is None else f", loss {step.loss:.4f}"
    print(f"{step.stage} {step.done}/{step.total}{loss}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
