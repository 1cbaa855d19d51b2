"""Bringing a backup back: checked first, put in the place of the database in one step, the old one kept aside."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from windlass.clock import SECOND, Clock, SystemClock
from windlass.errors import CorruptStore, Unavailable, UserError
from windlass.store.backup.content import (
    ARTIFACTS,
    DATABASE,
    NOTE,
    BackupNote,
    DatabaseFacts,
    copy_durably,
    digest_of,
    examine_copy,
    flush,
    read_files,
    read_note,
    told,
)
from windlass.store.backup.estranging import estrange
from windlass.store.owner import Ownership

_NEW: Final = ".restoring"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    #: The folder or file it came from.
    source: Path
    #: What the backup says of itself; None of a bare copy of a database.
    note: BackupNote | None
    facts: DatabaseFacts
    #: Where the database of before is now; None where there was none.
    aside: Path | None
    #: Files of runs that came back.
    files: int


def restore_backup(
    source: Path, ownership: Ownership, artifacts: Path, *, tell: Callable[[str], None], clock: Clock | None = None
) -> Restored:
    """Put the backup at `source`, a folder or a bare copy of a database, in the place of the database that is owned.

    All of it is checked before anything is changed. A process that dies on the way leaves the old database or the new
    one, or one that says that it needs to be restored. Raises UserError where `source` is no backup, CorruptStore where
    it is damaged, Unavailable where it is of a newer program or the disk does not take it.
    """
    database = ownership.database
    try:
        note, copy = _checked(source, tell)
        new = database.with_name(database.name + _NEW)
        new.unlink(missing_ok=True)
        _refuse_small_disk(copy, database)
        tell("Copying the database")
        size, digest = copy_durably(copy, new)
        if note is not None and (size, digest) != (note.size, note.sha256):
            raise CorruptStore(f"The database of the backup {source} is not what was backed up; nothing was changed.")
        tell("Checking the copy")
        facts = examine_copy(new, copy)
        if note is not None and dict(note.rows) != facts.rows:
            raise CorruptStore(f"The backup {source} does not hold the rows it speaks of; nothing was changed.")
        estrange(new)
        files = 0
        if note is not None and note.files:
            tell("Copying the files that runs kept")
            files = _copy_files(source, note, artifacts)
        aside = _swap(new, database, clock or SystemClock())
        ownership.restored(facts.store)
    except OSError as error:
        named = f": {error.filename}" if error.filename else ""
        raise Unavailable(f"The backup {source} could not be restored: {told(error)}{named}.") from error
    finally:
        with suppress(OSError):
            database.with_name(database.name + _NEW).unlink(missing_ok=True)
    return Restored(source, note, facts, aside, files)


def _checked(source: Path, tell: Callable[[str], None]) -> tuple[BackupNote | None, Path]:
    if source.is_dir():
        note = read_note(source)
        copy = source / DATABASE
        if not copy.is_file():
            raise CorruptStore(f"The backup {source} has lost its database; nothing was changed.")
        return note, copy
    if source.name == NOTE:
        return _checked(source.parent, tell)
    if not source.is_file():
        raise UserError(f"There is no backup at {source}.")
    if Path(f"{source}-wal").exists() and Path(f"{source}-wal").stat().st_size:
        raise UserError(
            f"{source} was copied together with a write-ahead log, and may be in use: make a backup with "
            "`windlass db backup`."
        )
    return None, source


def _refuse_small_disk(copy: Path, database: Path) -> None:
    size, free = copy.stat().st_size, shutil.disk_usage(database.parent).free
    if size > free:
        raise Unavailable(f"The backup has {size:,} bytes, and {free:,} are free below {database.parent}.")


def _copy_files(source: Path, note: BackupNote, artifacts: Path) -> int:
    """Bring back the files that are missing or different; return how many those are."""
    copied = 0
    for file in read_files(source, note):
        target = artifacts / file.path
        if target.is_file() and target.stat().st_size == file.size and digest_of(target) == file.sha256:
            continue
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = target.with_name(target.name + _NEW)
        new.unlink(missing_ok=True)
        kept = source / ARTIFACTS / file.path
        if not os.path.lexists(kept):
            raise CorruptStore(f"The backup {source} has lost the file {file.path}; the database was not changed.")
        if copy_durably(kept, new) != (file.size, file.sha256):
            new.unlink()
            raise CorruptStore(f"The file {file.path} of the backup {source} is damaged; the database was not changed.")
        new.replace(target)
        copied += 1
    return copied


def _swap(new: Path, database: Path, clock: Clock) -> Path | None:
    """Give a new file the name of the database; return the name that the old one has now.

    A write-ahead log of the old database goes first: beside the new one it would be taken for its own. Without it the
    old one is refused, with the advice to restore, should this process die here.
    """
    moment = datetime.fromtimestamp(clock.now() / SECOND, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = database.with_name(f"{database.name}.before-{moment}")
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = database.with_name(f"{database.name}.before-{moment}-{number}")
    log = Path(f"{database}-wal")
    if log.exists():
        log.rename(f"{aside}-wal")
    Path(f"{database}-shm").unlink(missing_ok=True)
    kept = os.path.lexists(database)
    if kept:
        os.link(database, aside, follow_symlinks=False)
    flush(database.parent)
    new.replace(database)
    flush(database.parent)
    return aside if kept else None
