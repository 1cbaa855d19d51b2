"""Open the store in a PostgreSQL database: looked at, made or upgraded by one process while the others wait.

Only whoever works on runs, and `db upgrade`, changes its schema: many share it, and one who merely asks does not.
"""

from __future__ import annotations

from typing import Final

from windlass.clock import Clock
from windlass.errors import CorruptStore, Unavailable, UserError
from windlass.ids import Uuid7Source
from windlass.store.migrations import FLOOR, HEAD, VERSIONS
from windlass.store.place import SchemaUse, ServerPlace
from windlass.store.postgres.partitions import begin_partitions
from windlass.store.postgres.rights import require_a_schema, require_rights
from windlass.store.postgres.store import PostgresStore
from windlass.store.postgres.troubles import refusal, sqlstate
from windlass.store.programs import programs_below
from windlass.store.transaction import Transaction
from windlass.store.upgrade import (
    Upgrade,
    create_schema,
    floor_of,
    found_store,
    is_newer,
    migrate,
    schema_version,
    store_id,
)

#: Milliseconds that a change of a table waits for those who use it: whoever comes later waits behind it.
_LOCK: Final = 300
#: Of the processes that are in the way of an upgrade, how many are named.
_NAMED: Final = 5
#: The oldest PostgreSQL that has all that is used here, as it names itself: `pg_stat_wal` came with it.
_OLDEST: Final = 140000


class _Moment:
    """A clock that stands still at the time of a transaction."""

    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        return self._now


async def open_server(
    place: ServerPlace, *, clock: Clock | None = None, schema: SchemaUse = "brought up"
) -> tuple[PostgresStore, str, Upgrade]:
    """Return the store at `place`, its id, and what opening it did to its schema.

    The id is empty where there is no store yet, which only `schema` "any" lets pass.
    Raises Unavailable where the server cannot be reached, refuses us, or the schema is none that `schema` lets pass,
    UserError where the database cannot hold a store, Refused where its user may not do what is to be done.
    """
    store = PostgresStore(place, clock=clock)
    try:
        version, identity = await store.read(look)
        done = Upgrade(version, str(version))
        older = version != HEAD and not is_newer(version)
        if schema == "brought up":
            await store.read(require_rights, place.shown, changes=older)
            if older:
                done, identity = await store.run(bring_up)
        elif older:
            await store.read(require_a_schema, place.shown)
            if schema == "sufficient":
                await store.read(_require_sufficient, version, place.shown)
    except Exception as error:
        await store.close()
        if sqlstate(error) is not None:
            raise refusal(error, place.shown) from error
        if not isinstance(error, CorruptStore):
            raise
        raise Unavailable(f"The schema in the database {place.shown} is none of Windlass: {error}") from error
    except BaseException:
        await store.close()
        raise
    return store, identity or "", done


def bring_up(tx: Transaction) -> tuple[Upgrade, str]:
    """Make the schema current and return what that did, and the id of the store. Runs alone.

    Raises Unavailable where processes work on the store that could not go on with what it would become.
    """
    tx.cursor.execute(f"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {_LOCK}")
    before = schema_version(tx.connection)  # another one may have been quicker
    if before is None:
        create_schema(tx.connection)
        begin_partitions(tx)
        found_store(tx.connection, _Moment(tx.now), Uuid7Source())
    elif is_newer(before):
        return Upgrade(before, before), store_id(tx.connection)
    elif before != HEAD:
        _refuse_beside_older(tx)
        migrate(tx.connection)
    return Upgrade(before, HEAD), store_id(tx.connection)


def _require_sufficient(tx: Transaction, version: str | None, shown: str) -> None:
    """Raise Unavailable unless there is a schema that commands of this program can work with as it is."""
    from windlass.store.postgres.drift import lacks  # noqa: PLC0415 - only while an upgrade is under way

    if version is None:
        raise Unavailable(
            f"There is no store in the database {shown} yet: `windlass up`, `windlass worker` or `windlass db upgrade` "
            "makes it."
        )
    if version not in VERSIONS[-2:] or lacks(tx.connection):
        raise Unavailable(
            f"The store in the database {shown} has the schema {version}, older than {HEAD}, which this program needs; "
            "nothing was changed: `windlass db upgrade` or a server of this version brings it up."
        )


def _refuse_beside_older(tx: Transaction) -> None:
    """Go on only where everybody who works on the store can work with what this program makes of it."""
    floor = floor_of(tx.connection)
    older = programs_below(tx, FLOOR) if floor is not None and floor < FLOOR else []
    if not older:
        return
    names = [f"{one.instance} (Windlass {one.version})" for one in older[:_NAMED]]
    more = f" and {len(older) - _NAMED} more" if len(older) > _NAMED else ""
    raise Unavailable(
        f"This upgrade takes away what older programs use that still work on the database: {', '.join(names)}{more}; "
        "nothing was changed: end those first, or bring them to the version before this one."
    )


def refuse_too_old(number: int) -> None:
    """Raise UserError where a server, by the number of its version such as 150018, lacks what is used here."""
    if number < _OLDEST:
        raise UserError(f"PostgreSQL {number // 10000} is too old: Windlass needs {_OLDEST // 10000} or newer.")


def look(tx: Transaction) -> tuple[str | None, str | None]:
    """Return the version of the schema and the id of the store; None where there is none yet."""
    number, encoding = tx.cursor.execute(
        "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')"
    ).fetchone()
    refuse_too_old(number)
    if encoding != "UTF8":
        raise UserError(f"The database has the encoding {encoding}: make one with `createdb --encoding=UTF8`.")
    version = schema_version(tx.connection)
    return version, None if version is None else store_id(tx.connection)
