"""Copying the store that one URL names to the database that another one names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from windlass.errors import Conflict, Unavailable, UserError
from windlass.store.copying.copy import Copied, copy_store, finish
from windlass.store.copying.source import open_source
from windlass.store.lockfile import find_owner
from windlass.store.moved import Move, forget_move, note_move
from windlass.store.open import open_owned
from windlass.store.owner import own
from windlass.store.place import store_place
from windlass.store.transaction import Transaction

if TYPE_CHECKING:
    from windlass.store.place import ServerPlace


def ends_of_copy(source: str, target: str) -> tuple[Path, ServerPlace]:
    """Return where a copy comes from and where it goes.

    Raises UserError where that is not from SQLite to PostgreSQL, Unavailable where there is nothing to copy.
    """
    place, found = store_place(target).server, store_place(source)
    if place is None or found.path is None:
        raise UserError(
            "A store is copied from SQLite to PostgreSQL: WINDLASS_DATABASE_URL is sqlite:///FILE, and the copy is "
            "named by postgresql://USER@HOST/DATABASE."
        )
    if not found.path.exists():
        raise Unavailable(f"There is no database at {found.path}.")
    return found.path, place


async def copy(
    database: Path,
    place: ServerPlace,
    *,
    files: tuple[Path, ...],
    version: str,
    through_owner: Callable[[bool | None], None],
    tell: Callable[[str], None],
) -> tuple[Copied, int | None]:
    """Copy a store; return what was copied, and the process that still works on it here, if one does.

    `files` are the folders in which files of runs may lie here, and at the end the one there, which may be one of them.
    Where a process works on the store, `through_owner` has it mark the store, see `Mark`. A copy that was cut off once
    it was there is finished. Raises Conflict where the store has gone already, and as `copy_store` does.
    """
    owner = find_owner(database)
    async with AsyncExitStack() as stack:
        if owner is None:  # looked over, and brought up to date, as by everybody who opens it
            opened = await stack.enter_async_context(await open_owned(await own(database, version=version, wait=0)))

            async def mark(whole: bool | None) -> None:
                await opened.store.run(_mark, place.shown, whole)

        else:

            async def mark(whole: bool | None) -> None:
                await asyncio.to_thread(through_owner, whole)

        move = await asyncio.to_thread(_read_move, database)
        if move is not None and (move.whole or move.to != place.shown):
            raise Conflict(move.sentence)
        done = None if move is None else await finish(database, place, mark=mark)
        if done is None:
            apart = files if len(set(files)) > 1 else None
            done = await copy_store(database, place, files=apart, owned=owner is None, mark=mark, tell=tell)
    return done, None if owner is None else owner.pid


def _mark(tx: Transaction, to: str, whole: bool | None) -> None:
    if whole is None:
        forget_move(tx)
    else:
        note_move(tx, to, whole=whole)


def _read_move(database: Path) -> Move | None:
    with open_source(database) as source:
        return source.move
