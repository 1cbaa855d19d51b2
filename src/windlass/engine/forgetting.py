"""Removing what archives hold and no run needs: what was noted of it, and nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from typing import Final

from windlass.engine.archive_owner import begin_change, require_own
from windlass.engine.engine import Engine
from windlass.engine.moving import moving_runs
from windlass.engine.moving_files import depot_of
from windlass.errors import CorruptStore, Unavailable, UserError
from windlass.store.archive.archive import Archive
from windlass.store.archive.catalogue import Copy, holds_any
from windlass.store.archive.in_database import URL as DATABASE
from windlass.store.archive.marks import Marks, forget_archive, set_marks, used_archives
from windlass.store.archive.open import is_there, open_archive, refuse_missing
from windlass.store.archive.traces import document_name, forget_traces, traced_archives, traces, unneeded
from windlass.store.file_homes import home_at
from windlass.store.transaction import Transaction

_log = logging.getLogger(__name__)

#: Why an archive may take no change now.
TROUBLE: Final = (Unavailable, CorruptStore, UserError)
#: Things that are removed together.
_PAGE: Final = 500


async def forget_copies(engine: Engine, copies: Sequence[Copy]) -> None:
    """Remove documents of runs of which the catalogue knows no more.

    What cannot be removed now goes with a sweep: an archive that is not there, and files with documents of other runs.
    """
    by_url: dict[str, list[str]] = {}
    for copy in copies:
        by_url.setdefault(copy.archive, []).append(document_name(copy.run_id, copy.place))
    for url, names in by_url.items():
        try:
            archive = await open_archive(url, engine.store)
            await require_own(engine, archive)
            await discard(engine, archive, names)
        except TROUBLE as error:
            _log.warning("%s What is there of %d deleted runs goes with a later clean-up", error, len(names))


async def forget_contents(engine: Engine, copies: Sequence[Copy]) -> None:
    """Remove the files of copies of which the catalogue knows no more, unless a sweep is about to do so anyway.

    The archiver must stand still: it keeps contents before the catalogue knows of them.
    """
    async with moving_runs(engine, wait=False) as ours:
        for url in sorted({copy.archive for copy in copies if copy.contents}) if ours else ():
            names = sorted({name for copy in copies if copy.archive == url for name in copy.contents})
            try:
                await begin_change(engine, await open_archive(url, engine.store))
                await remove(engine, url, names)
            except TROUBLE as error:
                _log.warning("%s %d files of deleted runs that are there go with a later clean-up", error, len(names))


async def tidy_archives(engine: Engine) -> None:
    """Remove from all archives what is noted and no run needs; the archiver must be who asks.

    An archive that cannot be changed now keeps it until it can, and the others are none the worse for it.
    """
    current = engine.settings.archive_url
    for url in sorted(await engine.store.read(_traced)):
        try:
            archive = await open_archive(url, engine.store)
            await begin_change(engine, archive)
            await tidy_documents(engine, archive)
            await tidy_files(engine, url)
        except TROUBLE as error:
            _log.warning("What nobody needs any more in the archive %s stays for now: %s", url, error)
    for url in sorted(await engine.store.read(_of_no_use) - {current}):
        try:
            await _release(engine, url)
        except TROUBLE as error:
            _log.debug("The former archive %s keeps its mark: %s", url, error)


async def tidy_documents(engine: Engine, archive: Archive) -> None:
    """Remove the documents that are noted and in which no run is."""
    while names := await engine.store.read(traces, archive.url, "document", _PAGE):
        await discard(engine, archive, names)


async def tidy_files(engine: Engine, url: str) -> None:
    """Remove the files that are noted and that no run has."""
    after = ""
    while names := await engine.store.read(traces, url, "file", _PAGE, after):
        await remove(engine, url, names)
        after = names[-1]  # what homes keep for runs that have not left yet stays noted


async def discard(engine: Engine, archive: Archive, names: Sequence[str]) -> None:
    """Remove those documents of `names` that are noted and in which no run is."""
    if found := await engine.store.run(unneeded, archive.url, "document", names):
        await archive.discard(found)
        await engine.store.run(forget_traces, archive.url, "document", found)


async def remove(engine: Engine, url: str, names: Sequence[str]) -> None:
    """Remove those files of `names` that are noted and that no run has."""
    if found := await engine.store.run(unneeded, url, "file", names):
        depot = await depot_of(engine, url)
        await asyncio.to_thread(depot.remove, found)
        await engine.store.run(forget_traces, url, "file", found)


def needed_archives(tx: Transaction) -> set[str]:
    """Return the archives in which runs are, or something that is to be removed."""
    return {url for url in used_archives(tx) if holds_any(tx, url)} | _traced(tx)


def _traced(tx: Transaction) -> set[str]:
    """Return the archives in which something is to be removed; what homes keep, their owners remove."""
    return {url for url in traced_archives(tx) if home_at(url) is None}


def _of_no_use(tx: Transaction) -> set[str]:
    """Return the archives of which the catalogue needs nothing, and in which nothing is to be removed."""
    return used_archives(tx) - needed_archives(tx)


async def _release(engine: Engine, url: str) -> None:
    """Take the mark out of a former archive, and forget it. Raises as `require_own` does where it is not ours."""
    if url != DATABASE and await is_there(url, engine.store):
        archive = await open_archive(url, engine.store)
        found = await require_own(engine, archive)
        await engine.store.run(set_marks, url, Marks(found, ""))
        await archive.set_mark("")
    await engine.store.run(forget_archive, url)


async def trouble_of(engine: Engine, urls: Collection[str]) -> dict[str, str]:
    """Return what is wrong with archives, by their addresses, of those that cannot be changed now."""
    found = {}
    for url in sorted(urls):
        try:
            await refuse_missing(url, engine.store)
            await require_own(engine, await open_archive(url, engine.store))
            depot = await depot_of(engine, url)
            await asyncio.to_thread(depot.names)
        except TROUBLE as error:
            found[url] = str(error)
    return found
