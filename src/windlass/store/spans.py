"""What spans are made of: the ends that events tell of, and the rows of what ended."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson
from sqlalchemy import Row, select

from windlass.model.event import Fact
from windlass.store.event_cursor import Following, following
from windlass.store.tables import attempts, events, jobs, revisions, runs, tasks
from windlass.store.transaction import Transaction


def facts_behind(tx: Transaction, cursor: str, most: int) -> tuple[list[Fact], Following]:
    """Return up to `most` facts behind a cursor, and where a reader stands then."""
    span = following(tx, cursor, most)
    found = (
        select(events.c.seq, events.c.types, events.c.run_id, events.c.task, events.c.at, events.c.data)
        .where(span.clause())
        .order_by(events.c.seq)
    )
    return [
        Fact(row.seq, row.types, row.run_id, row.task, row.at, None if row.data is None else orjson.loads(row.data))
        for row in tx.connection.execute(found)
    ], span


def traced_runs(tx: Transaction, run_ids: Collection[bytes]) -> dict[bytes, Row[Any]]:
    """Return runs by id, each with its job's alias and the number of its revision."""
    found = (
        select(runs, jobs.c.alias, revisions.c.number.label("revision"))
        .join(jobs, jobs.c.id == runs.c.job_id)
        .join(revisions, revisions.c.id == runs.c.revision_id)
        .where(runs.c.id.in_(run_ids))
    )
    return {row.id: row for row in tx.connection.execute(found)}


def final_task(tx: Transaction, run_id: bytes, task: int) -> Row[Any] | None:
    """Return a final task; None where there is none any more."""
    found = select(tasks).where(tasks.c.run_id == run_id, tasks.c.task == task)
    return tx.connection.execute(found).one_or_none()


def earlier_attempt(tx: Transaction, run_id: bytes, task: int, number: int) -> Row[Any] | None:
    """Return an attempt that was followed by another one."""
    found = select(attempts).where(attempts.c.run_id == run_id, attempts.c.task == task, attempts.c.number == number)
    return tx.connection.execute(found).one_or_none()
