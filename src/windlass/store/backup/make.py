"""Making a backup: one consistent state of the database, while its owner goes on working, and the files beside it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
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
    KeptFile,
    copy_durably,
    digest_of,
    examine_copy,
    flush,
    is_kept_path,
    new_file,
    told,
)

_UNFINISHED: Final = ".part"
_BUSY_MS: Final = 10_000


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
    unfinished = target.with_name(target.name + _UNFINISHED)
    try:
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700, parents=True)
        note = _fill(database, artifacts, unfinished, version=version, tell=tell, clock=clock or SystemClock())
        unfinished.rename(target)
        flush(target.parent)
    except OSError as error:
        raise Unavailable(f"The backup could not be written to {target}: {told(error)}.") from error
    finally:
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
    tell(f"Copying the database, {size:,} bytes")
    copy = folder / DATABASE
    _copy_database(database, copy)
    tell("Checking the copy")
    facts = examine_copy(copy)
    files = files_size = 0
    listed: str | None = None
    if artifacts is not None:
        tell("Copying the files that runs kept")
        with new_file(folder / FILES) as lines:
            for file in _copy_files(artifacts, folder / ARTIFACTS):
                lines.write(json.dumps(file).encode() + b"\n")
                files, files_size = files + 1, files_size + file.size
        flush(folder / FILES)
        listed = digest_of(folder / FILES)
    note = BackupNote(
        format=FORMAT,
        version=version,
        store=facts.store,
        schema=facts.schema,
        created=created,
        size=copy.stat().st_size,
        sha256=digest_of(copy),
        rows=facts.rows,
        files=None if artifacts is None else files,
        files_size=files_size,
        files_sha256=listed,
    )
    note.write(folder)
    flush(folder)
    return note


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


def _copy_files(source: Path, target: Path) -> Iterator[KeptFile]:
    """Copy the files of runs; one that is removed meanwhile is left out."""
    target.mkdir(mode=0o700)
    for run in sorted(source.iterdir()) if source.is_dir() else ():
        if run.is_symlink() or not run.is_dir():
            continue
        for file in sorted(run.iterdir()):
            path = f"{run.name}/{file.name}"
            if file.is_symlink() or not file.is_file() or not is_kept_path(path):
                continue
            (target / run.name).mkdir(mode=0o700, exist_ok=True)
            try:
                size, digest = copy_durably(file, target / path)
            except FileNotFoundError:
                continue
            yield KeptFile(path, size, digest)
