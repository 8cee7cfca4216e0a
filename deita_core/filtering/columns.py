"""The columns of a project's pool by name, each read or computed when it is first asked for.

| name | kind | what it is |
| --- | --- | --- |
| complexity, quality | number | mean over the turns that have a score |
| evol_score | number | under the rule that is given (the sum over the turns, if none is) |
| turns, tokens, characters, instruction_characters, response_characters | number | |
| nearest_similarity | number | to the nearest other row, by the similarity graph |
| language, file | name | |
| cluster | name | its number, of the similarity graph's clusters |
| cluster_name | name | as the cluster is called, or its number; clusters may share a name |
| flag, tag | names | what was noted of the row; what people call it |
| instag | names | the tags that a chat model gave to its instructions |
| decision | name | pinned, excluded or none, as decided by hand |
| status.NAME | name | what became of the row in the saved selection NAME |
| selected.NAME | name | "yes" where the saved selection NAME holds the row, else "no" |
| record.FIELD | number or name | a field of the original record, as `project.columns` names it |
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from deita_core.embedding.catalogue import load_embedder, name_of_embedder
from deita_core.embedding.protocol import Embedder
from deita_core.errors import FilterError, ProjectError
from deita_core.models.options import ModelOptions
from deita_core.project import Project
from deita_core.project.clusters import clusters
from deita_core.project.columns import record_fields, record_values
from deita_core.project.graphs import load_clusters, load_graph
from deita_core.project.ledger import tagged_rows
from deita_core.project.models import active_model
from deita_core.project.pins import pins
from deita_core.project.pool import load_pool_table
from deita_core.project.selections import find_selection, selection_rows
from deita_core.project.turn_tags import model_tags
from deita_core.project.vectors import EmbedderRecord, embedded_rows, embedders, load_vectors
from deita_core.selection.filters import numeric_column
from deita_core.selection.outcome import select
from deita_core.selection.pool_table import Memo, PoolTable
from deita_core.selection.rule import CONDITION_COLUMNS, SelectionRule
from deita_core.selection.status import STATUSES
from deita_core.selection.strategies import find_strategy

Kind = Literal["number", "name", "names"]
Value = TypeVar("Value")

NUMBERS: Final = (*(c for c in CONDITION_COLUMNS if c != "cluster"), "nearest_similarity")
NAMES: Final = ("language", "file", "cluster", "cluster_name", "flag", "tag", "instag", "decision")
RECORD: Final = "record."
STATUS: Final = "status."
SELECTED: Final = "selected."


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One value, or several names, for each of the n rows.

    kind "number": values (n,) float64, NaN where there is none. "name": (n,) int32 into `names`,
    -1 for none. "names": (n, k) bool, which of the k names a row has.
    """

    kind: Kind
    values: NDArray[Any]
    names: tuple[str, ...] = ()

    def texts(self) -> list[Any]:
        """The value of each row as Python has it: a number, a name, a list of names, or None."""
        if self.kind == "number":
            return [None if np.isnan(value) else float(value) for value in self.values]
        if self.kind == "names":
            return [[self.names[place] for place in np.flatnonzero(row)] for row in self.values]
        return [self.names[code] if code >= 0 else None for code in self.values]


class PoolColumns:
    """The columns of a project as it is now; what was read once is kept.

    table: the pool, with vectors and graph where closeness or the nearest neighbour are asked
    for; without it all of it is loaded at need. rule: what `evol_score` is computed by.
    load: gives the embedder of a record, at need, for closeness to texts.
    """

    def __init__(
        self,
        project: Project,
        table: PoolTable | None = None,
        *,
        rule: SelectionRule | None = None,
        load: Callable[[EmbedderRecord], Embedder] | None = None,
    ) -> None:
        self.project = project
        self._given = table
        self._rule = rule or SelectionRule()
        self._load = load or embedder_of
        self._columns: dict[str, Column] = {}
        self._memo = Memo()

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def table(self) -> PoolTable:
        """The pool's columns, without its vectors where none were given."""
        return load_pool_table(self.project) if self._given is None else self._given

    @cached_property
    def with_vectors(self) -> PoolTable:
        """The pool with the active embedder's vectors; FilterError where there are none."""
        if len(self.table.vector_rows):
            return self.table
        number = self.active_embedder.embedder
        rows, vectors = load_vectors(self.project, number)
        graph, clusters = load_graph(self.project), load_clusters(self.project)
        return self.table.with_vectors(vectors, rows, graph=graph, cluster=clusters)

    @cached_property
    def active_embedder(self) -> EmbedderRecord:
        """The embedder that the pool's vectors are from."""
        for one in embedders(self.project):
            if one.active and one.embedded:
                return one
        raise FilterError("closeness needs embeddings, and the pool has none: embed it first")

    @cached_property
    def embedder(self) -> Embedder:
        """The model that embeds texts as the pool was; ModelError where it cannot be loaded."""
        record = self.active_embedder
        found = self._load(record)
        if (found.id, found.revision) != (record.model, record.revision):
            raise FilterError(
                f"the pool was embedded by {record.model} ({record.revision}), but here is "
                f"{found.id} ({found.revision}): embed the pool again, or install that one"
            )
        return found

    def remember(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What `make` gives, kept with the columns; the values must not be changed."""
        return self._memo.get(key, make)

    def names(self) -> list[str]:
        """Every column there is; of the original records, up to 200 fields."""
        statuses = self.project.values("SELECT name FROM selections ORDER BY name")
        fields = record_fields(self.project)
        by_selection = [kind + name for name in statuses for kind in (STATUS, SELECTED)]
        return [*NUMBERS, *NAMES, *by_selection, *(RECORD + name for name in fields)]

    def __getitem__(self, name: str) -> Column:
        """A column; FilterError for one that the pool does not have."""
        if name not in self._columns:
            self._columns[name] = self._made(name)
        return self._columns[name]

    def _made(self, name: str) -> Column:
        make: dict[str, Callable[[], Column]] = {
            "language": lambda: _coded(self.table.language, self.table.language_names),
            "file": lambda: _coded(self.table.source, self.table.source_names),
            "flag": self._flags,
            "tag": lambda: self._named(tagged_rows(self.project)),
            "instag": lambda: self._named(model_tags(self.project)),
            "cluster": self._clusters,
            "cluster_name": self._cluster_names,
            "decision": self._decisions,
            "nearest_similarity": self._nearest,
        }
        if name in make:
            return make[name]()
        if name in CONDITION_COLUMNS:
            values = numeric_column(name, self._rule, self.table)
            return Column("number", values.astype(np.float64))
        if name.startswith(RECORD):
            return self._record(name.removeprefix(RECORD))
        if name.startswith(STATUS):
            return self._status(name.removeprefix(STATUS))
        if name.startswith(SELECTED):
            return self._selected(name.removeprefix(SELECTED))
        more = (f"{RECORD}FIELD", f"{STATUS}SELECTION", f"{SELECTED}SELECTION")
        known = ", ".join((*NUMBERS, *NAMES, *more))
        raise FilterError(f"a pool has no column {name!r}; it has {known}")

    def _flags(self) -> Column:
        names = self.table.flag_names
        bits = np.arange(len(names), dtype=np.int64)
        return Column("names", (self.table.flags[:, None] >> bits) & 1 == 1, names)

    def _named(self, found: Iterable[tuple[int, str]]) -> Column:
        pairs = [(row, tag) for row, tag in found if row < len(self)]
        names = tuple(sorted({tag for _, tag in pairs}))
        place = {name: code for code, name in enumerate(names)}
        values = np.zeros((len(self), len(names)), np.bool_)
        for row, tag in pairs:
            values[row, place[tag]] = True
        return Column("names", values, names)

    def _clusters(self) -> Column:
        found = load_clusters(self.project) if self.table.cluster is None else self.table.cluster
        if found is None:
            raise FilterError("the pool has no clusters: make the similarity graph first")
        return _coded(found, tuple(map(str, range(int(found.max(initial=-1)) + 1))))

    def _cluster_names(self) -> Column:
        numbers = self["cluster"]
        called = {str(one.cluster): one.name for one in clusters(self.project)}
        of = [called.get(number, number) for number in numbers.names]
        names = tuple(sorted(set(of)))
        place = {name: code for code, name in enumerate(names)}
        codes = np.array([*(place[name] for name in of), -1], np.int32)  # the last: no cluster
        return Column("name", codes[numbers.values], names)

    def _decisions(self) -> Column:
        names = ("none", "pinned", "excluded")
        codes = np.zeros(len(self), np.int32)
        for pin in pins(self.project):
            codes[pin.row] = names.index(pin.kind)
        return Column("name", codes, names)

    def _nearest(self) -> Column:
        """Copies are at 1; what has no other row above the graph's floor is at the floor."""
        graph, rows = self.table.graph, self.table.vector_rows
        if graph is None:  # its places are the rows with a vector; the vectors are not needed
            graph = load_graph(self.project)
            rows = embedded_rows(self.project, active_model(self.project, "embedding"))
        if graph is None:
            raise FilterError(
                "the similarity to the nearest row needs the similarity graph: make it first"
            )
        of_group = np.where(np.diff(np.asarray(graph.member_start)) > 1, 1.0, graph.nearest())
        group = np.asarray(graph.group)
        values = np.full(len(self), np.nan)
        known = group >= 0
        values[rows[known]] = of_group[group[known]]
        return Column("number", values)

    def _record(self, field: str) -> Column:
        try:
            values = record_values(self.project, field)
        except ProjectError as error:
            raise FilterError(str(error)) from None
        numbers = _numbers(values)
        if numbers is not None:
            return Column("number", numbers)
        place: dict[str, int] = {}
        codes = [-1 if v is None else place.setdefault(v, len(place)) for v in values]
        return Column("name", np.array(codes, np.int32), tuple(place))

    def _status(self, name: str) -> Column:
        """By the rule, where it still keeps the same rows; else only whether a row was kept."""
        saved = find_selection(self.project, name)
        kept = selection_rows(self.project, saved.selection)[0]
        rule = SelectionRule.from_json(saved.rule)
        strategy = find_strategy(rule.strategy)
        if rule.closeness is None and not strategy.needs_tags:  # a model; tags as they were then
            outcome = select(rule, self.with_vectors)
            if sorted(outcome.kept.tolist()) == sorted(kept):
                return _coded(outcome.trace.status, tuple(status.label for status in STATUSES))
        codes = np.ones(len(self), np.int32)
        codes[kept] = 0
        return Column("name", codes, ("kept", "not kept"))

    def _selected(self, name: str) -> Column:
        kept, _ = selection_rows(self.project, find_selection(self.project, name).selection)
        codes = np.zeros(len(self), np.int32)
        codes[[row for row in kept if row < len(self)]] = 1
        return Column("name", codes, ("no", "yes"))


def embedder_of(record: EmbedderRecord) -> Embedder:
    """The model of a record, loaded; ModelError where it cannot be."""
    given = {k: record.parameters[k] for k in ("precision",) if k in record.parameters}
    return load_embedder(name_of_embedder(record.model), ModelOptions.model_validate(given))


def _coded(codes: NDArray[np.integer], names: tuple[str, ...]) -> Column:
    return Column("name", codes.astype(np.int32), names)


def _numbers(values: NDArray[np.object_]) -> NDArray[np.float64] | None:
    """The values as numbers, NaN for none; None where one of them is no finite number."""
    numbers = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        if value is None:
            continue
        try:
            numbers[row] = float("" if "_" in value else value)  # Python takes 1_000, JSON does not
        except ValueError:
            return None
        if not np.isfinite(numbers[row]):
            return None
    return numbers
