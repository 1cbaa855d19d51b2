"""Bring the schema of a store to what this program needs: made at once where it is new, migrated where it is older.

Whatever is done is one transaction, so that a process that dies on the way leaves the old schema behind. Alembic costs
more time to import than most commands take, so it is imported only where a migration has to run.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, String, Table, delete, insert, inspect, select

from windlass.clock import Clock
from windlass.errors import CorruptStore, Unavailable
from windlass.ids import IdSource, Uuid7Source, id_text
from windlass.store.migrations import FLOOR, HEAD, VERSIONS
from windlass.store.tables import metadata, store_info

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from windlass.store.sqlite import SqliteStore
    from windlass.store.transaction import Transaction

#: Stands in the header of every SQLite database of ours (`PRAGMA application_id`): "WNDL".
APPLICATION_ID: Final = 0x574E444C
#: Key of the fact that says how old a program may be (`migrations.FLOOR`).
_FLOOR: Final = "floor"
#: Alembic's own table, as it makes it.
_VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade did; the same version twice where there was nothing to do."""

    #: Version found; None where the database was new.
    before: str | None
    #: Version now; one that this program does not know where a newer one has upgraded a store that both can use.
    after: str


def upgrade(store: SqliteStore, *, ids: IdSource | None = None) -> Upgrade:
    """Make the schema of `store` current. No unit of work may run meanwhile.

    Raises Unavailable where the database was written by a newer program, CorruptStore where it is another program's.
    """
    connection = store.connection
    before = schema_version(connection)
    if before == HEAD:
        return Upgrade(before, HEAD)
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        before = schema_version(connection)  # another one may have been quicker
        if before is None:
            create_schema(connection)
            found_store(connection, store.clock, ids or Uuid7Source())
        elif before != HEAD:
            migrate(connection)
        connection.exec_driver_sql("COMMIT")
    except BaseException as error:
        if _in_transaction(connection):
            connection.exec_driver_sql("ROLLBACK")
        cause = getattr(error, "orig", error)
        if isinstance(cause, sqlite3.OperationalError):
            raise Unavailable(
                f"The schema of the store could not be upgraded, nothing was changed: {cause}."
            ) from error
        raise
    return Upgrade(before, HEAD)


def schema_version(connection: Connection) -> str | None:
    """Return the version of the schema; None where the database is empty.

    Raises Unavailable and CorruptStore as `upgrade` does.
    """
    if connection.dialect.name != "sqlite" and not inspect(connection).has_table(_VERSION.name):
        # A statement that fails there fails the transaction, so that it is not tried. Other tables may be others'.
        theirs = sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))
        if theirs:
            raise Unavailable(
                f"The database has a table {theirs[0]} that is not of Windlass; nothing was changed: "
                "give Windlass a database of its own."
            )
        return None
    try:
        version = connection.execute(select(_VERSION.c.version_num)).scalar_one_or_none()
    except Exception as error:
        cause = getattr(error, "orig", error)
        if not isinstance(cause, sqlite3.OperationalError) or "no such table" not in str(cause):
            raise
        if inspect(connection).get_table_names():
            raise CorruptStore("The database has tables but none of Windlass; nothing was changed.") from error
        return None
    shared = connection.dialect.name != "sqlite" and version is not None and version not in VERSIONS
    return known_version(version, floor_of(connection) if shared else None)


def is_newer(version: str | None) -> bool:
    """Say whether a version is one that this program does not know: a newer one has upgraded the store."""
    return version is not None and version not in VERSIONS


def has_newer_schema(tx: Transaction) -> bool:
    """Say whether a newer program has upgraded the store, so that its rows may hold what this one knows nothing of."""
    return tx.dialect != "sqlite" and is_newer(tx.connection.execute(select(_VERSION.c.version_num)).scalar_one())


def floor_of(connection: Connection) -> str | None:
    """Return the schema that a program must know at least to work with the store; None where nobody has said so."""
    return connection.execute(select(store_info.c.value).where(store_info.c.key == _FLOOR)).scalar_one_or_none()


def known_version(version: str | None, floor: str | None = None) -> str:
    """Return a version that this program can work with; `floor` is what the store asks of programs.

    Raises Unavailable where it is of a newer program, CorruptStore where there is none.
    """
    if version is None:
        raise CorruptStore(
            "The database does not say which version its schema has; nothing was changed: "
            "restore a backup with `windlass db restore`."
        )
    if version not in VERSIONS and floor not in VERSIONS:
        raise Unavailable(
            f"The database was written by a newer Windlass (its schema is {version}, this program knows up to {HEAD}); "
            "nothing was changed: install the newer program, or restore a backup from before its upgrade."
        )
    return version


def create_schema(connection: Connection) -> None:
    """Make the current schema in an empty database, without the way through its history."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    metadata.create_all(connection, checkfirst=False)
    _VERSION.create(connection)
    connection.execute(insert(_VERSION), {"version_num": HEAD})
    _say_floor(connection)


def migrate(connection: Connection) -> None:
    """Run every migration that the database has not seen, inside the transaction of `connection`."""
    from alembic import command  # noqa: PLC0415 - costs 0.4 s, see above
    from alembic.config import Config  # noqa: PLC0415 - the same

    config = Config()
    config.set_main_option("script_location", str(files("windlass.store.migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    _say_floor(connection)


def _say_floor(connection: Connection) -> None:
    connection.execute(delete(store_info).where(store_info.c.key == _FLOOR))
    connection.execute(insert(store_info), {"key": _FLOOR, "value": FLOOR})


def found_store(connection: Connection, clock: Clock, ids: IdSource) -> None:
    """Give a new store its id and its date."""
    facts = {"id": id_text(ids.new()), "created_at": str(clock.now())}
    connection.execute(insert(store_info), [{"key": key, "value": value} for key, value in facts.items()])


def store_id(connection: Connection) -> str:
    """Return the id that a store got when it was made."""
    return str(connection.execute(select(store_info.c.value).where(store_info.c.key == "id")).scalar_one())


def _in_transaction(connection: Connection) -> bool:
    driver = connection.connection.driver_connection
    return bool(driver is not None and driver.in_transaction)
