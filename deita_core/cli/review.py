"""The commands of a review: tags, queues, the ledger of decisions, and agreement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
from typer import Argument, BadParameter

from deita_core.cli.options import (
    FORCE,
    JSON,
    ProjectOptions,
    choice,
    flag,
    ids_of,
    print_json,
    repeated,
    value,
)
from deita_core.errors import ExportError, PathError, ProjectError, ReviewError
from deita_core.files import one_line
from deita_core.formats.write.preferences import (
    PREFERENCE_LAYOUTS,
    PreferenceKind,
    PreferenceLayout,
    check_preferences,
)
from deita_core.jobs.kind import absolute
from deita_core.jobs.outputs import check_output, kept_files, output_file
from deita_core.jobs.preferences import write_preferences
from deita_core.jobs.review import calibrations, cost_for, rows_of_rule, write_labelled
from deita_core.people import reviewer as reviewer_name
from deita_core.project import Project
from deita_core.project.graphs import load_clusters
from deita_core.project.ledger import (
    Receipt,
    decide,
    ledger_lines,
    row_text,
    tag_rows,
    tags,
    undo,
)
from deita_core.project.ledger_text import LEDGER_FORMATS, LedgerFormat, ledger_text, line_record
from deita_core.project.queue_state import make_adjudication
from deita_core.project.queues import (
    Queue,
    answer,
    answers,
    apply_verdicts,
    ask_more,
    claim,
    find_queue,
    make_queue,
    progress,
    queues,
    release,
)
from deita_core.project.selections import find_selection, selection_rows
from deita_core.review.agreement import ReviewerAgreement, reviewer_agreement
from deita_core.review.answers import ACTING_RULES, uncertain
from deita_core.review.calibration import Calibration
from deita_core.review.decision import ASKS, KINDS, read_decisions
from deita_core.review.queue_rule import QUEUE_KINDS, QueueRule
from deita_core.scoring.protocol import DIMENSIONS

REVIEWER: Any = value("", "NAME", "who reviews (default: the user of this machine)")
IDS: Any = repeated("ID", "a row by its id (@FILE: one id a line)")
ASK: Any = repeated("WHAT", f"what each row asks for: {', '.join(ASKS)} (default: verdict)")


def tag(
    target: ProjectOptions,
    name: str | None = Argument(None, metavar="TAG", help="default: list the tags"),
    id: list[str] = IDS,
    selection: str | None = value(None, "NAME", "all rows of this saved selection"),
    remove: bool = flag("--remove", "take the tag off"),
    why: str = value("", "TEXT", "kept with it in the ledger"),
    reviewer: str = REVIEWER,
    as_json: bool = JSON,
) -> None:
    """Put a tag on rows, take it off, or list the tags."""
    with target.opened() as project:
        if name is not None:
            rows = _rows(project, id, selection)
            if rows is None:
                raise ReviewError("no rows to tag: name them with --id or --selection")
            done = tag_rows(project, rows, name, remove=remove, why=why, author=reviewer)
            verb = "lost" if remove else "got"
            said = f"{done.lines:,} of {len(rows):,} rows {verb} the tag {one_line(name)}"
            _say(asdict(done) if as_json else f"{said}{_entry(done)}")
            return
        found = tags(project)
        if as_json:
            _say([asdict(one) for one in found])
            return
        for one in found:
            print(f"{one_line(one.tag)}: {one.rows:,} rows")
        if not found:
            print("no row has a tag")


def queue(
    target: ProjectOptions,
    name: str | None = Argument(None, metavar="QUEUE", help="default: list the queues"),
    by: str | None = choice(None, QUEUE_KINDS, "make it, of rows found so"),
    rows: int = value(200, "N", "rows at most"),
    seed: int = value(0, "N", "of what is drawn at random"),
    dimension: str = choice("quality", DIMENSIONS, "of the scorers that disagree"),
    flag: list[str] = repeated("FLAG", "rows with this flag (default: with any)"),
    per_cluster: int | None = value(None, "N", "rows at most of each cluster"),
    id: list[str] = IDS,
    selection: str | None = value(None, "NAME", "whose top or boundary (default: the current one)"),
    guidelines: Path | None = value(None, "FILE", "what reviewers read first, in Markdown"),
    label: list[str] = repeated("LABEL", "a label of the queue's own"),
    ask: list[str] = ASK,
    reviewers: int = value(1, "N", "how many each row asks for"),
    show_scores: bool = flag("--show-scores", "do not hide scores until one has answered"),
    claim_rows: int | None = value(None, "N", "take rows, and print each as a JSON object"),
    give_back: bool = flag("--give-back", "give back what the reviewer holds"),
    more: int | None = value(None, "N", "ask N more reviewers about rows without a clear verdict"),
    adjudicate: str | None = value(None, "NAME", "make a queue of the rows on which they differ"),
    apply: str | None = choice(None, ACTING_RULES, "pin and exclude by the verdicts"),
    reviewer: str = REVIEWER,
    as_json: bool = JSON,
) -> None:
    """Make a queue of rows to review, hand rows out, act on verdicts, or say how far it is."""
    asked = [by, claim_rows, give_back or None, more, adjudicate, apply]
    if sum(one is not None for one in asked) > 1:
        raise BadParameter("one of --by, --claim-rows, --give-back, --more, --adjudicate, --apply")
    if name is None and any(one is not None for one in asked):
        raise BadParameter("name the queue")
    rule = None
    if by is not None:
        rule = QueueRule(by, rows, seed, dimension, tuple(flag), per_cluster)  # type: ignore[arg-type]
    with target.opened() as project:
        if name is None:
            _print_queues(project, as_json)
        elif rule is not None:
            given = _rows(project, id, None)
            found = rows_of_rule(project, rule, selection=selection, within=given).tolist()
            number = make_queue(
                project,
                name,
                found,
                rule=rule.to_json(),
                guidelines=_text_of(guidelines),
                labels=label,
                asks=ask or ("verdict",),
                reviewers=reviewers,
                blind=not show_scores,
                author=reviewer,
            )
            made = {"queue": number, "name": name, "rows": len(found)}
            _say(made if as_json else f"{one_line(name)}: a queue of {len(found):,} rows")
        else:
            one = find_queue(project, name)
            if claim_rows is not None:
                _print_claimed(project, one, reviewer, claim_rows)
            elif give_back:
                count = release(project, one.queue, reviewer)
                _say({"released": count} if as_json else f"{count:,} rows given back")
            elif adjudicate is not None:
                _make_adjudication(project, one, adjudicate, reviewer, as_json)
            elif more is not None or apply is not None:
                _act(project, one, more, apply, as_json)
            else:
                _print_progress(project, one, as_json)


def _print_queues(project: Project, as_json: bool) -> None:
    found = queues(project)
    if as_json:
        _say([_queue_record(one) for one in found])
        return
    for one in found:
        print(f"{one_line(one.name)}: {progress(project, one.queue).sentence()}")
    if not found:
        print("there is no queue")


def _queue_record(queue: Queue) -> dict[str, Any]:
    rule = json.loads(queue.rule) if queue.rule else None
    return {**asdict(queue), "rule": rule, "made": queue.made.isoformat() + "Z"}


def _print_claimed(project: Project, queue: Queue, reviewer: str, most: int) -> None:
    for row in claim(project, queue.queue, reviewer, most):
        version, text = row_text(project, row)
        found = {"row": row, "version": version, "messages": json.loads(text.to_json())}
        print_json(found)


def _make_adjudication(
    project: Project, queue: Queue, name: str, reviewer: str, as_json: bool
) -> None:
    number, rows = make_adjudication(project, queue, name, author=reviewer)
    made = {"queue": number, "name": name, "rows": rows}
    said = f"{one_line(name)}: {rows:,} rows on which reviewers differ"
    _say(made if as_json else said)


def _act(
    project: Project, queue: Queue, more: int | None, apply: str | None, as_json: bool
) -> None:
    """Ask more reviewers, or pin and exclude by a rule."""
    if more is not None:
        rows = uncertain(answers(project, queue.queue)).tolist()
        count = ask_more(project, queue.queue, rows, more)
        said = f"{count:,} rows without a clear verdict ask for {more} more"
        _say({"rows": count, "more": more} if as_json else said)
    elif apply is not None:
        effect = apply_verdicts(project, queue.queue, apply)
        names = ("pinned", "excluded", "undecided", "unanswered")
        counts = {one: len(getattr(effect, one)) for one in names}
        _say({"rule": apply, **counts} if as_json else effect.sentence())


def _print_progress(project: Project, queue: Queue, as_json: bool) -> None:
    found = progress(project, queue.queue)
    if as_json:
        _say(asdict(found))
        return
    print(f"{one_line(queue.name)}: {found.sentence()}")
    for one in found.reviewers:
        pace = f", {one.per_hour:,.0f} rows an hour" if np.isfinite(one.per_hour) else ""
        print(
            f"  {one_line(one.reviewer)}: {one.rows:,} rows, {one.unsure:,} unsure, "
            f"{one.held:,} held{pace}"
        )


def decisions(
    target: ProjectOptions,
    queue: str | None = value(None, "NAME", "only of this queue"),
    reviewer: str | None = value(None, "NAME", "only this reviewer's; with --add, whose they are"),
    kind: str | None = choice(None, KINDS, "only of this kind"),
    last: int = value(50, "N", "how many lines, counted from the newest"),
    out: Path | None = value(None, "FILE", "write all of them instead, as .jsonl or .csv"),
    add: Path | None = value(None, "FILE", "append the decisions of this .jsonl file"),
    take_back: int | None = value(None, "ENTRY", "bring back what stood before this entry"),
    labelled: Path | None = value(None, "FILE", "write people's scores to train a scorer on"),
    force: bool = FORCE,
    as_json: bool = JSON,
) -> None:
    """Show the ledger of decisions, add to it, take back, or write it to a file."""
    if sum(one is not None for one in (out, add, take_back, labelled)) > 1:
        raise BadParameter("one of --out, --add, --take-back, --labelled")
    with target.opened() as project:
        number = None if queue is None else find_queue(project, queue).queue
        if add is not None:
            _add(project, add, number, reviewer or "", as_json)
        elif take_back is not None:
            done = undo(project, take_back, author=reviewer or "")
            _say(asdict(done) if as_json else f"{done.lines:,} lines appended{_entry(done)}")
        elif labelled is not None:
            check_output(absolute(labelled), keep=kept_files(project), overwrite=force)
            written = write_labelled(project, absolute(labelled), number)
            _say(asdict(written) if as_json else f"{labelled}: {written.sentence()}")
        elif out is not None:
            format = _ledger_format(out)
            check_output(absolute(out), keep=kept_files(project), overwrite=force)
            lines = ledger_lines(project, queue=queue, author=reviewer, kind=kind)[::-1]
            with output_file(absolute(out)) as partial:
                partial.write_text(ledger_text(lines, format), "utf-8")
            _say({"lines": len(lines)} if as_json else f"{out}: {len(lines):,} decisions")
        else:
            lines = ledger_lines(project, queue=queue, author=reviewer, kind=kind, limit=last)
            if as_json:
                _say([line_record(one) for one in lines])
            for one in () if as_json else lines:
                where = f" in {one.queue}" if one.queue else ""
                said = f"{one.made:%Y-%m-%d %H:%M:%S} UTC  [{one.entry}] {one.author}{where}: "
                print(one_line(f"{said}row {one.row} {one.kind} {one.value[:80]}".rstrip()))


def preferences(
    target: ProjectOptions,
    kind: str = Argument(
        ...,
        metavar="KIND",
        help="kto: the verdicts of a queue; dpo: corrected answers, and pairs of the pool",
    ),
    out: Path = value(..., "FILE", "the .jsonl file to write"),
    queue: str | None = value(None, "NAME", "of this queue; kto needs one"),
    by: str = choice("majority", ACTING_RULES, "how several verdicts on a row decide"),
    layout: str = choice("trl", PREFERENCE_LAYOUTS, "whose layout"),
    force: bool = FORCE,
    as_json: bool = JSON,
) -> None:
    """Write verdicts, corrections and pairs of the pool as rows to train preferences on."""
    check_preferences(kind, layout)
    _check_json_lines(out)
    with target.opened() as project:
        number = None if queue is None else find_queue(project, queue).queue
        check_output(absolute(out), keep=kept_files(project), overwrite=force)
        written = write_preferences(
            project,
            absolute(out),
            cast("PreferenceKind", kind),
            layout=cast("PreferenceLayout", layout),
            queue=number,
            rule=by,
        )
        _say(asdict(written) if as_json else f"{out}: {written.sentence()}")


def _ledger_format(out: Path) -> LedgerFormat:
    for format in LEDGER_FORMATS:
        if out.suffix == f".{format}":
            return format
    raise ExportError(f"{out} must end in .jsonl or .csv: choose another name")


def _check_json_lines(out: Path) -> None:
    if out.suffix != ".jsonl":
        raise ExportError(f"{out} must end in .jsonl: choose another name")


def _add(project: Project, file: Path, queue: int | None, reviewer: str, as_json: bool) -> None:
    if not file.is_file():
        raise PathError(f"there is no file {file}: check the path")
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
        items = [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise ReviewError(f"{file} cannot be read as JSON Lines: {error}; mend it") from error
    found = read_decisions(items)
    if queue is None:
        done = decide(project, found, author=reviewer)
    else:
        done = answer(project, queue, found, reviewer=reviewer)
    again = f", {done.repeated:,} were there before" if done.repeated else ""
    said = f"{done.lines:,} decisions of {one_line(reviewer_name(reviewer))} appended{again}"
    _say(asdict(done) if as_json else f"{said}{_entry(done)}")


def agreement(
    target: ProjectOptions,
    name: str = Argument(..., metavar="QUEUE", help="the queue"),
    selection: str | None = value(
        None, "NAME", "say also which of its rows would enter or leave by people's scores"
    ),
    as_json: bool = JSON,
) -> None:
    """How far reviewers agree, and how near the scorers come to them."""
    with target.opened() as project:
        queue = find_queue(project, name)
        given, cluster = answers(project, queue.queue), load_clusters(project)
        found = [reviewer_agreement(given, ask, cluster) for ask in queue.asks]
        scorers = calibrations(project, queue.queue)
        cost = cost_for(project, selection, queue.queue) if selection is not None else None
        if as_json:
            ids = project.values("SELECT id FROM conversations ORDER BY row")
            record: dict[str, Any] = {
                "agreement": [_plain(one, ids) for one in found],
                "calibration": [_plain(one, ids) for one in scorers],
            }
            if cost is not None:
                entered, left = (
                    [ids[row] for row in rows.tolist()] for rows in (cost.entered, cost.left)
                )
                record["cost"] = {"selection": selection, "entered": entered, "left": left}
            _say(record)
            return
        for one in found:
            _print_agreement(one)
        for scorer in scorers:
            _print_calibration(scorer)
        if cost is not None:
            print(f"{selection} by people's scores: {cost.sentence()}")


def _print_agreement(found: ReviewerAgreement) -> None:
    print(found.sentence())
    for pair in found.pairs:
        print(
            f"  {one_line(pair.first)} and {one_line(pair.second)}: {pair.raw:.0%} of "
            f"{pair.rows:,} rows, alpha {pair.alpha:.2f}"
        )
    for one in found.each:
        if one.given:
            print(f"  {one_line(one.answer)}: given {one.given:,} times, agreed {one.agreed:.0%}")
    for part in found.clusters:
        print(f"  cluster {part.cluster}: {part.raw:.0%} of {part.rows:,} rows")


def _print_calibration(found: Calibration) -> None:
    print(one_line(found.sentence()))
    for part in found.parts:
        print(
            f"  {one_line(part.part)}: {part.rows:,} rows, Spearman {part.spearman:.2f}, "
            f"{part.within_one:.0%} within one point, {part.bias:+.2f}"
        )


def _plain(found: ReviewerAgreement | Calibration, ids: Sequence[str]) -> dict[str, Any]:
    """As JSON takes it: ids for rows, lists for arrays, null for NaN."""
    record = asdict(found)
    for name in ("rows", "differ"):
        if isinstance(rows := record.get(name), np.ndarray):
            record[name] = [ids[row] for row in rows.tolist()]
    return record


def _rows(project: Project, ids: Sequence[str], selection: str | None) -> list[int] | None:
    """The rows that were named by id or selection; None when none were."""
    if not ids and selection is None:
        return None
    rows = []
    if selection is not None:
        rows += selection_rows(project, find_selection(project, selection).selection)[0]
    if wanted := ids_of(ids):
        known = dict(
            project.rows(
                "SELECT id, row FROM conversations WHERE id IN (SELECT unnest(?::VARCHAR[]))",
                list(wanted),
            )
        )
        if missing := [one for one in wanted if one not in known]:
            raise ProjectError(
                f"{len(missing):,} of {len(wanted):,} ids are not in this project, the first of "
                f"them {missing[0]!r}: name rows that it has"
            )
        rows += [known[one] for one in wanted]
    return rows


def _text_of(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ReviewError(f"the guidelines {file} cannot be read: {error}") from error


def _entry(done: Receipt) -> str:
    return f" (entry {done.entry})" if done.entry else ""


def _say(found: Any) -> None:
    """A sentence as it is, anything else as one line of JSON."""
    if isinstance(found, str):
        print(found)
    else:
        print_json(found)
