# ruff: noqa: S608 - the only texts put together here are constants of this module
"""The common turn of a busy worker in one statement: short attempts end, others begin.

What an exchange does in five ways to the server and back is here one, whose parts hand their rows to each other, and
what the rows of the queue say already is not sent again. Nothing is decided here: a task begins only where the caller
knows its revision and has said that nothing of it must be looked at before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson

from windlass.store.hot_postgres import CLOCK, READY_COLUMNS
from windlass.store.rows import Ready, ShortEnd, Standing, Turn
from windlass.store.transaction import MustBeAlone, move_on

if TYPE_CHECKING:
    from windlass.store.transaction import Transaction

_KINDS: Final = ("bigint", "integer", "bigint", "bigint", "text", "bigint", "bigint", "bigint", "bigint", "text")
_ENDS: Final = tuple(zip(ShortEnd._fields, _KINDS, strict=True))
#: Of most columns all values are the same: then one stands for them, beside an array without any.
_SAID: Final = (
    f"SELECT {', '.join(f'coalesce(s.{name}, ?::{kind}) AS {name}' for name, kind in _ENDS)} "
    f"FROM unnest({', '.join(f'?::{kind}[]' for kind in _KINDS)}) AS s ({', '.join(ShortEnd._fields)})"
)
_USED: Final = "exit_code, cpu_micros, max_rss_bytes, bytes_out, log_bytes"
_AT: Final = "(SELECT at FROM clock)"
_TURN: Final = (
    # Whatever this statement sees was written before the clock is read.
    f"WITH clock AS MATERIALIZED (SELECT greatest(?::bigint, CASE WHEN ? THEN {CLOCK} END) AS at), "
    f"said AS ({_SAID}), "
    "gone AS (DELETE FROM queue q USING said s WHERE q.id = s.queue_id AND q.fence = s.fence "
    "AND q.state || '' = 'running' AND coalesce(q.stop, '') = '' "
    "RETURNING s.*, q.run_id, q.task, q.attempt, q.queued_at, q.first_started_at, q.started_at), "
    f"ended AS (UPDATE runs r SET state = 'completed', finished_at = {_AT}, outputs = g.outputs, "
    "started_at = coalesce(r.started_at, g.first_started_at), counts = '{\"completed\":1}' FROM gone g "
    "WHERE r.id = g.run_id AND coalesce(r.finished_at, 0) = 0 AND r.awaited + 0 = 0 RETURNING 1), "
    "kept AS (INSERT INTO tasks (run_id, task, state, attempt, outcome, allowed, outputs, queued_at, "
    f"first_started_at, ended_at, worker, started_at, finished_at, {_USED}) SELECT run_id, task, 'completed', attempt, "
    f"'completed', 0, outputs, queued_at, first_started_at, {_AT}, ?, started_at, "
    f"greatest(least(finished_at, {_AT}), started_at), {_USED} FROM gone), "
    "told AS (INSERT INTO events (types, run_id, task, at, data) SELECT 'task.completed,run.completed', run_id, task, "
    f"{_AT}, data FROM gone), "
    "standing AS MATERIALIZED (SELECT "
    "(SELECT CASE draining WHEN 0 THEN slots ELSE 0 END FROM workers WHERE id = ? AND ended_at IS NULL) AS slots, "
    "(SELECT value FROM store_info WHERE key = 'dispatch') AS changes, "
    "EXISTS (SELECT 1 FROM queue WHERE worker_id = ? AND stop IS NOT NULL) AS stops), "
    f"picked AS (SELECT q.* FROM unnest(?::bigint[]) AS route (id) CROSS JOIN LATERAL (SELECT {READY_COLUMNS} "
    "FROM queue WHERE route_id = route.id AND rank >= ? AND state = 'queued' AND worker_id IS NULL ORDER BY rank, id "
    "LIMIT (SELECT CASE WHEN s.slots > 0 AND s.changes IS NOT DISTINCT FROM ? THEN ? ELSE 0 END FROM standing s) "
    "FOR UPDATE SKIP LOCKED) AS q ORDER BY q.rank, q.id LIMIT ?), "
    "found AS MATERIALIZED (SELECT p.*, r.state AS run_state, r.parameters, r.expansion IS NOT NULL AS fanned, "
    "r.created_at, r.trigger, r.correlation_id, "
    "r.expansion IS NULL AND p.losses = 0 AND p.revision_id = ANY(?::bigint[]) AS plain "
    # Each by its key: of a queue that grows and shrinks quickly the planner knows little.
    "FROM picked p CROSS JOIN LATERAL (SELECT * FROM runs WHERE id = p.run_id LIMIT 1) AS r), "
    "taken AS (UPDATE queue SET worker_id = ?, fence = fence + 1, state = 'running', attempt = attempt + 1, "
    f"started_at = {_AT}, first_started_at = coalesce(first_started_at, {_AT}) "
    "WHERE id = ANY(ARRAY(SELECT id FROM found WHERE plain))), "
    f"begun AS (UPDATE runs SET state = 'running', started_at = {_AT} WHERE state || '' = 'queued' "
    "AND id = ANY(ARRAY(SELECT run_id FROM found WHERE plain AND NOT ?::boolean AND run_state = 'queued'))), "
    "started AS (INSERT INTO events (types, run_id, task, at, data) SELECT "
    "CASE WHEN run_state = 'queued' THEN 'run.started,task.started' ELSE 'task.started' END, run_id, task, "
    f"{_AT}, ?::text || (attempt + 1) || ?::text FROM found WHERE plain) "
    f"SELECT {_AT}, s.slots, s.changes, s.stops, (SELECT count(*) FROM ended), "
    "CASE WHEN (SELECT count(*) FROM gone) < ? THEN ARRAY(SELECT queue_id FROM gone) END, "
    "f.* FROM standing s LEFT JOIN found f ON true ORDER BY f.rank, f.id"
)
_STOPS: Final = "SELECT id, fence, stop FROM queue WHERE worker_id = ? AND stop IS NOT NULL ORDER BY id"
#: Columns before those of a task.
_HEAD: Final = 6


def turn(
    tx: Transaction,
    worker_id: int,
    worker: str,
    ends: Sequence[ShortEnd],
    *,
    routes: Sequence[int],
    floor: int,
    capacity: int,
    plain: Sequence[int],
    changes: str | None,
    streak: bool,
) -> Turn:
    """See `hot.turn`."""
    alike, said = _columns(ends)
    # As orjson writes it: around the number of the attempt.
    before, after = '{"attempt":', f',"worker":{orjson.dumps(worker).decode()}}}'
    parameters = (
        tx.now, tx.moves, *alike, *said, worker, worker_id, worker_id, routes, floor, changes, capacity, capacity,
        plain, worker_id, streak, before, after, len(ends),
    )  # fmt: skip
    rows = tx.cursor.execute(_TURN, parameters).fetchall()
    now, slots, found, stops, ended, some = rows[0][:_HEAD]
    gone = len(ends) if some is None else len(some)
    if ended < gone:  # somebody waits for one of them
        raise MustBeAlone
    move_on(tx, now)
    asked = tx.cursor.execute(_STOPS, (worker_id,)).fetchall() if stops else []
    left = [] if some is None else [at for at, end in enumerate(ends) if end.queue_id not in some]
    begun = [Ready._make(row[_HEAD:-1]) for row in rows if row[-1]]
    if begun or ends:
        tx.hints.update(("ended", "events") if ends else ("events",))
    found_any = rows[0][_HEAD] is not None
    first = rows[0][_HEAD + Ready._fields.index("rank")] if found_any else None
    return Turn(now, Standing(slots, found, asked), left, begun, first, found_any and len(begun) < len(rows))


def _columns(ends: Sequence[ShortEnd]) -> tuple[list[Any], list[Sequence[Any]]]:
    """Return for each column the value that all ends have, None where they differ, and the values where they do."""
    if not ends:
        return [None] * len(_ENDS), [()] * len(_ENDS)
    ids, *others = zip(*ends, strict=True)
    alike: list[Any] = [None]
    said: list[Sequence[Any]] = [ids]
    for values in others:
        same = len(set(values)) == 1
        alike.append(values[0] if same else None)
        said.append(() if same else values)
    return alike, said
