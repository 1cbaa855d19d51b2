# ruff: noqa: S608 - the only texts put together here are names of our own tables and bounds of ids
"""History on PostgreSQL in partitions: what ended runs leave behind, a table of its own for each week of runs.

A run's rows stand in the partition of the week that its id tells; what has none, because nobody made it in time or the
rows were there before there were partitions, stands in the one that takes the rest. A partition whose runs have all
left goes as a whole, and gives its pages back to the disk.

Nothing here keeps the queue waiting: partitions are made empty and attached beside everybody's work, and what needs a
table for itself waits a moment for it, gives up, and is tried again later.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from asyncpg import CheckViolationError, DeadlockDetectedError, LockNotAvailableError

from windlass.ids import first_of
from windlass.store.columns import partitioned_tables, rest_of
from windlass.store.postgres.lane import STORE_LOCK

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from windlass.store.transaction import Transaction

_log = logging.getLogger(__name__)

#: Milliseconds of a partition, which begins on a Monday.
WEEK: Final = 7 * 86_400_000
_FIRST_MONDAY: Final = 4 * 86_400_000
#: Weeks for which there are partitions before they begin.
AHEAD: Final = 3
#: Weeks before this one that runs may bring with them which come from another store.
BEHIND: Final = 60
#: Milliseconds that a statement waits for a table of its own; meanwhile others wait behind it.
LOCK: Final = 100
#: Milliseconds before a week begins from which on nothing may keep its rows out of the rest.
_NEAR: Final = 86_400_000
#: Bytes of the rest up to which looking through it takes a moment.
_SMALL: Final = 4 << 20
_BOUND: Final = re.compile(r"FROM \('\\x([0-9a-f]{32})'\) TO \('\\x([0-9a-f]{32})'\)")
_PARTITIONS: Final = (
    "SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound FROM pg_inherits i "
    "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1) ORDER BY 1"
)
_PROOFS: Final = (
    "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass($1) AND contype = 'c' "
    "AND starts_with(conname, 'ck_') AND right(conname, 6) = '_apart' ORDER BY 1"
)


@dataclass(frozen=True, slots=True)
class Partition:
    """The rows of one week's runs."""

    table: str
    name: str
    #: Ids from the first one up to the second one.
    first: bytes
    end: bytes

    @property
    def bounds(self) -> str:
        """Return the condition that a row belongs here."""
        return f"run_id >= {_id(self.first)} AND run_id < {_id(self.end)}"

    @property
    def values(self) -> str:
        """Return the same as PostgreSQL wants it of a partition."""
        return f"FOR VALUES FROM ({_id(self.first)}) TO ({_id(self.end)})"


def partition_of(table: str, millis: int) -> Partition:
    """Return the partition for the rows of runs of a time, in milliseconds since the epoch."""
    begin = millis - (millis - _FIRST_MONDAY) % WEEK
    day = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=begin)
    return Partition(table, f"{table}_{day:%Y_%m_%d}", first_of(begin), first_of(begin + WEEK))


def begin_partitions(tx: Transaction, since: int | None = None) -> None:
    """Make the partitions of a store that is just made, and those for runs from `since` on, in milliseconds.

    Runs of longer ago than `BEHIND` weeks stand with the rest.
    """
    now = tx.now // 1000
    behind = 0 if since is None else min(BEHIND, max(0, -(-(now - since) // WEEK)))
    for table in sorted(partitioned_tables()):
        for week in range(-behind, AHEAD + 1):
            one = partition_of(table, now + week * WEEK)
            tx.cursor.execute(f"CREATE TABLE {one.name} PARTITION OF {table} {one.values}")


async def tend_partitions(connection: Any, now: int) -> list[str]:
    """Make the partitions of this week and the next ones, and drop those whose runs have all left.

    `now` is milliseconds since the epoch, `connection` one without a transaction. Returns a sentence for each thing
    that was done. What could not be done now because others were in the way is done the next time.
    """
    done: list[str] = []
    for table in sorted(partitioned_tables()):  # before anything else: meanwhile runs of those weeks would be refused
        apart = {_proof(partition_of(table, begin)) for begin in _beginnings(now) if not _is_near(begin, now)}
        for (proof,) in await ask(connection, _PROOFS, rest_of(table)):
            if proof not in apart:
                await _tried(_let_in, connection, (rest_of(table), proof))
    for table in sorted(partitioned_tables()):
        there = {one.name: one async for one in _there(connection, table)}
        for begin in _beginnings(now):
            wanted, change = partition_of(table, begin), partial(_add, near=_is_near(begin, now))
            if wanted.name not in there and await _tried(change, connection, wanted):
                done.append(f"made the partition {wanted.name}")
        ended = first_of(now - WEEK)
        old = [one for one in there.values() if one.end < ended]
        done += [f"dropped the partition {one.name}" for one in old if await _tried(_drop, connection, one)]
        if await _tried(_empty_rest, connection, table):
            done.append(f"emptied {rest_of(table)}")
    if any(sentence.startswith("made") for sentence in done):
        for table in sorted(partitioned_tables()):
            await connection.execute(f"ANALYZE {table}")  # nothing else looks at the whole of it
    return done


def _beginnings(now: int) -> list[int]:
    """Return when this week and the next ones begin, in milliseconds since the epoch."""
    return [now - (now - _FIRST_MONDAY) % WEEK + week * WEEK for week in range(AHEAD + 1)]


def _is_near(begin: int, now: int) -> bool:
    """Say whether rows of the week that begins then may come before long, or come already."""
    return begin <= now + _NEAR


async def _there(connection: Any, table: str) -> AsyncIterator[Partition]:
    for name, bound in await ask(connection, _PARTITIONS, table):
        found = _BOUND.search(bound)
        if found is not None:
            yield Partition(table, name, bytes.fromhex(found[1]), bytes.fromhex(found[2]))


async def _tried(change: Callable[[Any, Any], Awaitable[bool]], connection: Any, what: Any) -> bool:
    try:
        return await change(connection, what)
    except (LockNotAvailableError, DeadlockDetectedError, CheckViolationError) as error:  # others were in the way
        _log.info("%s waits for the next time: %s", what, error)
        return False


async def _add(connection: Any, wanted: Partition, *, near: bool) -> bool:
    """Make a partition; False where the rest has rows that would belong there, for they stay where they are.

    So does a week that is `near` with what is large: the proof would refuse its rows for as long as that takes, and
    until whoever uses the table lets go of it.
    """
    rest = rest_of(wanted.table)
    if await _is_so(connection, f"EXISTS (SELECT 1 FROM {rest} WHERE {wanted.bounds})"):
        return False
    # Who attaches has the server look through the rest, with nobody else there; where that takes long it is looked
    # through beforehand, while everybody works, and the condition says what was found.
    if await _is_large(connection, rest) and (near or not await _prove(connection, wanted)):
        return False
    async with connection.transaction():
        await connection.execute(
            f"SET LOCAL lock_timeout = {LOCK}; CREATE TABLE {wanted.name} (LIKE {wanted.table} INCLUDING DEFAULTS "
            "INCLUDING CONSTRAINTS INCLUDING STORAGE); "
            f"ALTER TABLE {wanted.table} ATTACH PARTITION {wanted.name} {wanted.values}; "
            f"ALTER TABLE {rest} DROP CONSTRAINT IF EXISTS {_proof(wanted)}"
        )
    return True


async def _prove(connection: Any, wanted: Partition) -> bool:
    """Have the rest say that nothing in it belongs to a partition; False where something does by now."""
    rest, proof = rest_of(wanted.table), _proof(wanted)
    begun = "SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass($1) AND conname = $2"
    try:
        if not await ask(connection, begun, rest, proof):
            async with connection.transaction():
                await connection.execute(
                    f"SET LOCAL lock_timeout = {LOCK}; ALTER TABLE {rest} ADD CONSTRAINT {proof} "
                    f"CHECK (NOT ({wanted.bounds})) NOT VALID"
                )
        await connection.execute(f"ALTER TABLE {rest} VALIDATE CONSTRAINT {proof}")
    except CheckViolationError:
        await _let_in(connection, (rest, proof))
        return False
    return True


async def _let_in(connection: Any, what: tuple[str, str]) -> bool:
    """Let the rest take rows again that a proof kept out."""
    rest, proof = what
    async with connection.transaction():
        await connection.execute(
            f"SET LOCAL lock_timeout = {LOCK}; ALTER TABLE {rest} DROP CONSTRAINT IF EXISTS {proof}"
        )
    return True


async def _drop(connection: Any, old: Partition) -> bool:
    """Drop a partition none of whose runs is here any more, or is leaving or coming back."""
    if await _has_runs(connection, old):
        return False
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = {LOCK}")
        await connection.execute(f"SELECT pg_advisory_xact_lock({STORE_LOCK})")
        if await _has_runs(connection, old):
            return False
        await connection.execute(f"DROP TABLE {old.name}")
    return True


async def _has_runs(connection: Any, one: Partition) -> bool:
    bounds = f"{_id(one.first)} AND {{column}} < {_id(one.end)}"
    return await _is_so(
        connection,
        f"EXISTS (SELECT 1 FROM runs WHERE id >= {bounds.format(column='id')}) OR EXISTS "
        f"(SELECT 1 FROM archived_runs WHERE removed = 0 AND run_id >= {bounds.format(column='run_id')})",
    )


async def _is_large(connection: Any, rest: str) -> bool:
    return await _is_so(connection, f"pg_table_size(to_regclass('{rest}')) > {_SMALL}")


async def _is_so(connection: Any, condition: str) -> bool:
    return bool((await ask(connection, f"SELECT {condition}"))[0][0])


async def ask(connection: Any, sql: str, *values: Any) -> list[Any]:
    """Return the rows of a statement, which stays on one connection of the server also behind PgBouncer."""
    async with connection.transaction():
        found: list[Any] = await connection.fetch(sql, *values)
    return found


async def _empty_rest(connection: Any, table: str) -> bool:
    """Give back the pages of the rest once nothing is left in what stood there before there were partitions."""
    rest = rest_of(table)
    if not await _is_large(connection, rest):
        return False
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = {LOCK}")
        if await _is_so(connection, f"EXISTS (SELECT 1 FROM {rest})"):
            return False
        await connection.execute(f"LOCK TABLE {rest} IN ACCESS EXCLUSIVE MODE")
        if await _is_so(connection, f"EXISTS (SELECT 1 FROM {rest})"):
            return False
        await connection.execute(f"TRUNCATE {rest}")
    return True


def lacking(connection: Connection) -> tuple[list[str], list[str]]:
    """Say what partitions are missing: those without which rows are refused, and those that are late."""
    problems, notes = [], []
    millis = int(connection.exec_driver_sql("SELECT extract(epoch FROM now()) * 1000").scalar_one())
    for table in sorted(partitioned_tables()):
        rest = rest_of(table)
        default = f"SELECT partdefid FROM pg_partitioned_table WHERE partrelid = to_regclass('{table}')"
        if not connection.exec_driver_sql(default).scalar():
            problems.append(
                f"The table {table} has no partition for what belongs to no other one: have it back with "
                f"`ALTER TABLE {table} ATTACH PARTITION {rest} DEFAULT`."
            )
        wanted = partition_of(table, millis + WEEK)
        attached = f"SELECT relispartition FROM pg_class WHERE oid = to_regclass('{wanted.name}')"
        if not connection.exec_driver_sql(attached).scalar():
            notes.append(
                f"The table {table} has no partition {wanted.name} for next week yet: a server makes it within an "
                f"hour where it can; without one its rows stand in {rest}."
            )
        near = {_proof(partition_of(table, begin)) for begin in _beginnings(millis) if _is_near(begin, millis)}
        kept_out = connection.exec_driver_sql(_PROOFS.replace("$1", f"'{rest}'"))
        problems += [
            f"The table {rest} refuses rows of this time by {proof}: a server lifts that within an hour, or do it with "
            f"`ALTER TABLE {rest} DROP CONSTRAINT {proof}`."
            for (proof,) in kept_out
            if proof in near
        ]
    return problems, notes


def _proof(one: Partition) -> str:
    return f"ck_{one.name}_apart"


def _id(value: bytes) -> str:
    return f"'\\x{value.hex()}'"
