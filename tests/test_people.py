"""people: roles, the file that gives them, and that the core asks for them."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from deita_core import people
from deita_core.errors import PermissionDeniedError, ProjectError, RolesError
from deita_core.evolving.variant import Variant
from deita_core.jobs import JobRunner
from deita_core.jobs.kinds import GraphSpec
from deita_core.jobs.trained import delete_trained, keep_trained
from deita_core.models.answers import answers_table
from deita_core.people import ROLES, Person, acting_as, local_person, role_book
from deita_core.project import Project
from deita_core.project.answers import keep_answers
from deita_core.project.check import Finding, mend
from deita_core.project.clusters import Cluster, forget_clusters, rename_cluster, set_clusters
from deita_core.project.contamination import forget_benchmark, set_benchmark
from deita_core.project.duplicates import set_text_duplicates
from deita_core.project.evolutions import (
    EvolutionPlan,
    add_chains,
    begin_evolution,
    ranking_table,
    reopen_failed,
    variant_table,
)
from deita_core.project.evolved_chains import correct_rank
from deita_core.project.folder import (
    create_project,
    delete_project,
    duplicate_project,
    last_deletion,
    place_for_upload,
)
from deita_core.project.graphs import graph_key, set_graph
from deita_core.project.job_log import (
    Progress,
    add_job,
    set_job_progress,
    set_job_state,
)
from deita_core.project.ledger import decide, edit_row, tag_rows, undo
from deita_core.project.log import log_entries
from deita_core.project.measured import keep_measures, keep_stability
from deita_core.project.models import (
    ModelIdentity,
    activate_model,
    add_pilot,
    register_model,
)
from deita_core.project.on_disk import scorers_folder
from deita_core.project.pins import pins, set_pins
from deita_core.project.pool import (
    add_rows,
    add_source,
    finish_source,
    forget_source,
    set_source_facts,
    stop_sources,
)
from deita_core.project.queue_state import end_leases, leases
from deita_core.project.queues import (
    answer,
    apply_verdicts,
    ask_more,
    claim,
    make_queue,
    release,
)
from deita_core.project.scores import add_scores, forget_failures
from deita_core.project.selections import (
    delete_selection,
    duplicate_selection,
    make_current,
    rename_selection,
    save_selection,
    selections,
    set_notes,
)
from deita_core.project.snapshots import make_snapshot
from deita_core.project.turn_tags import add_turn_tags
from deita_core.project.vectors import add_embeddings, set_map
from deita_core.project.views import delete_view, rename_view, save_view
from deita_core.review.decision import Decision
from deita_core.scoring.trained import FACTS, TrainedScorer
from tests.builders import conversation, prepared_project, vector_table

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def resolver() -> Iterator[None]:
    """The local user acts, unless a test says otherwise; afterwards whoever acted before."""
    before = people._resolver
    people.set_resolver(local_person)
    yield
    people.set_resolver(before)


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[Project]:
    with Project.open(prepared_project(tmp_path / "topics.duckdb", rows=12)) as project:
        save(project, "first")
        add_job(project, "embed", {})
        add_source(project, "empty.json", "/empty.json", None)
        save_view(project, "long", "turns=2..")
        name_two_clusters(project)
        find_in_a_benchmark(project)
        evolve_two_seeds(project)
        (scorers_folder(project.path) / "old").mkdir(parents=True)
        with acting_as(ada("curator")):
            make_queue(project, "first", range(6))
            claim(project, 1, most=2)
            answer(project, 1, [Decision(2, "drop")])
        yield project


def name_two_clusters(project: Project) -> None:
    named = [Cluster(n, f"cluster {n}", ("bread",), n, False) for n in (0, 1)]
    set_clusters(project, np.arange(12), np.arange(12) % 2, named, {"method": "k-means"})


def find_in_a_benchmark(project: Project) -> None:
    facts = dict.fromkeys(("run", "rows", "texts", "short"), 1)
    facts |= {"name": "questions.jsonl", "sha256": "0" * 64, "threshold": 0.9}
    pair = {"row": 1, "position": 0, "part": "question 1", "share": 0.5, "longest": "a loaf"}
    set_benchmark(project, facts, pa.Table.from_pylist([{**pair, "similarity": 0.95, "text": "A"}]))


def evolve_two_seeds(project: Project) -> None:
    """A run with one chain done, whose only round got no answer, and one not begun."""
    begin_evolution(project, "first", EVOLUTION, [(0, 0), (1, 0)])
    add_chains(project, 1, [0], *chains_without_an_answer(), no_answers())


def chains_without_an_answer() -> tuple[pa.Table, pa.Table]:
    failed = Variant(0, 1, 0, 0, "deepen", "", None, "failed", "no answer came")
    return variant_table([Variant(0, 0, 0, None, None, "Why?", None), failed]), ranking_table([])


def no_answers() -> pa.Table:
    return answers_table({})


def trained_folder(project: Project) -> Path:
    """A scorer as a training leaves it."""
    facts = TrainedScorer(
        name="new",
        dimension="quality",
        method="light",
        source="a file",
        labels_sha256="0" * 64,
        learnt=1,
        held_out=1,
        groups=2,
        seed=1,
        beats_length=False,
        made=datetime(2026, 1, 1, tzinfo=UTC),
    )
    folder = made_graph(project)
    (folder / FACTS).write_text(facts.model_dump_json(), encoding="utf-8")
    return folder


def text_duplicates() -> pa.Table:
    return pa.table({"row": [1], "keeper": [0], "similarity": [0.9]})


def save(project: Project, name: str, **options: Any) -> int:
    rows, scores = np.array([1, 2]), np.array([3.0, 2.0])
    return save_selection(project, name, "{}", "2 of 12", rows, scores, **options)


def ada(role: people.Role) -> Person:
    return Person(name="Ada", email="ada@example.org", role=role, session="a")


EVOLUTION = EvolutionPlan("complexity", "m@http://localhost/v1", "1", 1, "{}")
WORDS = pa.list_(pa.string())
NO_TAGS = pa.schema(
    [("row", pa.int32()), ("turn", pa.int32()), ("given", WORDS), ("tags", WORDS)]
).empty_table()
# Every function that writes, with the least role that it takes.
SCORED = pa.table(
    {"row": [0], "turn": [0], "score": [3.0], "reason": pa.array([None], pa.string())}
)
WRITERS: dict[str, tuple[people.Role, Callable[[Project], object]]] = {
    "set_pins": ("reviewer", lambda p: set_pins(p, [1], "pinned")),
    "decide": ("reviewer", lambda p: decide(p, [Decision(1, "keep")])),
    "tag_rows": ("reviewer", lambda p: tag_rows(p, [1, 2], "hard")),
    "undo": ("reviewer", lambda p: undo(p, 1)),
    "edit_row": ("reviewer", lambda p: edit_row(p, 1, conversation(2), of=0)),
    "claim": ("reviewer", lambda p: claim(p, 1, most=4)),
    "release": ("reviewer", lambda p: release(p, 1)),
    "save_view": ("reviewer", lambda p: save_view(p, "short", "turns=..1")),
    "rename_view": ("reviewer", lambda p: rename_view(p, "long", "longer")),
    "delete_view": ("reviewer", lambda p: delete_view(p, "long")),
    "answer": ("reviewer", lambda p: answer(p, 1, [Decision(3, "keep")])),
    "make_queue": ("curator", lambda p: make_queue(p, "second", [1])),
    "end_leases": ("curator", lambda p: end_leases(p, 1, leases(p, 1)[0].reviewer)),
    "ask_more": ("curator", lambda p: ask_more(p, 1, [1])),
    "apply_verdicts": ("curator", lambda p: apply_verdicts(p, 1, "any")),
    "save_selection": ("curator", lambda p: save(p, "second")),
    "rename_selection": ("curator", lambda p: rename_selection(p, 1, "other")),
    "duplicate_selection": ("curator", lambda p: duplicate_selection(p, 1)),
    "make_current": ("curator", lambda p: make_current(p, 1)),
    "set_notes": ("curator", lambda p: set_notes(p, 1, "good")),
    "delete_selection": ("curator", lambda p: delete_selection(p, 1)),
    "add_source": ("curator", lambda p: add_source(p, "a.json", "/a.json", None)),
    "forget_source": ("curator", lambda p: forget_source(p, 1)),
    "finish_source": ("curator", lambda p: finish_source(p, 0, 14)),
    "register_model": (
        "curator",
        lambda p: register_model(p, "quality", ModelIdentity(id="new", revision="1")),
    ),
    "activate_model": ("curator", lambda p: activate_model(p, 1)),
    "add_pilot": ("curator", lambda p: add_pilot(p, "new", {})),
    "forget_failures": ("curator", lambda p: forget_failures(p, 1)),
    "set_map": (
        "curator",
        lambda p: set_map(p, 3, pa.table({"row": [0], "x": [0.0], "y": [1.0]}), {}),
    ),
    "set_clusters": ("curator", name_two_clusters),
    "rename_cluster": ("curator", lambda p: rename_cluster(p, 1, "Bread")),
    "set_text_duplicates": (
        "curator",
        lambda p: set_text_duplicates(p, text_duplicates(), 0.8, 12),
    ),
    "set_benchmark": ("curator", find_in_a_benchmark),
    "forget_benchmark": ("curator", lambda p: forget_benchmark(p, "questions.jsonl")),
    "set_graph": ("curator", lambda p: set_graph(p, made_graph(p), graph_key(p, 3))),
    "begin_evolution": (
        "curator",
        lambda p: begin_evolution(p, "second", EVOLUTION, [(2, 0)]),
    ),
    "_append_edit": ("reviewer", lambda p: correct_rank(p, 1, 0, 0, 2.0)),
    "keep_trained": ("curator", lambda p: keep_trained(p, "new", trained_folder(p))),
    "delete_trained": ("curator", lambda p: delete_trained(p, "old")),
    "add_job": ("curator", lambda p: add_job(p, "embed", {})),
    "set_job_state": ("curator", lambda p: set_job_state(p, 1, "failed")),
    "submit": ("curator", lambda p: JobRunner(p).submit([GraphSpec()])),
    "cancel": ("curator", lambda p: JobRunner(p).cancel(1)),
    "resume": ("curator", lambda p: JobRunner(p).resume(1)),
    "rename": ("admin", lambda p: p.rename("Answers")),
    "copy_to": ("admin", lambda p: p.copy_to(p.path.with_name("b.duckdb"))),
    "make_snapshot": ("admin", lambda p: make_snapshot(p, "friday")),
    "mend": ("admin", lambda p: mend(p, [Finding("", "", "scores", "t.row = 1")])),
    "duplicate_project": ("admin", lambda p: duplicate_project(p, "copy")),
}
# Batches of a job: the log has the job's beginning and end.
BATCHES: dict[str, Callable[[Project], object]] = {
    "add_rows": lambda p: add_rows(p, 0, no_rows(), no_rejects()),
    "set_source_facts": lambda p: set_source_facts(p, 0, facts()),
    "stop_sources": stop_sources,
    "forget_clusters": forget_clusters,
    "add_scores": lambda p: add_scores(p, 1, SCORED),
    "add_embeddings": lambda p: add_embeddings(p, 3, vector_table(np.ones((2, 8), np.float32))),
    "keep_measures": lambda p: keep_measures(p, "key", {}),
    "keep_stability": lambda p: keep_stability(p, 1, "key", {}),
    "set_job_progress": lambda p: set_job_progress(p, 1, Progress()),
    "add_chains": lambda p: add_chains(p, 1, [0], *chains_without_an_answer(), no_answers()),
    "reopen_failed": lambda p: reopen_failed(p, 1),
    "keep_answers": lambda p: keep_answers(p, no_answers(), "m@http://localhost/v1"),
    "add_turn_tags": lambda p: add_turn_tags(p, 1, NO_TAGS),
}


def made_graph(project: Project) -> Path:
    folder = project.path.with_name("made")
    folder.mkdir(exist_ok=True)
    return folder


def no_rows() -> pa.Table:
    from deita_core.jobs.kinds.import_pool import rows_and_rejects

    return rows_and_rejects([])[0]


def no_rejects() -> pa.Table:
    from deita_core.jobs.kinds.import_pool import rows_and_rejects

    return rows_and_rejects([])[1]


def facts() -> dict[str, Any]:
    names = ("path", "sha256", "bytes", "container", "mapping", "explanation")
    return {**dict.fromkeys(names), "path": "/a.json"}


def functions_that_write() -> set[str]:
    found = set()
    for path in (ROOT / "deita_core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any(map(is_transaction, ast.walk(node))):
                found.add(node.name)
    return found


def is_transaction(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return name in ("transaction", "_changing")


def everything(project: Project) -> dict[str, list[tuple[Any, ...]]]:
    tables = project.values("SELECT table_name FROM duckdb_tables() WHERE table_name <> 'log'")
    return {table: project.rows(f"SELECT * FROM {table} ORDER BY ALL") for table in tables}


def below(role: people.Role) -> people.Role:
    return ROLES[ROLES.index(role) - 1]


@pytest.mark.parametrize("name", WRITERS)
def test_who_may_not_write_changes_nothing_and_the_refusal_is_logged(
    prepared: Project, name: str
) -> None:
    needs, write = WRITERS[name]
    before, folder = everything(prepared), sorted(prepared.path.parent.iterdir())
    with acting_as(ada(below(needs))), pytest.raises(PermissionDeniedError, match=needs) as refused:
        write(prepared)
    assert f"Ada <ada@example.org> is a {below(needs)} and cannot" in str(refused.value)
    assert everything(prepared) == before
    assert [p for p in sorted(prepared.path.parent.iterdir()) if p.name != "made"] == folder
    last = log_entries(prepared, limit=1)[0]
    assert (last.action, last.who) == ("refused", "Ada <ada@example.org>")
    assert last.what["needs"] == needs


@pytest.mark.parametrize("name", WRITERS)
def test_who_may_write_is_in_the_log_with_it(prepared: Project, name: str) -> None:
    needs, write = WRITERS[name]
    last = log_entries(prepared, limit=1)[0].number
    with acting_as(ada(needs)):
        write(prepared)
    entries = log_entries(prepared, after=last)
    assert entries
    assert {(e.who, e.role, e.session) for e in entries} == {("Ada <ada@example.org>", needs, "a")}


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_of_a_job_takes_a_curator(prepared: Project, name: str) -> None:
    before = everything(prepared)
    with acting_as(ada("reviewer")), pytest.raises(PermissionDeniedError, match="curator"):
        BATCHES[name](prepared)
    assert everything(prepared) == before
    with acting_as(ada("curator")):
        BATCHES[name](prepared)
    assert log_entries(prepared, limit=1)[0].action == "refused"


def test_no_other_function_writes() -> None:
    # `_put` of snapshots opens the project anew: see tests/test_snapshots.py.
    assert functions_that_write() - {"_changing", "_put"} <= {*WRITERS, *BATCHES}


def test_the_log_and_the_ledger_are_only_ever_added_to() -> None:
    sources = [p.read_text(encoding="utf-8") for p in (ROOT / "deita_core").rglob("*.py")]
    changing = r"(UPDATE|DELETE FROM|DROP TABLE|ALTER TABLE|INTO|TRUNCATE)\s+"
    for table in ("log", "decisions"):
        touching = re.compile(rf"{changing}{table}\b")
        assert [found for text in sources for found in touching.findall(text)] == ["INTO"], table


def test_what_failed_is_not_in_the_log(prepared: Project) -> None:
    before = log_entries(prepared)
    with pytest.raises(ProjectError, match="not in this project"):
        set_pins(prepared, [99], "pinned")
    assert log_entries(prepared) == before


def test_without_login_the_user_of_this_machine_may_do_all(tmp_path: Path) -> None:
    with create_project(tmp_path, "Answers") as project:
        entries = log_entries(project)[::-1]
    assert [(e.number, e.action) for e in entries[:2]] == [
        (1, "create a project"),
        (2, "rename the project"),
    ]
    assert {(e.who, e.role) for e in entries} == {(local_person().name, "admin")}


def test_when_nobody_is_logged_in_nothing_is_written(prepared: Project, tmp_path: Path) -> None:
    people.set_resolver(lambda: None)
    with pytest.raises(PermissionDeniedError, match="nobody is logged in"):
        set_pins(prepared, [1], "pinned")
    assert log_entries(prepared, limit=1)[0].who == "nobody"
    with pytest.raises(PermissionDeniedError, match="cannot create a project"):
        Project.open(tmp_path / "new.duckdb", create=True)
    assert not (tmp_path / "new.duckdb").exists()


def test_making_and_deleting_projects_takes_an_admin(tmp_path: Path) -> None:
    create_project(tmp_path, "Answers").close()
    path = tmp_path / "answers.duckdb"
    with acting_as(ada("curator")):
        with pytest.raises(PermissionDeniedError, match="cannot create a project"):
            create_project(tmp_path, "Other")
        with pytest.raises(PermissionDeniedError, match="cannot delete a project"):
            delete_project(path)
        with pytest.raises(PermissionDeniedError, match="files into the data folder"):
            place_for_upload("1", "a.json", 1)
    assert [p.name for p in tmp_path.glob("*.duckdb")] == ["answers.duckdb"]


def test_a_deleted_project_is_remembered_with_who_deleted_it(tmp_path: Path) -> None:
    create_project(tmp_path, "Answers").close()
    assert last_deletion(tmp_path, "answers") is None
    with acting_as(ada("admin")):
        delete_project(tmp_path / "answers.duckdb")
    gone = last_deletion(tmp_path, "answers")
    assert gone is not None
    assert (gone.name, gone.who, gone.session) == ("Answers", "Ada <ada@example.org>", "a")


@pytest.mark.usefixtures("job_here")
def test_a_job_writes_on_behalf_of_who_asked_for_it(prepared: Project) -> None:
    people.set_resolver(lambda: None)  # the runner's thread has no session
    runner = JobRunner(prepared)
    with acting_as(ada("curator")):
        set_job_state(prepared, 1, "cancelled")
        job = runner.submit([GraphSpec()])[0]
    with acting_as(ada("viewer")):
        runner.start()  # to look at a project takes its jobs up, too
    while runner.busy:
        time.sleep(0.02)
    runner.stop()
    assert runner.record(job).state == "done"
    last = log_entries(prepared, action="build the graph")[0]
    assert (last.who, last.role) == ("Ada <ada@example.org>", "curator")


def test_a_job_that_is_over_says_so_in_the_log(prepared: Project) -> None:
    set_job_state(prepared, 1, "running")
    set_job_state(prepared, 1, "failed", "no space left", "JobError")
    states = [e.what["state"] for e in log_entries(prepared, action="run embed")]
    assert states == ["failed", "waiting"]


def test_an_author_who_logged_in_is_named_by_the_login(prepared: Project) -> None:
    with acting_as(ada("curator")):
        set_pins(prepared, [1], "pinned", author="Somebody else")
        save(prepared, "second", author="Somebody else")
    set_pins(prepared, [2], "pinned", author="Grace")
    assert [pin.author for pin in pins(prepared)] == ["Ada", "Grace"]
    assert next(s.author for s in selections(prepared) if s.name == "second") == "Ada"


BOOK = """
default = "viewer"
contact = "data-team@example.org"
[people]
"ada@example.org" = "reviewer"
[groups]
curators = "curator"
admins = "admin"
"""


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "roles.toml"
    path.write_text(BOOK)
    monkeypatch.setenv("DEITA_ROLES", str(path))
    return path


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"email": "Ada@Example.org", "groups": ["admins"]}, "reviewer"),
        ({"email": "eve@example.org", "groups": ["curators", "admins", "x"]}, "admin"),
        ({"email": "eve@example.org", "groups": "curators"}, "curator"),
        ({"email": "eve@example.org"}, "viewer"),
        ({"email": "ada@example.org", "email_verified": False}, "viewer"),
    ],
)
def test_a_role_comes_from_the_address_then_the_groups_then_the_default(
    book: Path, claims: dict[str, Any], role: str
) -> None:
    person = role_book().person(claims)
    assert person is not None
    assert person.role == role


def test_without_a_default_who_is_not_named_has_no_role(book: Path) -> None:
    book.write_text(BOOK.replace('default = "viewer"', ""))
    assert role_book().person({"email": "eve@example.org"}) is None


def test_a_changed_file_of_roles_counts_at_once(book: Path) -> None:
    assert role_book().role_of("ada@example.org", ()) == "reviewer"
    book.write_text(BOOK.replace('"reviewer"', '"curator"'))
    assert role_book().role_of("ada@example.org", ()) == "curator"


def test_a_refusal_says_whom_to_ask(book: Path) -> None:
    with acting_as(ada("viewer")), pytest.raises(PermissionDeniedError) as refused:
        people.require("curator", "save a selection")
    assert str(refused.value) == (
        "Ada <ada@example.org> is a viewer and cannot save a selection: that takes the role "
        "curator; ask data-team@example.org"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[people]\nada = 'boss'",
            "people.ada: 'boss' is not possible: roles are viewer",
        ),
        ("admins = ['ada']", r"admins: \['ada'\] is not possible"),
        ("[people", "is not TOML"),
    ],
)
def test_a_wrong_file_of_roles_is_named(book: Path, text: str, words: str) -> None:
    book.write_text(text)
    with pytest.raises(RolesError, match=words):
        role_book()


def test_a_missing_file_of_roles_is_named(book: Path) -> None:
    book.unlink()
    with pytest.raises(RolesError, match=r"no file of roles at .*roles\.toml: write one"):
        role_book()
