"""What a backup is: a folder with a copy of the database, the files that runs kept, and a note on both."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple
from urllib.parse import quote

from windlass.errors import CorruptStore, UserError
from windlass.store.upgrade import APPLICATION_ID, known_version

DATABASE: Final = "windlass.db"
NOTE: Final = "backup.json"
FILES: Final = "files.jsonl"
ARTIFACTS: Final = "artifacts"
FORMAT: Final = 1
_CHUNK: Final = 1 << 20
#: How the path of a kept file looks: a folder for its run, or that of archived ones, and a name in it.
_PATH: Final = re.compile(r"(?:[0-9a-f-]{36}|archived)/[A-Za-z0-9_-][A-Za-z0-9._-]*")


class KeptFile(NamedTuple):
    """A file of a backup; `path` is relative to the folder of artifacts."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupNote:
    """What a backup says of itself."""

    format: int
    #: Version of Windlass that made it.
    version: str
    #: Id of the store, and version of its schema.
    store: str
    schema: str
    #: When it was begun: RFC 3339.
    created: str
    #: Bytes and SHA-256 of the database.
    size: int
    sha256: str
    #: Rows of each table.
    rows: Mapping[str, int]
    #: How many files there are; None where they were left out.
    files: int | None
    files_size: int
    #: SHA-256 of the list of files; None without files.
    files_sha256: str | None

    def write(self, folder: Path) -> None:
        """Write the note, durably; a backup without it is none."""
        write_durably(folder / NOTE, (json.dumps(asdict(self), indent=2) + "\n").encode())


def read_note(folder: Path) -> BackupNote:
    """Return what a backup says of itself. Raises UserError where the folder is no backup."""
    try:
        values = json.loads((folder / NOTE).read_bytes())
    except FileNotFoundError:
        raise UserError(f"{folder} is no backup: it has no {NOTE}, which is written last.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / NOTE} cannot be read: {error}.") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise UserError(f"{folder} was made by another version of Windlass, whose backups this one cannot read.")
    try:
        return BackupNote(**values)
    except TypeError as error:
        raise UserError(f"{folder / NOTE} is incomplete: {error}.") from None


def read_files(folder: Path, note: BackupNote) -> Iterator[KeptFile]:
    """Yield the files of a backup. Raises CorruptStore where their list is damaged."""
    if note.files is None:
        return
    path = folder / FILES
    if not path.is_file() or digest_of(path) != note.files_sha256:
        raise CorruptStore(f"The list of files {path} is damaged or missing; nothing was changed.")
    with path.open("rb") as lines:
        for line in lines:
            found = KeptFile(*json.loads(line))
            if not _PATH.fullmatch(found.path):
                raise CorruptStore(f"The list of files {path} names a file outside of the backup; nothing was changed.")
            yield found


def is_kept_path(path: str) -> bool:
    """Say whether a path is one of a kept file."""
    return _PATH.fullmatch(path) is not None


class DatabaseFacts(NamedTuple):
    """What a database says of itself."""

    store: str
    schema: str
    rows: dict[str, int]
    #: Runs that are not final.
    live: int


def examine_copy(path: Path, named: Path | None = None) -> DatabaseFacts:
    """Read all of a database that nobody uses, and return what it says of itself; errors name `named` instead.

    Raises CorruptStore where it is damaged or none of ours, Unavailable where it is of a newer program.
    """
    named = named or path
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as connection:
            if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise CorruptStore(f"{named} is no database of Windlass.")
            finding = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if finding != "ok":
                raise CorruptStore(f"{named} is damaged: {' '.join(str(finding).split())}.")
            if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
                raise CorruptStore(f"{named} is damaged: rows point at others that are not there.")
            schema = known_version(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
            store = connection.execute("SELECT value FROM store_info WHERE key = 'id'").fetchone()[0]
            live = connection.execute("SELECT count(*) FROM runs WHERE finished_at IS NULL").fetchone()[0]
            return DatabaseFacts(str(store), schema, _rows(connection), int(live))
    except (sqlite3.Error, TypeError) as error:
        raise CorruptStore(f"{named} cannot be read as a database: {error}.") from error


def _rows(connection: sqlite3.Connection) -> dict[str, int]:
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
    ).fetchall()
    return {
        name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - a table's own name
        for (name,) in tables
    }


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_durably(source: Path, target: Path) -> tuple[int, str]:
    """Copy a file to a new one with mode 0600, flushed; return its size and SHA-256. Follows no link."""
    digest, size = hashlib.sha256(), 0
    with (
        open(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as reader,  # noqa: PTH123 - no links
        new_file(target) as writer,
    ):
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            writer.write(chunk)
            size += len(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    return size, digest.hexdigest()


def write_durably(target: Path, data: bytes) -> None:
    """Write a new file with mode 0600, and flush it."""
    with new_file(target) as writer:
        writer.write(data)
        writer.flush()
        os.fsync(writer.fileno())


def flush(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def new_file(target: Path) -> BinaryIO:
    """Open a new file with mode 0600 for writing. Raises FileExistsError where there is one."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return open(os.open(target, flags, 0o600), "wb")  # noqa: PTH123 - with these flags


def told(value: Any) -> str:
    """Return what an error of the operating system says."""
    return str(getattr(value, "strerror", None) or value)
