"""Making a backup: one consistent state of the database, while its owner goes on working, and the files beside it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp
from typing import Final
from urllib.parse import quote

from windlass.clock import Clock, SystemClock, to_text
from windlass.errors import Conflict, CorruptStore, Unavailable
from windlass.store.backup.content import (
    ARTIFACTS,
    DATABASE,
    FILES,
    FORMAT,
    BackupNote,
    DatabaseFacts,
    digest_of,
    examine_copy,
    flush,
    new_file,
    told,
)
from windlass.store.backup.files import KeptFiles

_UNFINISHED: Final = ".part"
_BUSY_MS: Final = 10_000
#: Times that the database is copied where files that it names went away meanwhile.
_TRIES: Final = 4


def make_backup(
    database: Path,
    artifacts: Path | None,
    target: Path,
    *,
    version: str,
    tell: Callable[[str], None],
    clock: Clock | None = None,
) -> BackupNote:
    """Copy a store into a new folder `target`, check the copy, and return what it says of itself.

    `artifacts` is where the files of runs are; None leaves them out. The database is only read, its owner may work
    meanwhile. `target` appears once all of it is there and flushed. Raises Conflict where it exists, Unavailable where
    something cannot be read or written, CorruptStore where the database is damaged.
    """
    if target.exists():
        raise Conflict(f"{target} exists; name a folder that does not.")
    if not database.exists():
        raise Unavailable(f"There is no database at {database}.")
    unfinished = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # a name that nobody has: what lies there under another one is not ours to remove
        unfinished = Path(mkdtemp(prefix=f".{target.name}-", suffix=_UNFINISHED, dir=target.parent))
        note = _fill(database, artifacts, unfinished, version=version, tell=tell, clock=clock or SystemClock())
        unfinished.rename(target)
        flush(target.parent)
    except OSError as error:
        raise Unavailable(f"The backup could not be written to {target}: {told(error)}.") from error
    finally:
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)  # once it has its name there is nothing of it
    return note


def _fill(
    database: Path,
    artifacts: Path | None,
    folder: Path,
    *,
    version: str,
    tell: Callable[[str], None],
    clock: Clock,
) -> BackupNote:
    created = to_text(clock.now())
    size = sum(path.stat().st_size for path in (database, Path(f"{database}-wal")) if path.exists())
    free = shutil.disk_usage(folder).free
    if size > free:
        raise Unavailable(f"The database has up to {size:,} bytes, and {free:,} are free below {folder.parent}.")
    copy = folder / DATABASE
    if artifacts is None:
        facts = _copy_whole_database(database, copy, size, tell)
        files = None
    else:
        with new_file(folder / FILES) as lines:
            files = KeptFiles(artifacts, folder / ARTIFACTS, lines)
            facts = _copy_with_files(database, copy, size, files, tell)
        flush(folder / FILES)
    note = BackupNote(
        format=FORMAT,
        version=version,
        store=facts.store,
        schema=facts.schema,
        created=created,
        size=copy.stat().st_size,
        sha256=digest_of(copy),
        rows=facts.rows,
        files=None if files is None else files.count,
        files_size=0 if files is None else files.size,
        files_sha256=None if files is None else digest_of(folder / FILES),
    )
    note.write(folder)
    flush(folder)
    return note


def _copy_with_files(
    database: Path, copy: Path, size: int, files: KeptFiles, tell: Callable[[str], None]
) -> DatabaseFacts:
    """Copy the database, and each file that its copy names.

    Files are copied before the database and after it: before, because a run may leave for the archive meanwhile, and
    its files with it, while the copy still has it; after, because runs keep new ones. What falls between is found out
    and the database copied again.
    """
    tell("Copying the files that runs kept")
    files.copy_new()
    missing: frozenset[str] = frozenset()
    for _ in range(_TRIES):
        copy.unlink(missing_ok=True)
        facts = _copy_whole_database(database, copy, size, tell)
        before, missing = missing, files.copy_new().missing(copy)
        if not missing or missing == before:  # what is away twice was away before the backup began
            break
    if missing:
        tell(f"Files that the database names and that are not there, nor in the backup: {len(missing):,}")
    return facts


def _copy_whole_database(database: Path, copy: Path, size: int, tell: Callable[[str], None]) -> DatabaseFacts:
    tell(f"Copying the database, {size:,} bytes")
    _copy_database(database, copy)
    tell("Checking the copy")
    return examine_copy(copy)


def _copy_database(database: Path, copy: Path) -> None:
    """Write one consistent state of a database into a new file, without free pages."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, isolation_level=None)) as reader:
            reader.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            reader.execute("VACUUM INTO ?", (str(copy),))
    except sqlite3.OperationalError as error:
        raise Unavailable(f"The database {database} could not be copied: {error}.") from error
    except sqlite3.DatabaseError as error:
        raise CorruptStore(
            f"The database {database} is damaged ({error}) and was not copied: `windlass db check` tells more, "
            "`windlass db restore` brings an earlier backup back."
        ) from error
    copy.chmod(0o600)
    flush(copy)  # SQLite leaves that to us
