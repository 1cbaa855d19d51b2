"""Whether an archive is this store's to change: it bears the mark that this store left there, or holds nothing."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final, NamedTuple

from windlass.engine.engine import Engine
from windlass.errors import Unavailable
from windlass.store.archive.archive import Archive
from windlass.store.archive.catalogue import holds_any
from windlass.store.archive.in_database import URL as DATABASE
from windlass.store.archive.marks import Marks, marks_of, set_marks
from windlass.store.archive.open import is_there
from windlass.store.archive.traces import note_traces, traced_archives
from windlass.store.transaction import Transaction

#: What says that an archive belongs to this store from now on.
ADOPT: Final = "windlass archive adopt"
_BYTES: Final = 12


async def require_own(engine: Engine, archive: Archive) -> str:
    """Return the mark that an archive bears. Raises Unavailable where it is not this store's, or cannot be read."""
    if archive.url == DATABASE:
        return ""
    known = await engine.store.read(_known, archive.url)
    if known.traced and known.marks.before and not await is_there(archive.url, engine.store):
        raise Unavailable(
            f"The archive {archive.url} is gone although something is to be removed from it: mount its disk; if it is "
            f"gone for good, `{ADOPT}` forgets it."
        )
    found = await archive.mark()
    if found not in known.marks and (found or not await _is_unused(engine, archive)):
        raise Unavailable(
            f"The archive {archive.url} was changed by another copy of this store, or by this one before a backup was "
            f"restored: no run leaves for it and nothing in it is removed until `{ADOPT}` says that it is this store's."
        )
    return found


async def begin_change(
    engine: Engine, archive: Archive, documents: Sequence[str] = (), files: Sequence[str] = ()
) -> None:
    """Prepare a change of an archive: note what may be left there if this ends in the middle, and mark it anew.

    Raises as `require_own` does.
    """
    await mark_anew(engine, archive, await require_own(engine, archive), documents, files)


async def mark_anew(
    engine: Engine, archive: Archive, found: str, documents: Sequence[str] = (), files: Sequence[str] = ()
) -> None:
    """Mark an archive, which bears the mark `found`, as this store's; see `begin_change`."""
    mark = "" if archive.url == DATABASE else secrets.token_hex(_BYTES)
    await engine.store.run(_begin, archive.url, Marks(mark, found), documents, files)
    await archive.set_mark(mark)


async def still_own(engine: Engine, archive: Archive) -> None:
    """Raise Unavailable where an archive that was just written bears the mark of another store by now."""
    if archive.url != DATABASE and await archive.mark() not in await engine.store.read(marks_of, archive.url):
        raise Unavailable(f"The archive {archive.url} is being changed by another copy of this store: no run leaves.")


class _Known(NamedTuple):
    """What the store knows of an archive: its marks, and whether something in it is to be removed."""

    marks: Marks
    traced: bool


async def _is_unused(engine: Engine, archive: Archive) -> bool:
    """Say whether an archive holds nothing, and should hold nothing."""
    return not await engine.store.read(holds_any, archive.url) and await archive.is_empty()


def _known(tx: Transaction, url: str) -> _Known:
    return _Known(marks_of(tx, url), url in traced_archives(tx))


def _begin(tx: Transaction, url: str, marks: Marks, documents: Sequence[str], files: Sequence[str]) -> None:
    if url != DATABASE:
        set_marks(tx, url, marks)
    note_traces(tx, url, "document", documents)
    note_traces(tx, url, "file", files)
