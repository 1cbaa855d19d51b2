"""Taking over archives: what they hold and the catalogue does not know is entered there, or removed.

A store that came from a backup changes no archive before that: what is there beyond the backup may be of a later state
of this store, or of the store that it is a copy of.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson

from windlass.engine.archive_owner import mark_anew
from windlass.engine.engine import Engine
from windlass.engine.forgetting import TROUBLE, discard, remove
from windlass.engine.moving import moving_runs
from windlass.engine.moving_files import depot_of
from windlass.errors import CorruptStore, UserError
from windlass.store.archive import catalogue
from windlass.store.archive.archive import Archive, Entry
from windlass.store.archive.archived_files import Content, note_files
from windlass.store.archive.catalogue import NewEntry
from windlass.store.archive.depot import UNFINISHED
from windlass.store.archive.document import mark_of, read_rows
from windlass.store.archive.in_database import URL as DATABASE
from windlass.store.archive.marks import forget_archive, used_archives
from windlass.store.archive.open import is_there, open_archive, refuse_missing
from windlass.store.archive.traces import Kind, forget_all_traces, known_contents, known_documents, note_traces, noted
from windlass.store.revisions import revision
from windlass.store.transaction import Transaction

#: The rule of runs that were found in an archive.
RULE: Final = "adopted"
#: Names that are looked at together.
_PAGE: Final = 200


@dataclass(slots=True)
class Adopted:
    """What was found in archives, and done about it."""

    #: Runs that were entered in the catalogue, or would be.
    runs: int = 0
    #: Documents of runs that the store has itself, of which the catalogue knows another copy, or whose job it has not.
    known: int = 0
    homeless: int = 0
    damaged: int = 0
    #: Documents and files that nobody knows which were removed, or would be.
    dropped: int = 0
    files: int = 0
    #: Addresses of former archives that are gone, and were forgotten, or would be.
    forgotten: list[str] = field(default_factory=list)
    #: What is wrong with archives that could not be looked at.
    trouble: list[str] = field(default_factory=list)
    #: Where to go on; None at the end.
    after: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Ask:
    """What is to be done: `dry` only looks, `drop` removes what else would be entered."""

    dry: bool
    drop: bool


async def adopt(
    engine: Engine, *, dry: bool = False, drop: bool = False, after: str | None = None, patience: float | None = None
) -> Adopted:
    """Make the archives that this store has used its own, with what they hold; see `_Ask`.

    It stops after `patience` seconds and says where to go on. Raises UserError where `after` is none of its own.
    """
    end = None if patience is None else time.monotonic() + patience
    begun, name = _position(after)
    told = Adopted()
    async with moving_runs(engine):
        for url in sorted(await engine.store.read(used_archives) | {engine.settings.archive_url}):
            if url == DATABASE or url < begun:
                continue
            try:
                left = await _adopt(engine, url, _Ask(dry, drop), name if url == begun else "", told, end)
            except TROUBLE as error:
                told.trouble.append(str(error))
                continue
            if left is not None:
                told.after = orjson.dumps([url, left]).decode()
                break
    return told


def _position(after: str | None) -> tuple[str, str]:
    if after is None:
        return "", ""
    try:
        url, name = orjson.loads(after)
        return str(url), str(name)
    except (ValueError, TypeError):
        raise UserError("The position to go on from is none that an answer gave.") from None


async def _adopt(engine: Engine, url: str, ask: _Ask, after: str, told: Adopted, end: float | None) -> str | None:
    """Look at one archive from a name on; return the last name that was looked at, None once all were."""
    await refuse_missing(url, engine.store, "nothing was changed")
    if url != engine.settings.archive_url and not await is_there(url, engine.store):
        told.forgotten.append(url)
        if not ask.dry:
            await engine.store.run(_forget, url)
        return None
    archive = await open_archive(url, engine.store)
    depot = await depot_of(engine, url)
    contents = set(await asyncio.to_thread(depot.names))
    if not ask.dry and not after:
        await mark_anew(engine, archive, await archive.mark())
    names = [name for name in await archive.names() if name > after]
    for start in range(0, len(names), _PAGE):
        page = names[start : start + _PAGE]
        for name in await engine.store.read(_strays, url, "document", page):
            if ask.drop:
                told.dropped += 1
                if not ask.dry:
                    await engine.store.run(note_traces, url, "document", [name])
                    await discard(engine, archive, [name])
            else:
                await _enter_all(engine, archive, name, contents, ask, told)
        if end is not None and time.monotonic() >= end and start + _PAGE < len(names):
            return page[-1]
    await _adopt_files(engine, url, contents, ask, told)
    return None


async def _adopt_files(engine: Engine, url: str, contents: set[str], ask: _Ask, told: Adopted) -> None:
    """Count the files that no run has, and remove them where that is asked for."""
    names = sorted({name.removeprefix(UNFINISHED) for name in contents})
    if url == DATABASE and engine.home is not None:
        return  # what homes keep their owners see to
    for start in range(0, len(names), _PAGE):
        strays = await engine.store.read(_strays, url, "file", names[start : start + _PAGE])
        told.files += len(strays)
        if strays and ask.drop and not ask.dry:
            await engine.store.run(note_traces, url, "file", strays)
            await remove(engine, url, strays)


def _forget(tx: Transaction, url: str) -> None:
    forget_all_traces(tx, url)
    forget_archive(tx, url)


def _strays(tx: Transaction, url: str, kind: Kind, names: Sequence[str]) -> list[str]:
    """Return those of `names` that no run is known to have, and that are not about to be removed anyway."""
    known = known_documents(tx, url, names) if kind == "document" else known_contents(tx, url, names)
    return sorted(set(names) - known - noted(tx, url, kind, names))


async def _enter_all(engine: Engine, archive: Archive, name: str, contents: set[str], ask: _Ask, told: Adopted) -> None:
    try:
        entries = await archive.entries(name)
        told.damaged += not entries
        for entry in entries:
            await _enter(engine, archive, entry, contents, ask, told)
    except CorruptStore:
        told.damaged += 1


async def _enter(engine: Engine, archive: Archive, entry: Entry, contents: set[str], ask: _Ask, told: Adopted) -> None:
    digest = hashlib.sha256()
    run: dict[str, Any] | None = None
    files: dict[str, Content] = {}
    async for data in archive.read(entry.run_id, entry.place):
        digest.update(data)
        for table, values in read_rows(data):
            if table == "runs":
                run = values
            elif table == "artifacts" and values["sha256"] in contents:
                files[values["sha256"]] = Content(values["sha256"], values["size"])
    if run is None or run.get("id") != entry.run_id or run.get("finished_at") is None:
        told.damaged += 1
        return
    new = NewEntry(entry.run_id, RULE, archive.url, entry.place, entry.size, digest.hexdigest())
    if await engine.store.read(_is_known, new.run_id):
        told.known += 1
    elif not await engine.store.read(_has_revision, run):
        told.homeless += 1
    elif ask.dry or await engine.store.run(_enter_one, new, run, list(files.values())):
        told.runs += 1


def _is_known(tx: Transaction, run_id: bytes) -> bool:
    return mark_of(tx, run_id) is not None or bool(catalogue.matching(tx, run_id, run_id))


def _has_revision(tx: Transaction, run: dict[str, Any]) -> bool:
    """Say whether the store has the revision of a run, and not a later one that got the same number anew."""
    found = revision(tx, run["revision_id"])
    return found is not None and found.job_id == run["job_id"] and found.created_at <= run["created_at"]


def _enter_one(tx: Transaction, entry: NewEntry, run: dict[str, Any], files: list[Content]) -> bool:
    if _is_known(tx, entry.run_id) or not catalogue.adopt(tx, entry, run):
        return False
    note_files(tx, entry.run_id, entry.archive, files)
    return True
