"""Whether a file may be opened as a store: looked at before SQLite may touch it.

SQLite helps itself where it can: it takes an empty file for a new database, throws away a write-ahead log that stands
beside one, and never misses a log that somebody removed. Each of these would lose what was accepted, and is refused.
"""

from __future__ import annotations

import sqlite3
import stat
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from windlass.errors import CorruptStore, Unavailable
from windlass.store.lockfile import Note
from windlass.store.log_tail import Known, forgotten_commits, known_end
from windlass.store.upgrade import APPLICATION_ID, known_version

_MAGIC: Final = b"SQLite format 3\0"
_HEADER: Final = 100
_RESTORE: Final = "nothing was changed: restore a backup with `windlass db restore`"


@dataclass(frozen=True, slots=True)
class _Header:
    """What the first bytes of a database say (https://www.sqlite.org/fileformat.html)."""

    read_version: int
    page_size: int
    pages: int
    #: Whether `pages` was written together with the last change.
    pages_known: bool
    application: int

    @classmethod
    def parse(cls, data: bytes) -> Self | None:
        """Read a header; None where the bytes are none."""
        if len(data) < _HEADER or not data.startswith(_MAGIC):
            return None
        size, _, read_version = struct.unpack_from(">HBB", data, 16)
        changes, pages = struct.unpack_from(">II", data, 24)
        (application,) = struct.unpack_from(">I", data, 68)
        (valid_for,) = struct.unpack_from(">I", data, 92)
        return cls(read_version, 65_536 if size == 1 else size, pages, changes == valid_for, application)


def examine(path: Path, note: Note, *, pages: bool) -> bool:
    """Say whether a store has yet to be made at `path`; changes nothing.

    `note` is what the lock file says of the last owner; `pages` asks to read every page. Raises CorruptStore where the
    file is damaged, incomplete or another program's, Unavailable where it cannot be read or is of a newer program.
    """
    log = _size(path.with_name(f"{path.name}-wal"))
    size = _size(path)
    if not size:
        _refuse_lost(path, note, size=size, log=log)
        return True
    _refuse_other_names(path)
    known = known_end(path)
    if known.missing:
        raise CorruptStore(
            f"The write-ahead log of {path} is cut off: its last {known.missing:,} bytes are gone; {_RESTORE}, "
            f"or remove {path}-shm to go on with what is left."
        )
    header = _Header.parse(_first_bytes(path))
    if header is None:
        raise CorruptStore(f"The file {path} is no SQLite database, or its beginning is damaged; {_RESTORE}.")
    ours = header.application == APPLICATION_ID
    if ours:
        _refuse_incomplete(path, header, note, size=size, log=log)
    with _index_kept(path, known):
        try:
            with closing(_read_only(path, logged=bool(log))) as connection:
                new = _examine_content(path, connection, ours=ours, pages=pages)
                if log:
                    _refuse_forgotten(path, known.frames)
                return new
        except (sqlite3.Error, UnicodeDecodeError) as error:  # texts of a damaged page may be no texts
            raise CorruptStore(f"The database {path} is damaged ({error}); {_RESTORE}.") from error


@contextmanager
def _index_kept(path: Path, known: Known) -> Iterator[None]:
    """Put the index of the log back where a store is refused: SQLite makes it anew, of what it believes of the log."""
    index = path.with_name(f"{path.name}-shm")
    before = index.read_bytes() if known.frames else None
    try:
        yield
    except CorruptStore:
        if before is not None:
            index.write_bytes(before)
        raise


def _refuse_lost(path: Path, note: Note, *, size: int | None, log: int | None) -> None:
    if log:
        gone = "is missing" if size is None else "is empty"
        raise CorruptStore(f"The database {path} {gone}, but its write-ahead log is there; {_RESTORE}.")
    if size == 0 and note.store is not None:
        raise CorruptStore(
            f"The database {path} is empty, but held a store; {_RESTORE}, or remove the file to begin anew."
        )


def _refuse_other_names(path: Path) -> None:
    if path.stat().st_nlink > 1:
        raise CorruptStore(
            f"The database {path} has a second name (a hard link), under which another process could open it "
            "unseen; nothing was changed: remove the other name, or copy the file."
        )


def _refuse_incomplete(path: Path, header: _Header, note: Note, *, size: int, log: int | None) -> None:
    if header.read_version not in {1, 2}:
        raise CorruptStore(f"The database {path} has a format that this SQLite cannot read; {_RESTORE}.")
    if note.wal and log is None:
        raise CorruptStore(
            f"The write-ahead log of {path} is gone, and with it what was written last; {_RESTORE}, "
            f"or remove {path}.lock to go on without it."
        )
    if not log and (size % header.page_size or (header.pages_known and size < header.pages * header.page_size)):
        raise CorruptStore(
            f"The database {path} is cut off: {size:,} of {header.pages * header.page_size:,} bytes; {_RESTORE}."
        )


def _read_only(path: Path, *, logged: bool) -> sqlite3.Connection:
    mode = "mode=ro" if logged else "mode=ro&immutable=1"  # without a log not even a lock is taken
    return sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True)


def _examine_content(path: Path, connection: sqlite3.Connection, *, ours: bool, pages: bool) -> bool:
    """Say of a database that SQLite can read whether it holds nothing yet."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    if not ours and connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID and tables:
        raise CorruptStore(f"The database {path} belongs to another program; nothing was changed.")
    if not tables:
        return True
    if "alembic_version" not in tables:
        raise CorruptStore(f"The database {path} does not say which version its schema has; {_RESTORE}.")
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    known_version(None if row is None else row[0])
    if pages:
        finding = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if finding != "ok":
            raise CorruptStore(f"The database {path} is damaged ({finding}); {_RESTORE}.")
    return False


def _refuse_forgotten(path: Path, known: int) -> None:
    forgotten = forgotten_commits(path, known)
    if forgotten:
        of = "transactions" if forgotten > 1 else "transaction"
        raise CorruptStore(
            f"The write-ahead log of {path} is damaged: its last {forgotten} {of} cannot be read; {_RESTORE}, "
            f"or remove {path}-wal and {path}.lock to go on without them."
        )


def _size(path: Path) -> int | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"The database {path} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise Unavailable(f"{path} is no file, and so no database.")
    return status.st_size


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEADER)
    except OSError as error:
        raise Unavailable(f"The database {path} cannot be read: {error.strerror}.") from error
