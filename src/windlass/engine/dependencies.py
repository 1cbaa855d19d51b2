"""Runs that wait for the end of other runs: accepted as waiting, and released or ended when those have ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from windlass.clock import micros
from windlass.engine.admission import open_roots
from windlass.engine.book import Book, open_book, to_json
from windlass.engine.engine import Engine
from windlass.engine.entering import arrive
from windlass.engine.following import Consequences, unstarted
from windlass.engine.punctuality import promise
from windlass.engine.setting_aside import set_aside
from windlass.errors import LimitExceeded, NotFound, UserError
from windlass.ids import id_text
from windlass.model.dependency import Condition, judge, read_condition
from windlass.store import hot, relations, timed
from windlass.store.relations import Awaited, Dependent
from windlass.store.rows import NewFact
from windlass.store.transaction import Transaction, apart

#: Runs that one run may wait for.
MOST: Final = 1000
#: Reasons of runs that ended because of another one.
FAILED: Final = "dependency_failed"
NOT_NEEDED: Final = "not_needed"


@dataclass(frozen=True, slots=True)
class Dependency:
    """A run to wait for, and how it must end."""

    run_id: bytes
    condition: Condition = "success"


def read_dependencies(said: Iterable[str | Mapping[str, Any]], find: Any) -> tuple[Dependency, ...]:
    """Return what `RUN[:condition]` texts, or `{run, condition}`, mean; `find` gives the id of a run by its text.

    Raises UserError where one makes no sense or a run is named with two conditions, LimitExceeded where they are too
    many, and what `find` raises.
    """
    found: dict[bytes, Dependency] = {}
    for one in said:
        if isinstance(one, str):
            reference, colon, condition = one.partition(":")
            condition = condition if colon else "success"
        else:
            reference, condition = str(one["run"]), str(one.get("condition", "success"))
        wanted = read_condition(condition)
        read = Dependency(find(reference), wanted)
        if found.setdefault(read.run_id, read) != read:
            raise UserError(f"Run {id_text(read.run_id)} is to be waited for on two conditions; keep one of them.")
    if len(found) > MOST:
        raise LimitExceeded("Runs that one run waits for", len(found), MOST)
    return tuple(found.values())


def hold(tx: Transaction, engine: Engine, project: str, held: Iterable[tuple[bytes, Sequence[Dependency]]]) -> None:
    """Note what new runs, which were inserted as waiting, wait for; those whose runs have all ended go on at once.

    Raises NotFound where a run that is waited for is none of the project's.
    """
    for run_id, depends_on in held:
        ended: list[tuple[Dependent, Awaited]] = []
        kept = [Dependent(run_id, one.run_id, one.condition) for one in depends_on]
        for dependent in kept:
            run = relations.awaited_run(tx, dependent.on_id, project)
            if run is None:
                raise NotFound(f"There is no run {id_text(dependent.on_id)} to wait for.")
            if judged(run):
                ended.append((dependent, run))
        relations.keep_dependencies(tx, kept)
        for dependent, run in ended:
            take_note(tx, engine, dependent, run)


def judged(run: Awaited) -> bool:
    """Say whether a run has ended."""
    return run.state in {"completed", "failed", "cancelled", "timeout"}


def settle_dependents(tx: Transaction, engine: Engine, ended: Awaited, limit: int) -> int:
    """Do what waits for a run that has ended, for up to `limit` runs; return for how many."""
    found = relations.dependents_of(tx, ended.id, limit)
    for dependent in found:
        failure = apart(tx, partial(take_note, tx, engine, dependent, ended))
        if failure is not None:
            relations.settle_dependency(tx, dependent.run_id, dependent.on_id)
            set_aside(tx, dependent.run_id, failure)
    return len(found)


def take_note(tx: Transaction, engine: Engine, dependent: Dependent, ended: Awaited) -> None:
    """Let a waiting run go on, wait for the others, or end, now that one of those it waits for has ended."""
    relations.settle_dependency(tx, dependent.run_id, dependent.on_id)
    row = relations.held_run(tx, dependent.run_id)
    if row is None:
        return  # it was cancelled meanwhile, or another run's end has decided
    verdict = judge(dependent.condition, ended.state)
    if verdict != "met":
        book = open_book(tx, engine, dependent.run_id, row.revision_id)
        name = f'Run {id_text(ended.id)} of job "{ended.job}"'
        if verdict == "broken":
            word = {"failed": "failed", "cancelled": "was cancelled", "timeout": "ran out of time"}[ended.state]
            message = f"{name}, which had to complete before this one, {word}."
            end_unstarted(book, "failed", FAILED, {"reason": FAILED, "message": message, "run": id_text(ended.id)})
        else:
            end_unstarted(book, "cancelled", NOT_NEEDED, None)
    elif not relations.open_dependencies(tx, dependent.run_id):
        release(open_book(tx, engine, dependent.run_id, row.revision_id), engine, row.scheduled_at)


def look_again(tx: Transaction, engine: Engine, run_id: bytes) -> None:
    """Do for a waiting run what the ends of others should have done, those that are gone included."""
    for one in relations.open_dependencies(tx, run_id):
        dependent = Dependent(run_id, one.id, one.condition)
        known = one.state is not None
        ended = Awaited(one.id, one.job, one.state, None, None) if known else relations.archived_end(tx, one.id)
        if ended is not None and judged(ended):
            take_note(tx, engine, dependent, ended)
        elif ended is None and one.condition == "always":
            relations.settle_dependency(tx, run_id, one.id)
        elif ended is None:
            relations.settle_dependency(tx, run_id, one.id)
            _end_for_gone(tx, engine, run_id, one.id)
    row = relations.held_run(tx, run_id)
    if row is not None and not relations.open_dependencies(tx, run_id):
        release(open_book(tx, engine, run_id, row.revision_id), engine, row.scheduled_at)


def _end_for_gone(tx: Transaction, engine: Engine, run_id: bytes, on_id: bytes) -> None:
    row = relations.held_run(tx, run_id)
    if row is not None:
        message = f"Run {id_text(on_id)}, which it waited for, is gone, and how that ended is not known."
        book = open_book(tx, engine, run_id, row.revision_id)
        end_unstarted(book, "failed", FAILED, {"reason": FAILED, "message": message, "run": id_text(on_id)})


def release(book: Book, engine: Engine, scheduled_at: int | None) -> None:
    """Let a waiting run go on: now, or at its time."""
    tx = book.tx
    at = scheduled_at if scheduled_at is not None and scheduled_at > tx.now else None
    allowed = engine.settings.run_deadline if book.job.job.timeout is None else book.job.job.timeout
    state, begin = ("queued", tx.now) if at is None else ("scheduled", at)
    deadline = begin + micros(allowed)
    if not relations.release_run(tx, book.run_id, state=state, counted_at=begin, deadline=deadline):
        return
    if book.job.job.sla is not None:
        promise(tx, book.job, [(book.run_id, begin)])
    data = None if at is None else to_json({"at": at})
    hot.insert_facts(tx, [NewFact(f"run.{state}", book.run_id, None, tx.now, data)])
    if at is None and not arrive(tx, engine, book.run_id, book.job):
        return  # it waits for a place under the limit of its job, or got none
    ready = open_roots(book)
    for first, last in ready:
        if at is None:
            hot.queue_range(tx, book.run_id, first, last)
        else:
            timed.schedule_range(tx, book.run_id, first, last, at)
    if at is None:
        hot.insert_facts(tx, [NewFact("", book.run_id, None, tx.now, to_json({"ready": ready}))])


def end_unstarted(book: Book, state: str, reason: str, error: Mapping[str, Any] | None) -> None:
    """End a run of which nothing was started: all its tasks are skipped for `reason`."""
    tx, size = book.tx, book.layout.size
    hot.remove_range(tx, book.run_id, 0, size - 1)
    hot.insert_ends(tx, [unstarted(book, task, "skipped", reason) for task in range(size)])
    hot.end_run(
        tx,
        book.run_id,
        state=state,
        reason=reason,
        counts=to_json({"skipped": size}),
        allowed_failures=0,
        error=None if error is None else to_json(error),
        outputs=None,
    )
    consequences = Consequences(skipped=[[0, size - 1, reason]])
    data = {"reason": reason, **({} if error is None else {"run": error["run"]}), **consequences.data()}
    hot.insert_facts(tx, [NewFact(f"run.{state}", book.run_id, None, tx.now, to_json(data))])
