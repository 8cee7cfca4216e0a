"""The command line: `python -m deita_core COMMAND`; it ends with 0, or with 1 and a reason."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from deita_core.cli import commands, model_commands
from deita_core.cli import commands as score_commands
from deita_core.cli.options import add_despite_health, add_model_options, add_rule_options
from deita_core.errors import DeitaError, JobCancelledError
from deita_core.formats.read import LAYOUTS
from deita_core.formats.write import EXPORT_FORMATS
from deita_core.jobs.kinds.score_files import FORMATS as SCORE_FORMATS
from deita_core.project.folder import path_of, projects_folder
from deita_core.version import VERSION

_FORMATS = tuple(EXPORT_FORMATS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0 good, 1 failed, 130 stopped by the user)."""
    options = build_parser().parse_args(arguments)
    try:
        options.run(options)
    except JobCancelledError as error:
        print(f"stopped: {error}", file=sys.stderr)
        return 130
    except DeitaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output has gone (`| head`)
        return 1
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command and its help."""
    parser = argparse.ArgumentParser(
        prog="python -m deita_core",
        description="Choose instruction-tuning data: import, score, embed, graph, map, select, "
        "export. `run` does all of it in one command.",
    )
    parser.add_argument("--version", action="version", version=f"Deita Studio {VERSION}")
    commands_ = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands_)
    _add_steps(commands_)
    _add_select(commands_)
    _add_export(commands_)
    _add_scores(commands_)
    _add_pilot(commands_)
    _add_replay(commands_)
    _add_info(commands_)
    return parser


_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _command(commands_: _Commands, name: str, help: str, example: str) -> argparse.ArgumentParser:
    return commands_.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=f"Example: python -m deita_core {name} {example}",
    )


def _add_project(parser: argparse.ArgumentParser, *, beside_out: bool = False) -> None:
    default = None if beside_out else path_of(projects_folder(), "default")
    parser.add_argument(
        "--project",
        type=Path,
        default=default,
        metavar="FILE",
        help="the project file, made when missing (default: "
        + ("beside --out)" if beside_out else "default.duckdb in the folder of projects)"),
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long to wait while another process has the project open (default: 0)",
    )


def _add_pool(parser: argparse.ArgumentParser, metavar: str) -> None:
    parser.add_argument("files", nargs="*", type=Path, metavar=metavar, help="files of the pool")
    parser.add_argument(
        "--hub",
        metavar="OWNER/NAME",
        help="also a dataset of the Hugging Face hub (needs network)",
    )
    parser.add_argument("--split", default="train", help="of that dataset (default: train)")


def _add_mapping(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--layout", choices=tuple(LAYOUTS), help="how to read the records, instead of detecting it"
    )
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="OURS=THEIRS",
        help="a field's name in the file, e.g. --column instruction=question; may be repeated",
    )
    parser.add_argument(
        "--role",
        action="append",
        default=[],
        metavar="THEIRS=OURS",
        help="a role's name in the file, e.g. --role Benutzer=user; may be repeated",
    )


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--complexity", default="light", help="complexity scorer (default: light)")
    parser.add_argument("--quality", default="light", help="quality scorer (default: light)")


def _add_embedder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--embedder", default="minilm", help="embedder (default: minilm)")


def _add_run(commands_: _Commands) -> None:
    parser = _command(
        commands_,
        "run",
        "the whole way: import, score, embed, graph, map, select, export",
        "pool.json --budget 6000 --threshold 0.9 --out selected.json",
    )
    _add_pool(parser, "POOL")
    add_rule_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    parser.add_argument("--format", choices=_FORMATS, default="sharegpt", help="default: sharegpt")
    _add_license(parser)
    parser.add_argument(
        "--no-map", action="store_true", help="leave out the graph and the map (saves time)"
    )
    parser.add_argument("--name", default="run", help="name of the selection (default: run)")
    _add_mapping(parser)
    _add_models(parser)
    _add_embedder(parser)
    add_despite_health(parser)
    add_model_options(parser)
    _add_project(parser, beside_out=True)
    parser.set_defaults(run=commands.run)


def _add_steps(commands_: _Commands) -> None:
    parser = _command(commands_, "import", "import pool files", "a.json b.jsonl.gz")
    _add_pool(parser, "FILE")
    _add_mapping(parser)
    _add_project(parser)
    parser.set_defaults(run=commands.import_files)

    parser = _command(commands_, "preview", "show how a file would be imported", "a.json")
    parser.add_argument("file", type=Path, metavar="FILE")
    _add_mapping(parser)
    parser.set_defaults(run=commands.preview)

    parser = _command(commands_, "score", "score what has no score yet", "--quality light")
    _add_models(parser)
    add_despite_health(parser)
    parser.add_argument(
        "--retry-failed", action="store_true", help="try rows without a score again"
    )
    add_model_options(parser)
    _add_project(parser)
    parser.set_defaults(run=model_commands.score)

    parser = _command(commands_, "embed", "embed what has no vector yet", "--embedder minilm")
    _add_embedder(parser)
    add_model_options(parser)
    _add_project(parser)
    parser.set_defaults(run=model_commands.embed)

    parser = _command(commands_, "graph", "find all pairs of similar rows, and the clusters", "")
    _add_project(parser)
    parser.set_defaults(run=commands.make_graph)

    parser = _command(commands_, "map", "lay the embeddings out on a plane (UMAP)", "")
    _add_project(parser)
    parser.set_defaults(run=commands.make_map)

    parser = _command(commands_, "sample", "make the sample project, if it is not there", "")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.set_defaults(run=commands.sample)


def _add_select(commands_: _Commands) -> None:
    parser = _command(
        commands_, "select", "choose rows and save the selection", "--budget 6000 --name first"
    )
    add_rule_options(parser)
    parser.add_argument("--name", required=True, help="name of the selection")
    parser.add_argument("--replace", action="store_true", help="replace one of the same name")
    parser.add_argument("--notes", default="", help="a note kept with it")
    _add_project(parser)
    parser.set_defaults(run=commands.select)


def _add_export(commands_: _Commands) -> None:
    parser = _command(
        commands_, "export", "write a saved selection to a file", "--selection first --out f.json"
    )
    parser.add_argument("--selection", required=True, metavar="NAME")
    parser.add_argument("--format", choices=_FORMATS, default="sharegpt", help="default: sharegpt")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    _add_license(parser)
    _add_project(parser)
    parser.set_defaults(run=commands.export)


def _add_scores(commands_: _Commands) -> None:
    parser = _command(
        commands_,
        "import-scores",
        "take scores from a file, or from columns of the pool",
        "scored.json --complexity complexity_scores",
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: the pool")
    parser.add_argument("--complexity", metavar="FIELD", help="the field that holds complexity")
    parser.add_argument("--quality", metavar="FIELD", help="the field that holds quality")
    parser.add_argument("--list", action="store_true", help="list the pool's numeric columns")
    _add_project(parser)
    parser.set_defaults(run=score_commands.import_scores)

    parser = _command(
        commands_, "export-scores", "write the scores of every turn to a file", "--out scores.csv"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--format",
        choices=SCORE_FORMATS,
        default="csv",
        help="csv (default), parquet, or deita, as the reference implementation writes them",
    )
    _add_project(parser)
    parser.set_defaults(run=score_commands.export_scores)


def _add_license(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--license", default="other", help="for the dataset card (default: other)")


def _add_pilot(commands_: _Commands) -> None:
    parser = _command(
        commands_,
        "pilot",
        "try models on a few rows and say what the rest takes",
        "--complexity deita --quality deita --price 2.50",
    )
    parser.add_argument("--complexity", metavar="NAME", help="complexity scorer to try")
    parser.add_argument("--quality", metavar="NAME", help="quality scorer to try")
    parser.add_argument("--embedder", metavar="NAME", help="embedder to try")
    parser.add_argument("--rows", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--price", type=float, help="of the machine per hour, for the cost")
    add_model_options(parser)
    _add_project(parser)
    parser.set_defaults(run=model_commands.pilot)

    parser = _command(commands_, "devices", "list devices and what fits them", "--model FOLDER")
    parser.add_argument("--model", metavar="NAME", help="say which precisions of it fit")
    parser.set_defaults(run=model_commands.show_devices)


def _add_replay(commands_: _Commands) -> None:
    parser = _command(
        commands_,
        "replay",
        "make an exported file again from its manifest and compare",
        "selected.manifest.json --pool-dir pools",
    )
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    parser.add_argument("--out", type=Path, help="default: replayed-NAME beside the manifest")
    parser.add_argument(
        "--pool-dir", type=Path, action="append", default=[], help="where else to look for files"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.set_defaults(run=commands.replay)


def _add_info(commands_: _Commands) -> None:
    parser = _command(commands_, "info", "say how far a project has come", "--json")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    _add_project(parser)
    parser.set_defaults(run=commands.info)
