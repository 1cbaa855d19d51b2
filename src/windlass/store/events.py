"""Reading the event table with a cursor."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import orjson
from sqlalchemy import insert

from windlass.model.event import EVENT_TYPES, Event, Fact, end_of_fact, expand
from windlass.store.event_cursor import BEGINNING, cursor_behind, following, newest_cursor
from windlass.store.tables import events
from windlass.store.transaction import Transaction

#: Events that stand in a fact's data rather than among its types, and under which key.
_IN_DATA = {"task.kept": "kept", "task.skipped": "skipped", "task.cancelled": "cancelled", "task.queued": "ready"}


def events_after(
    tx: Transaction, cursor: str = BEGINNING, *, run_id: bytes | None = None, limit: int = 1000
) -> list[Event]:
    """Return the events that follow a cursor; see `read_events`. An empty list means that there is none yet."""
    return read_events(tx, cursor, run_id=run_id, limit=limit)[0]


def read_events(
    tx: Transaction, cursor: str, *, run_id: bytes | None = None, limit: int = 1000
) -> tuple[list[Event], str]:
    """Return the events that follow a cursor, of all runs or of one, and the cursor behind what was read.

    These are the events of about `limit` facts at most, in order of their `seq`, each with the cursor behind it. Raises
    UserError where `cursor` is none.
    """
    limit += 1  # of the first fact all may have been read: then there is another one
    span = following(tx, cursor, limit if run_id is None else None)
    where, values = span.sql()
    of_run = "" if run_id is None else "run_id = ? AND "
    rows = tx.cursor.execute(
        f"SELECT seq, types, run_id, task, at, data FROM events WHERE {of_run}{where} ORDER BY seq LIMIT ?",  # noqa: S608 - constants
        (*(() if run_id is None else (run_id,)), *values, limit),
    ).fetchall()
    found: list[Event] = []
    for seq, types, run, task, at, data in rows:
        fact = Fact(seq, types, run, task, at, None if data is None else orjson.loads(data))
        found.extend(replace(event, cursor=span.at(event.seq)) for event in expand(fact) if event.seq > span.behind)
    if not found and span.view is not None and span.behind:  # that was the rest of a view: what came after it follows
        return read_events(tx, span.cursor, run_id=run_id, limit=limit - 1)
    return found, found[-1].cursor if found and len(rows) == limit else span.cursor


def before_last(
    tx: Transaction, count: int, types: Collection[str] = (), *, project: str | None = None, job: str | None = None
) -> str:
    """Return a cursor after which the last `count` facts come that hold an event of `types`.

    None given are all types; `project` and `job` leave out the runs of others. It goes backwards from the newest and so
    reads as far as it must: where there are fewer, to the beginning.
    """
    if not count:
        return newest_cursor(tx)
    where: list[str] = []
    values: list[object] = []
    if types:
        choices = []
        for name in types:
            if name not in EVENT_TYPES:  # a glob on events from outside
                choices.append("(e.run_id IS NULL AND e.types LIKE ? ESCAPE '!')")
                values.append(_like(name))
                continue
            choices.append("instr(',' || e.types || ',', ?) > 0")
            values.append(f",{name},")
            if name in _IN_DATA:
                choices.append("instr(e.data, ?) > 0")
                values.append(f'"{_IN_DATA[name]}":')
        where.append(f"({' OR '.join(choices)})")
    joined = "" if project is None and job is None else " LEFT JOIN runs r ON r.id = e.run_id"
    if project is not None:
        where.append("(r.project = ? OR (e.run_id IS NULL AND instr(e.data, ?) = 1))")
        values += [project, f'{{"project":"{project}",']
    if job is not None:
        where.append("r.job_id IN (SELECT id FROM jobs WHERE alias = ?)")
        values.append(job)
    condition = f" WHERE {' AND '.join(where)}" if where else ""
    rows = tx.cursor.execute(
        f"SELECT e.seq FROM events e{joined}{condition} ORDER BY e.seq DESC LIMIT ?",  # noqa: S608 - constants
        (*values, count),
    ).fetchall()
    return cursor_behind(end_of_fact(rows[-1][0] - 1)) if len(rows) == count else BEGINNING


def told_outside(tx: Transaction, name: str, data: str) -> int:
    """Keep an event that belongs to no run; return the number of its fact."""
    kept = insert(events).values(types=name, at=tx.now, data=data).returning(events.c.seq)
    tx.hints.add("events")
    return int(tx.connection.execute(kept).scalar_one())


def _like(glob: str) -> str:
    """Return a glob as LIKE has it, which takes a few more."""
    escaped = "".join(f"!{sign}" if sign in "!%_" else sign for sign in glob.partition("[")[0])
    return escaped.replace("*", "%").replace("?", "_") + ("%" if "[" in glob else "")
