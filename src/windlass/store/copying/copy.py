"""Copying a store from SQLite to PostgreSQL: all of it, compared row by row, or nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from windlass.errors import CorruptStore, Unavailable
from windlass.store.backup.content import copy_durably, digest_of
from windlass.store.copying.content import Sum, copied_tables
from windlass.store.copying.source import Source, open_source
from windlass.store.copying.target import Target, counted, find_again, open_target, store_at
from windlass.store.postgres.troubles import sqlstate

if TYPE_CHECKING:
    from sqlalchemy import Table

    from windlass.store.place import ServerPlace

#: Marks the source: False just before the copy is committed, True once it is there, None where it is not after all.
Mark = Callable[[bool | None], Awaitable[None]]
#: Rows after which somebody who waits is told how far it is.
_TOLD: Final = 250_000
_NEW: Final = ".copying"


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied."""

    #: Id of the store, which both now have.
    store: str
    #: Rows of each table, and what stands for all of them.
    rows: Mapping[str, int]
    digests: Mapping[str, str]
    #: Texts with U+0000, or with bytes that are no text, in which U+FFFD stands for that now.
    mended: int
    #: Files of runs that were copied, and those that are not there any more.
    files: int
    missing: int


async def copy_store(
    database: Path,
    place: ServerPlace,
    *,
    files: tuple[Path, ...] | None,
    owned: bool,
    mark: Mark,
    tell: Callable[[str], None],
) -> Copied:
    """Copy the store in the file `database` to `place`, and mark it as gone there.

    It is marked before the copy is committed, so that there is no moment at which both go on.
    `files` are the folders in which files of runs may lie here, and at the end the one there, where that is another.
    With `owned` nobody works on the database; else it must be under maintenance, and nothing may run there.
    Raises Conflict where `place` is not empty or the database is worked on, Unavailable where something cannot be
    read or written, CorruptStore where the source is damaged or the copy is not what was read; nothing was made then.
    """
    with open_source(database) as source:
        if not owned and not source.rests:
            raise Unavailable(
                f"A server works on the store at {database}: stop it, or run `windlass maintenance on` and wait until "
                "nothing runs. What is accepted while the copy is made is not in it."
            )
        copied, missing = (0, 0) if files is None else _copy_files(source, files[:-1], files[-1], tell)
        async with open_target(place) as target:
            await target.prepare(source.since)
            sums = {table.name: await _copy_table(source, target, table, tell) for table in copied_tables()}
            mended = source.mended
            tell("Comparing the copy")
            for table in copied_tables():
                if await target.sum_of(table) != sums[table.name]:
                    raise CorruptStore(f"The copy of {table.name} is not what was read; nothing was kept of it.")
            await mark(False)  # noqa: FBT003 - as it says above
            try:
                await target.commit()
            except Exception as error:
                if sqlstate(error) is not None:  # the server said so: nothing of it was kept
                    await mark(None)
                raise
        await mark(True)  # noqa: FBT003 - the same
        await find_again(place, _spots(source))
        return Copied(
            store=source.store,
            rows={name: found.rows for name, found in sums.items()},
            digests={name: found.digest for name, found in sums.items()},
            mended=mended,
            files=copied,
            missing=missing,
        )


async def finish(database: Path, place: ServerPlace, *, mark: Mark) -> Copied | None:
    """Return what was copied to `place` before, where that was cut off once it was there; None where it is not there.

    It was compared before it was committed. Raises Unavailable where that cannot be known now.
    """
    with open_source(database) as source:
        if await store_at(place) != source.store:
            await mark(None)
            return None
        await mark(True)  # noqa: FBT003 - as it says above
        rows = {table.name: source.count(table) for table in copied_tables()}
        return Copied(store=source.store, rows=rows, digests={}, mended=0, files=0, missing=0)


async def _copy_table(source: Source, target: Target, table: Table, tell: Callable[[str], None]) -> Sum:
    number, found = source.count(table), Sum()
    if number:
        await target.fill(table, _told(counted(source.rows(table), found), table.name, number, tell))
    last = source.last_number(table)
    if last is not None:
        await target.go_on_behind(table, last)
    return found


def _told(rows: Iterator[Any], name: str, number: int, tell: Callable[[str], None]) -> Iterator[Any]:
    tell(f"Copying {name}: {number:,}")
    for at, row in enumerate(rows, 1):
        yield row
        if at % _TOLD == 0:
            tell(f"Copying {name}: {at:,} of {number:,}")


def _spots(source: Source) -> Iterator[tuple[Table, list[tuple[Any, ...]]]]:
    for table in copied_tables():
        yield table, source.spots(table)


def _copy_files(source: Source, here: Sequence[Path], there: Path, tell: Callable[[str], None]) -> tuple[int, int]:
    """Copy the files that runs kept; return how many, and how many of them are not there."""
    copied = missing = 0
    for path, size, sha256 in source.files():
        if not copied and not missing:
            tell("Copying the files that runs kept")
        target = there / path
        if target.is_file() and target.stat().st_size == size and digest_of(target) == sha256:
            continue
        kept = next((folder / path for folder in here if (folder / path).is_file()), None)
        if kept is None:
            missing += 1
            continue
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = target.with_name(target.name + _NEW)
        new.unlink(missing_ok=True)
        if copy_durably(kept, new) != (size, sha256):
            new.unlink()
            raise CorruptStore(f"The file {kept} is not what a run kept: `windlass doctor` tells more.")
        new.replace(target)
        copied += 1
    return copied, missing
