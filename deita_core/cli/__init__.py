"""The command line: `deita COMMAND`, or `python -m deita_core COMMAND`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from typer import Exit, Option, Typer
from typer.main import get_command

from deita_core import VERSION
from deita_core.cli import care, commands, comparing, evolving, groups, review, rows, training
from deita_core.cli.options import grouped
from deita_core.errors import DeitaError, JobCancelledError
from deita_core.files import PRIVATE_UMASK, one_line

PROGRAM = "deita" if Path(sys.argv[0]).stem == "deita" else "python -m deita_core"

app = Typer(
    help="Choose instruction-tuning data: import, score, embed, graph, map, select, export. "
    "`run` does all of it in one command.",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

# In the order of the help: the function, its name, what may follow the name.
_COMMANDS = (
    (commands.run, "run", "pool.json --budget 6000 --threshold 0.9 --out selected.json"),
    (commands.import_files, "import", "a.json b.jsonl.gz"),
    (commands.preview, "preview", "a.json"),
    (commands.score, "score", "--quality light"),
    (commands.embed, "embed", "--embedder minilm"),
    (commands.make_graph, "graph", ""),
    (commands.make_map, "map", ""),
    (groups.show_clusters, "clusters", "--make --method hdbscan"),
    (groups.show_duplicates, "duplicates", "--threshold 0.9 --drop"),
    (groups.contamination, "contamination", "--against questions.jsonl --json"),
    (commands.sample, "sample", ""),
    (rows.show_rows, "rows", '--filter quality=4.. --search "sour dough" --json'),
    (rows.view, "view", "save --name good --filter quality=4.."),
    (commands.select, "select", "--budget 6000 --name first"),
    (comparing.compare, "compare", "strict loose"),
    (comparing.show_stability, "stability", "strict --json"),
    (commands.export, "export", "--selection first --out f.json"),
    (commands.import_scores, "import-scores", "scored.json --complexity complexity_scores"),
    (commands.export_scores, "export-scores", "--out scores.csv"),
    (commands.pilot, "pilot", "--complexity deita --quality deita --price 2.50"),
    (commands.devices, "devices", "--model FOLDER"),
    (review.tag, "tag", "hard --id @ids.txt"),
    (review.queue, "queue", "first --by boundary --rows 200 --reviewers 2"),
    (review.decisions, "decisions", "--queue first --out decisions.jsonl"),
    (review.preferences, "preferences", "kto --queue first --out kto.jsonl"),
    (review.agreement, "agreement", "first --json"),
    (
        evolving.evolve,
        "evolve",
        "--kind complexity --seeds 200 --model NAME --base-url http://localhost:8000/v1",
    ),
    (evolving.chains, "chains", "complexity --chain 3"),
    (evolving.instag, "instag", "--model NAME --base-url http://localhost:8000/v1 --pilot"),
    (evolving.nodes, "nodes", "--model NAME --base-url http://localhost:8000/v1 --pilot"),
    (training.train_scorer, "train-scorer", "--dimension quality --from labels.csv"),
    (training.show_trained, "trained", "quality-light --card"),
    (commands.replay, "replay", "selected.json.manifest.json --pool-dir pools"),
    (commands.info, "info", "--json"),
    (care.snapshot, "snapshot", "--project pool.duckdb --name friday"),
    (care.check, "check", "--project pool.duckdb --deep"),
    (commands.show_log, "log", "--out log.csv"),
    (commands.open_app, "app", "--port 8502"),
)
for _function, _name, _arguments in _COMMANDS:
    _example = f"Example: {PROGRAM} {_name} {_arguments}".rstrip()
    app.command(_name, epilog=_example)(grouped(_function))


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"Deita Studio {VERSION}")
        raise Exit


@app.callback()
def _every_command(
    version: bool = Option(
        False, "--version", help="say the version", callback=_print_version, is_eager=True
    ),
) -> None:
    """What may stand before a command."""


@cache
def _command() -> Any:
    """All commands with their options, made once: it takes as long as many a command."""
    return get_command(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns the exit status: 0 good; 1 failed, with the reason on standard error; 2 for arguments
    that make no sense; 130 stopped by the user.
    """
    before = os.umask(PRIVATE_UMASK)  # projects and exports are nobody else's to read
    try:
        _command()(arguments, prog_name=PROGRAM)
    except JobCancelledError as error:
        print(f"stopped: {one_line(str(error))}", file=sys.stderr)
        return 130
    except DeitaError as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)
        return 1
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        os.umask(before)
    return 0
