"""Tasks that begin to wait for an event, and the events as their waits compare them."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from typing import Any

import orjson

from windlass.engine.book import Book, plain_layout, to_json
from windlass.engine.compiled import CompiledJob, compiled
from windlass.engine.engine import Engine
from windlass.engine.readable import readable
from windlass.ids import id_text
from windlass.model.event import Event, Fact, expand, first_of_fact
from windlass.model.event_wait import OWN, EventPattern, EventWait, Happening, first_seen
from windlass.model.outcome import Waiting
from windlass.store import event_waits as stored
from windlass.store import hot
from windlass.store.event_cursor import Following
from windlass.store.event_waits import ToldFact, WaitRow
from windlass.store.rows import Held
from windlass.store.transaction import Transaction

#: A task with the claim that began its wait.
Key = tuple[bytes, int, int]
#: The output of a step that waited for an event.
OUTPUT = "event"


def begin_event_wait(book: Book, row: Held, outcome: Waiting) -> None:
    """Note what event a task waits for, and from where on events count.

    Those count that came after the run was accepted: an answer that is quicker than the wait is not missed. What ended
    a wait before this one, in the same run, ends no other one after it.
    """
    created = stored.first_fact(book.tx, book.run_id)
    after = stored.newest_seq(book.tx) if created is None else first_of_fact(created)
    pattern = to_json(dict(outcome.event or {}))
    wait = WaitRow(
        book.run_id, row.task, row.fence, book.flags.project, first_seen(after, _seen_before(book, row.task)),
        outcome.until, pattern,
    )  # fmt: skip
    stored.begin_wait(book.tx, wait)


def _seen_before(book: Book, task: int) -> list[int]:
    """Return the events that ended the waits before a task."""
    found: list[int] = []
    for step in book.job.graph.before([book.step_number(task)]):
        if book.job.job.steps[step].type != "wait" or OUTPUT not in book.job.job.steps[step].config:
            continue
        for _, _, outputs, _ in hot.task_results(book.tx, book.run_id, *book.span(step)):
            event = orjson.loads(outputs).get(OUTPUT) if outputs else None
            if isinstance(event, dict) and isinstance(event.get("seq"), int):
                found.append(event["seq"])
    return found


def read_wait(row: WaitRow) -> EventWait[Key]:
    """Return a stored wait as it is compared with events."""
    return EventWait(
        key=(row.run_id, row.task, row.fence),
        pattern=EventPattern.read(orjson.loads(row.pattern)),
        project=row.project,
        run_id=row.run_id,
        after=row.after,
        until=row.until,
    )


def open_waits(tx: Transaction) -> list[EventWait[Key]]:
    """Return every wait for an event that goes on and can be read."""
    _, waits = open_waits_besides(tx, frozenset())
    return waits


def open_waits_besides(tx: Transaction, known: AbstractSet[Key]) -> tuple[set[Key], list[EventWait[Key]]]:
    """Return those of the waits `known` that go on, and all others that go on and can be read."""
    still: set[Key] = set()
    others = []
    for row in stored.open_waits(tx):
        key = (row.run_id, row.task, row.fence)
        if key in known:
            still.add(key)
        elif (wait := readable(f"The wait of task {row.task}", read_wait, row)) is not None:
            others.append(wait)
    return still, others


def happened(
    tx: Transaction, engine: Engine, cursor: str, types: Collection[str] | None
) -> tuple[list[Happening], Following]:
    """Return events behind a cursor that are of `types` or from outside, and where a reader stands then.

    `types` are those of Windlass itself; None is all of them. A fact that cannot be read is left out.
    """
    facts, span = stored.facts_behind(tx, cursor, types)
    found: list[Happening] = []
    for told in facts:
        found += readable(f"Event {told.seq}", _of_fact, tx, engine, told, types) or ()
    return found, span


def _of_fact(tx: Transaction, engine: Engine, told: ToldFact, types: Collection[str] | None) -> list[Happening]:
    data = orjson.loads(told.data) if told.data else {}
    fact = Fact(told.seq, told.types, told.run_id, told.task, told.at, data)
    if told.run_id is None:
        if "project" not in data:
            return []
        return [_happening(event, data["project"], data["source"], data["data"]) for event in expand(fact)]
    if told.project is None or told.revision_id is None:
        return []  # its run was deleted
    job = compiled(tx, engine.jobs, told.revision_id)
    of_run: dict[str, Any] = {"run": id_text(told.run_id), "job": told.job}
    of_run["labels"] = orjson.loads(told.labels) if told.labels else {}
    found = []
    for event in expand(fact):
        if types is None or event.type in types:
            of_task = {} if event.task is None else _of_task(tx, engine, told, job, event.task)
            found.append(_happening(event, told.project, OWN, {**event.data, **of_run, **of_task}))
    return found


def _of_task(tx: Transaction, engine: Engine, told: ToldFact, job: CompiledJob, task: int) -> dict[str, Any]:
    fan = engine.fans.get(tx, told.run_id) if told.fanned and told.run_id is not None else None
    if not 0 <= task < (plain_layout(len(job.rules)) if fan is None else fan.layout).size:
        return {}
    cell = None if fan is None else fan.cell(task)
    return {
        "step": job.graph.names[task if fan is None else fan.step_number(task)],
        "key": "" if cell is None else cell.key,
    }


def _happening(event: Event, project: str, source: str, facts: dict[str, Any]) -> Happening:
    return Happening(
        seq=event.seq, type=event.type, source=source, project=project, run_id=event.run_id, at=event.at, facts=facts
    )
