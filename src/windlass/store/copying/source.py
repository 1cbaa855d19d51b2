"""One state of a store in SQLite, read table by table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from windlass.errors import CorruptStore, Unavailable
from windlass.store.archive.in_database import URL as DATABASE
from windlass.store.archive.open import ARCHIVED
from windlass.store.copying.content import REPLACEMENT, copied_columns
from windlass.store.migrations import HEAD
from windlass.store.moved import KEY, Move
from windlass.store.tables import store_info
from windlass.store.upgrade import known_version

if TYPE_CHECKING:
    from sqlalchemy import Table

_WITHOUT_MARK: Final = f"(SELECT * FROM store_info WHERE key <> '{KEY}')"  # noqa: S608 - a key of ours
_BUSY_MS: Final = 10_000
#: Rows at each end of a table that are looked at once more.
_SPOTS: Final = 3


class Source:
    """A snapshot of a database: what is committed meanwhile is not in it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read through `connection`, on which a transaction is begun."""
        self._connection = connection
        connection.text_factory = self._text
        #: Texts that another database cannot hold as they are.
        self.mended = 0

    @property
    def store(self) -> str:
        """The id of the store."""
        return str(self._one("SELECT value FROM store_info WHERE key = 'id'"))

    @property
    def move(self) -> Move | None:
        """Where the store has gone; None where it is here."""
        found = self._connection.execute("SELECT value FROM store_info WHERE key = ?", (KEY,)).fetchone()
        return None if found is None else Move.read(found[0])

    @property
    def since(self) -> int | None:
        """When the first of its runs was accepted, in milliseconds since the epoch, as its id says."""
        first = self._one("SELECT min(id) FROM runs")
        return None if first is None else int.from_bytes(first[:6])

    @property
    def rests(self) -> bool:
        """Whether the store is under maintenance, and nothing runs."""
        on = self._one("SELECT count(*) FROM store_info WHERE key = 'maintenance'")
        return bool(on) and not self._one("SELECT count(*) FROM queue WHERE state = 'running'")

    def rows(self, table: Table) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a table."""
        yield from self._connection.execute(f"SELECT {', '.join(copied_columns(table))} FROM {_rows_of(table)}")  # noqa: S608 - names of ours

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        return int(self._one(f"SELECT count(*) FROM {_rows_of(table)}"))  # noqa: S608 - a name of ours

    def spots(self, table: Table) -> list[tuple[Any, ...]]:
        """Return the first rows of a table and the last, by its key."""
        columns, keys = ", ".join(copied_columns(table)), [column.name for column in table.primary_key]
        found: list[tuple[Any, ...]] = []
        for order in ("ASC", "DESC"):
            by = ", ".join(f"{key} {order}" for key in keys)
            sql = f"SELECT {columns} FROM {_rows_of(table)} ORDER BY {by} LIMIT {_SPOTS}"  # noqa: S608 - names of ours
            found += self._connection.execute(sql)
        return found

    def last_number(self, table: Table) -> int | None:
        """Return the last number that a table gave to a row, also one that has left; None where it gives none."""
        column = table.autoincrement_column
        if column is None:
            return None
        highest = self._one(f"SELECT coalesce(max({column.name}), 0) FROM {table.name}")  # noqa: S608 - names of ours
        given = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table.name,)).fetchone()
        return max(int(highest), 0 if given is None else int(given[0]))

    def files(self) -> Iterator[tuple[str, int, str]]:
        """Yield the files that runs kept, archived ones too: path below their folder, bytes, SHA-256."""
        yield from self._connection.execute("SELECT DISTINCT path, size, sha256 FROM artifacts")
        yield from self._connection.execute(
            "SELECT DISTINCT ? || sha256, size, sha256 FROM archived_files WHERE archive = ?",
            (f"{ARCHIVED}/", DATABASE),
        )

    def _one(self, sql: str) -> Any:
        return self._connection.execute(sql).fetchone()[0]

    def _text(self, data: bytes) -> str:
        text = data.decode("utf-8", "replace")
        if b"\0" in data or (REPLACEMENT in text and text.encode() != data):
            self.mended += 1
            return text.replace("\0", REPLACEMENT)
        return text


def _rows_of(table: Table) -> str:
    """Return what the rows of a table are read from: that the store has gone is no fact of the copy."""
    return _WITHOUT_MARK if table is store_info else table.name


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a snapshot of the database at `path`, which is only read.

    Raises Unavailable where it cannot be read or has an older schema, CorruptStore where it is damaged.
    """
    connection = None
    try:
        uri = f"file:{quote(str(path))}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        connection.execute("BEGIN")
        version = known_version(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
        if version != HEAD:
            raise Unavailable(
                f"The database {path} has the schema {version}: stop its server and run `windlass db upgrade` first."
            )
        yield Source(connection)
    except sqlite3.OperationalError as error:
        raise Unavailable(f"The database {path} could not be read: {error}.") from error
    except sqlite3.DatabaseError as error:
        raise CorruptStore(
            f"The database {path} is damaged ({error}) and was not copied: `windlass db check` tells more."
        ) from error
    finally:
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
