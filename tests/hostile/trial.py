"""Imports a file as a project does, in a child that may neither grow, nor run long, nor do more.

The child is forked after the imports, so that it costs milliseconds. An audit hook sees what it
opens to write, runs, loads from a pickle or connects to: none of it may happen outside its folder.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from deita_core.conversation import Conversation, Message
from deita_core.describe import describe
from deita_core.errors import DeitaError
from deita_core.formats.read import Detection, Mapping, detect, read
from deita_core.formats.read.containers import Container
from deita_core.jobs.chains import register_files
from deita_core.jobs.kinds.import_pool import _batches, refused, rows_and_rejects
from deita_core.project import Project
from deita_core.project.columns import numeric_columns
from deita_core.project.pool import add_rows, finish_source, set_source_facts, sources

MOST_GROWTH = 1_500_000_000
MOST_SECONDS = 20  # of the processor
_HANGS = 300  # seconds of the clock
_CONNECTS = ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname")
_FORBIDDEN = (
    *_CONNECTS,
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "subprocess.Popen",
    "pickle.find_class",
)


describe(Conversation((Message("user", "What loads its model here loads none in the children."),)))


@dataclass(frozen=True)
class Outcome:
    """said: "rows", "refused" or what went wrong. growth: in bytes."""

    said: str
    rows: int = 0
    rejects: int = 0
    error: str = ""
    growth: int = 0
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Rows and rejects that add up, or one error of ours."""
        return self.said in ("rows", "refused")


def tables(found: Detection) -> Iterator[tuple[pa.Table, pa.Table]]:
    """What the import job hands over, batch by batch; positions are dense."""
    mapping = Mapping.from_json(found.mapping.to_json())
    container = Container.from_json(found.container.to_json())
    end = 0
    for batch in _batches(read(found.path, mapping, container=container)):
        assert [row.position for row in batch] == list(range(end, end + len(batch)))
        end += len(batch)
        rows, rejects = rows_and_rejects(batch)
        assert len(rows) + len(rejects) == len(batch)
        yield rows, rejects


def refusal(error: DeitaError) -> str:
    """What it says, which must be a message that can be shown."""
    said = str(error)
    assert 10 < len(said) < 2_000, said[:3_000]
    said.encode()
    return said


def import_file(path: Path, folder: Path) -> Outcome:
    """All that the import job does, in this process; raises nothing but mistakes of ours."""
    try:
        with Project.open(folder / "p.duckdb", create=True) as project:
            (source,) = register_files(project, [path])
            found = detect(path)
            facts = {"path": str(path), "sha256": None, "bytes": path.stat().st_size}
            facts |= {"container": found.container.to_json(), "mapping": found.mapping.to_json()}
            set_source_facts(project, source, {**facts, "explanation": found.explanation})
            end = 0
            for rows, rejects in tables(found):
                end += len(rows) + len(rejects)
                add_rows(project, source, rows, rejects)
            finish_source(project, source, end)
            (one,) = sources(project)
            assert one.complete
            assert one.read == end
            for told in refused(project):
                told.options.encode()
            numeric_columns(project)
            return Outcome("rows", one.imported + one.duplicates, one.rejected)
    except DeitaError as error:
        return Outcome("refused", error=refusal(error))


def attempt(content: bytes, name: str) -> Outcome:
    """The file, imported in a child under the limits."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as made:
        folder = Path(made)
        (folder / "in").mkdir()
        path = folder / "in" / name
        path.write_bytes(content)
        del content
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            os._exit(_child(path, folder, writing))
        os.close(writing)
        with os.fdopen(reading) as told:
            lines = told.read().splitlines()
        _, status, used = os.wait4(child, 0)
        seconds = used.ru_utime + used.ru_stime
        stray = sorted(p.name for p in (folder / "in").iterdir() if p != path)
    if os.WIFSIGNALED(status):
        by = signal.Signals(os.WTERMSIG(status)).name
        slow = {"SIGXCPU": "too long", "SIGALRM": "hung"}
        return Outcome(slow.get(by, by), seconds=seconds)
    if stray or not lines:
        return Outcome(f"left behind {stray}" if stray else "said nothing", seconds=seconds)
    return Outcome(**{**json.loads(lines[-1]), "seconds": seconds})


def _child(path: Path, folder: Path, writing: int) -> int:
    forbidden: list[str] = []

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FORBIDDEN:
            forbidden.append(f"{event} {arguments!r}"[:200])
        elif event == "open" and isinstance(arguments[0], str) and arguments[2] & os.O_ACCMODE:
            place = os.path.abspath(arguments[0])
            if not place.startswith((str(folder), tempfile.gettempdir(), "/dev/null")):
                forbidden.append(f"{event} {place}"[:200])

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_HANGS)
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS + 5))
    os.chdir(path.parent)
    before = _held("VmSize")
    peak = _held("VmRSS")
    resource.setrlimit(resource.RLIMIT_AS, (before + MOST_GROWTH, before + MOST_GROWTH))
    sys.addaudithook(look)
    with open(os.devnull, "w") as nothing, redirect_stderr(nothing):
        try:
            outcome = import_file(path, folder)
        except BaseException:
            outcome = Outcome("error", error=traceback.format_exc()[-1_500:])
    if forbidden:
        outcome = Outcome(f"did what it must not: {forbidden[0]}")
    told = {**outcome.__dict__, "growth": max(0, _held("VmHWM") - peak)}
    with suppress(OSError), os.fdopen(writing, "w") as out:
        out.write(json.dumps(told))
    return 0


def _held(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) * 1024
