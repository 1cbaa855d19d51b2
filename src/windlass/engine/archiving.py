"""Moving final runs out of the hot store: copied, read back and compared, and only then deleted."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from windlass.clock import micros
from windlass.engine.archive_owner import begin_change, require_own, still_own
from windlass.engine.cache_upkeep import tidy_cache
from windlass.engine.engine import Engine
from windlass.engine.forgetting import TROUBLE, forget_contents, forget_copies, tidy_archives
from windlass.engine.gathering import runs_with_files
from windlass.engine.listening import settle_all
from windlass.engine.moving import moving_runs
from windlass.engine.moving_files import ask_removal, copy_files, drop_moved, remove_files, remove_strays
from windlass.engine.retaining import DAY, leaving_runs, rules_of
from windlass.engine.swept import Swept
from windlass.engine.tallying import tally_all
from windlass.errors import CorruptStore, Unavailable
from windlass.ids import id_text
from windlass.model.retention import FinalRun, RetentionRule
from windlass.store.archive import catalogue, leaving
from windlass.store.archive.archive import Archive, Piece
from windlass.store.archive.archived_files import drop_old_files, files_to_move
from windlass.store.archive.catalogue import NewEntry
from windlass.store.archive.document import PIECE, Mark, Position, is_whole, mark_of, read_piece
from windlass.store.archive.leaving import Leaving
from windlass.store.archive.open import open_archive, refuse_missing, try_archive
from windlass.store.file_errands import drop_asked
from windlass.store.garbage import DROPS, PORTION
from windlass.store.giving_back import give_back
from windlass.store.retained import forget_files, jobs_with_retention, runs_with_old_files
from windlass.store.transaction import Transaction
from windlass.store.upgrade import has_newer_schema

_log = logging.getLogger(__name__)

#: How often a copy that does not read back is made again.
TRIES: Final = 3
#: Runs that leave in one unit of work.
_TOGETHER: Final = 50
#: Bytes of documents that are held at one time.
_HELD: Final = 4 * PIECE
#: Bytes of files that are copied before the runs with them leave.
_FILES: Final = 32 * 1024 * 1024
#: Longest pause in seconds between two units of work: writers get as much time as the archiver takes.
_LONGEST_BREATH: Final = 0.05


@dataclass(slots=True)
class _Copy:
    """A run's document on its way."""

    run: FinalRun
    mark: Mark | None = None
    position: Position | None = field(default_factory=Position)
    number: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    #: It has lost tasks: nothing of it may stand for the run, nor replace a copy that was whole.
    broken: bool = False


async def sweep(engine: Engine, *, patience: float | None = None) -> Swept:
    """Let every run leave whose time has come, and end what was begun before.

    It stops after `patience` seconds, once some have left; `more` says then that others may be to leave. It may be
    killed at any point: what it had copied is copied again, what it had begun to remove is removed. Raises Unavailable
    where a newer program has upgraded the store: what that writes into rows would be lost on the way.
    """
    if await engine.store.read(has_newer_schema):
        raise Unavailable("A newer Windlass has upgraded the store: only its servers may archive runs.")
    try:
        swept = await _swept(engine, None if patience is None else time.monotonic() + patience)
        engine.swept.add(swept, *await engine.store.read(_state))
    except BaseException:
        engine.swept.broken += 1
        raise
    return swept


def _state(tx: Transaction) -> tuple[int, catalogue.Figures, int | None]:
    return tx.now, catalogue.figures(tx), catalogue.oldest_in_store(tx)


async def _swept(engine: Engine, end: float | None) -> Swept:
    swept = Swept()
    async with moving_runs(engine):
        if await engine.store.read(catalogue.any_coming_back):  # and nobody brings it: whoever does has the lock
            await engine.store.run(catalogue.turn_around)
        await _finish(engine)
        trouble = await _let_leave(engine, swept, end)
        if not swept.more:
            await _drop_files(engine)
            await _end(engine, swept)
            await tidy_archives(engine)
            await _tidy(engine)
            await tidy_cache(engine)
        if trouble is not None:
            raise trouble
    return swept


async def _let_leave(engine: Engine, swept: Swept, end: float | None) -> Exception | None:
    """Let runs leave; return why none goes to the archive where that is in trouble: others are deleted all the same."""
    trouble: Exception | None = None
    archive: Archive | None = None
    try:
        archive = await open_archive(engine.settings.archive_url, engine.store)
        await refuse_missing(archive.url, engine.store)
        await require_own(engine, archive)
    except TROUBLE as error:
        trouble = error
    rules = await engine.store.read(rules_of, engine)
    async for rule, runs in leaving_runs(engine, rules):
        if rule.to == "delete":
            await _delete(engine, rule, runs, swept)
        elif archive is not None and trouble is None:
            try:
                await _archive_parts(engine, archive, rule, runs, swept, end)
            except TROUBLE as error:
                trouble = error
        swept.more = _enough(swept, end)
        if swept.more:
            break
    return trouble


async def _archive_parts(
    engine: Engine, archive: Archive, rule: RetentionRule, runs: Sequence[FinalRun], swept: Swept, end: float | None
) -> None:
    for part in await engine.store.read(_parts, runs):
        ready = await runs_with_files(engine, archive.url, part, swept)
        if ready:
            await _archive(engine, archive, rule, ready, swept)
        if _enough(swept, end):
            return


def _enough(swept: Swept, end: float | None) -> bool:
    """Say whether it is time to answer; never before a run has left: who asks again and again comes to an end."""
    return end is not None and bool(swept.archived + swept.deleted) and time.monotonic() >= end


def _parts(tx: Transaction, runs: Sequence[FinalRun]) -> list[list[FinalRun]]:
    """Return runs in parts, so that the files of each part are copied within seconds."""
    files = files_to_move(tx, [run.id for run in runs])
    parts: list[list[FinalRun]] = [[]]
    held = 0
    for run in runs:
        size = sum(content.size for content in files.get(run.id, ()))
        if parts[-1] and held + size > _FILES:
            parts.append([])
            held = 0
        parts[-1].append(run)
        held += size
    return parts


async def preview_sweep(engine: Engine) -> list[dict[str, Any]]:
    """Return how many runs each rule would let leave now.

    Raises Unavailable, CorruptStore or UserError where the archive would take none.
    """
    await try_archive(engine.settings.archive_url, engine.store)
    await require_own(engine, await open_archive(engine.settings.archive_url, engine.store))
    rules = await engine.store.read(rules_of, engine)
    counts: dict[str, dict[str, Any]] = {}
    async for rule, runs in leaving_runs(engine, rules):
        found = counts.setdefault(rule.name, {"rule": rule.name, "to": rule.to, "runs": 0})
        found["runs"] += len(runs)
    return list(counts.values())


async def _archive(
    engine: Engine, archive: Archive, rule: RetentionRule, runs: Sequence[FinalRun], swept: Swept
) -> None:
    left = list(runs)
    for _ in range(TRIES):
        names = archive.plan([(run.id, run.finished_at) for run in left])
        await begin_change(engine, archive, names, await engine.store.read(_contents, engine, left))
        copies = await _copied(engine, archive, left)
        kept = await archive.seal()
        files = await copy_files(engine, archive.url, [copy.run.id for copy in copies if copy.mark is not None])
        ready: list[Leaving] = []
        failed: list[FinalRun] = []
        for copy in copies:
            if copy.broken:
                swept.failed += 1
                _log.error(
                    "Run %s has not the tasks that it says it has; it stays where it is, and so does what the archive "
                    "has of it",
                    id_text(copy.run.id),
                )
                continue
            if copy.mark is None:
                swept.held += 1
                continue
            place = kept[copy.run.id]
            digest = copy.digest.hexdigest()
            contents = files.get(copy.run.id, [])
            if contents is None or await _digest_of(archive, copy.run.id, place.place) != digest:
                failed.append(copy.run)
                continue
            entry = NewEntry(copy.run.id, rule.name, archive.url, place.place, place.size, digest)
            ready.append(Leaving(entry, copy.mark, contents))
            swept.size += place.size
        await still_own(engine, archive)
        swept.archived += len(await _leave(engine, ready, swept))
        await _finish(engine)
        left = failed
        if not left:
            return
    swept.failed += len(left)
    _log.error(
        "The archive %s did not give back what it was given of %d runs, or files of theirs are damaged; they stay "
        "where they are, the first is %s",
        archive.url,
        len(left),
        id_text(left[0].id),
    )


def _contents(tx: Transaction, engine: Engine, runs: Sequence[FinalRun]) -> list[str]:
    """Return the contents of files that will be copied with runs; those that lie in homes are kept by now."""
    if engine.home is not None:
        return []
    found = files_to_move(tx, [run.id for run in runs])
    return sorted({content.sha256 for contents in found.values() for content in contents})


async def _copied(engine: Engine, archive: Archive, runs: Sequence[FinalRun]) -> list[_Copy]:
    """Write the documents of runs to the archive."""
    copies = [_Copy(run) for run in runs]
    waiting = list(reversed(copies))
    while waiting:
        pieces = await engine.store.read(_pieces, waiting)
        begun = time.monotonic()
        await archive.write(pieces)
        await _breathe(begun)
    return copies


def _pieces(tx: Transaction, waiting: list[_Copy]) -> list[Piece]:
    """Return further pieces of the documents that wait, and take those off that are done."""
    pieces: list[Piece] = []
    held = 0
    while waiting and held < _HELD:
        copy = waiting[-1]
        if copy.number == 0:
            copy.broken = not is_whole(tx, copy.run.id)
            copy.mark = None if copy.broken else mark_of(tx, copy.run.id)
        if copy.mark is None or copy.position is None:
            waiting.pop()
            continue
        data, copy.position = read_piece(tx, copy.run.id, copy.position)
        pieces.append(Piece(copy.run.id, copy.number, data, copy.run.finished_at))
        copy.digest.update(data)
        copy.number += 1
        held += len(data)
    return pieces


async def _digest_of(archive: Archive, run_id: bytes, place: str) -> str | None:
    """Return the digest of what the archive gives back; None where it cannot."""
    digest = hashlib.sha256()
    try:
        async for data in archive.read(run_id, place):
            digest.update(data)
    except CorruptStore:
        return None
    return digest.hexdigest()


async def _delete(engine: Engine, rule: RetentionRule, runs: Sequence[FinalRun], swept: Swept) -> None:
    marks = await engine.store.read(_marks, runs)
    ready = [Leaving(NewEntry(run.id, rule.name, "", "", 0, ""), mark) for run, mark in zip(runs, marks, strict=True)]
    swept.deleted += len(await _leave(engine, ready, swept))
    await _finish(engine)


async def remove_runs(engine: Engine, run_ids: Sequence[bytes]) -> int:
    """Delete final runs for good, without a copy, with logs and files; return how many nothing held back."""
    marks = await engine.store.read(_marks_of, run_ids)
    ready = [Leaving(NewEntry(run_id, leaving.DELETE, "", "", 0, ""), mark) for run_id, mark in marks]
    copies = await engine.store.read(catalogue.copies_of, run_ids)
    gone = await _leave(engine, ready, Swept())
    await _finish(engine, gone)
    left = set(gone)
    await forget_contents(engine, [copy for copy in copies if copy.run_id in left])
    return len(gone)


def _marks_of(tx: Transaction, run_ids: Sequence[bytes]) -> list[tuple[bytes, Mark]]:
    return [(run_id, mark) for run_id in run_ids if (mark := mark_of(tx, run_id)) is not None]


def _marks(tx: Transaction, runs: Sequence[FinalRun]) -> list[Mark]:
    return [mark_of(tx, run.id) or Mark(None, None, None, None) for run in runs]


async def _leave(engine: Engine, ready: Sequence[Leaving], swept: Swept) -> list[bytes]:
    """Delete runs whose copies were verified; return which left: `_finish` removes what is left of them."""
    gone: list[bytes] = []
    for start in range(0, len(ready), _TOGETHER):
        part = ready[start : start + _TOGETHER]
        await remove_strays(engine, [one.entry.run_id for one in part])
        await tally_all(engine)  # what has left is in no figure that was not added up before
        await engine.metrics.count_all(engine.store)
        begun = time.monotonic()
        left, copies = await engine.store.run(_left, engine, part)
        gone += left
        await forget_copies(engine, copies)
        swept.held += len(part) - len(left)
        await _breathe(begun)
    return gone


def _left(tx: Transaction, engine: Engine, part: Sequence[Leaving]) -> tuple[list[bytes], list[catalogue.Copy]]:
    """Let runs leave, once whoever waits for one of their events has it; return them, and copies nobody needs now."""
    while settle_all(tx, engine):
        pass
    deleted = [entry.run_id for entry, mark, _ in part if not entry.archive and mark.restored_at is not None]
    copies = catalogue.copies_of(tx, deleted) if deleted else []
    gone = leaving.leave(tx, part)
    if engine.home is not None:
        drop_asked(tx, [entry.run_id for entry, _, _ in part if entry.archive and entry.run_id in gone])
    return gone, [copy for copy in copies if copy.run_id in gone]


async def _finish(engine: Engine, only: Sequence[bytes] | None = None) -> None:
    """Remove what is left of runs that have left: large ones go bit by bit, and the files of deleted ones.

    Who has no right to move runs names `only` runs that no archive keeps: those never come back meanwhile.
    """
    for start in range(0, len(only), _TOGETHER) if only is not None else [0]:
        await _finish_some(engine, None if only is None else only[start : start + _TOGETHER])


async def finish_leaving(engine: Engine, run_ids: Sequence[bytes]) -> None:
    """Remove what is left of runs that were on their way, and that no archive keeps any more."""
    await _finish(engine, run_ids)


async def _finish_some(engine: Engine, only: Sequence[bytes] | None) -> None:
    while found := await engine.store.read(catalogue.leaving, 100, only):
        for row in found:
            await drop_moved(engine, row.run_id, archived=bool(row.archive))
            done = False
            while not done:
                begun = time.monotonic()
                done = await engine.store.run(_remove_rest, row.run_id, forget=not row.archive)
                await _breathe(begun)


def _remove_rest(tx: Transaction, run_id: bytes, *, forget: bool) -> bool:
    if not catalogue.is_leaving(tx, run_id):
        return True  # somebody else was faster
    done = leaving.remove_rest(tx, run_id)
    if done and forget:
        catalogue.drop(tx, [run_id])
    return done


async def _drop_files(engine: Engine) -> None:
    """Remove the files of runs whose job says that they stay for fewer days than the run."""
    for job_id, age in await engine.store.read(_file_ages):
        while found := await engine.store.read(_old_files, job_id, age):
            for run_id in found:
                await remove_files(engine, run_id)
            await engine.store.run(_forget_files, engine, found)
        await engine.store.run(_forget_archived, job_id, age)


def _forget_files(tx: Transaction, engine: Engine, run_ids: Sequence[bytes]) -> None:
    if engine.home is not None:
        ask_removal(tx, engine.home, run_ids)
    forget_files(tx, run_ids)


def _file_ages(tx: Transaction) -> list[tuple[bytes, int]]:
    ages = [(job_id, (said.get("artifacts") or {}).get("days")) for job_id, _, said in jobs_with_retention(tx)]
    return [(job_id, days * DAY) for job_id, days in ages if days is not None]


def _forget_archived(tx: Transaction, job_id: bytes, age: int) -> None:
    drop_old_files(tx, job_id, tx.now - age)


def _old_files(tx: Transaction, job_id: bytes, age: int) -> list[bytes]:
    return runs_with_old_files(tx, job_id, tx.now - age, 100)


async def _end(engine: Engine, swept: Swept) -> None:
    """Forget the runs whose time in an archive is over; `tidy_archives` removes what is there of them."""
    age = micros(engine.settings.archive_retention)
    while found := await engine.store.read(_over, age):
        ids = [row.run_id for row in found]
        for run_id in await engine.store.read(_not_hot, ids):
            await remove_files(engine, run_id)
        await engine.store.run(catalogue.drop, ids)
        swept.ended += len(ids)


async def _tidy(engine: Engine) -> None:
    """Remove what nothing points at, and give the disk back what it has taken."""
    age = max(micros(engine.settings.retention), DAY)  # what is made now may get its first run in a moment
    more = True
    while more:
        begun = time.monotonic()
        more = await engine.store.run(_tidied, age)
        await _breathe(begun)


def _tidied(tx: Transaction, age: int) -> bool:
    """Remove a portion of everything, and return whether there may be more."""
    dropped = [drop(tx, age) for drop in DROPS]
    return give_back(tx) or PORTION in dropped


def _over(tx: Transaction, age: int) -> list[Any]:
    return catalogue.ended(tx, tx.now - age, 500)


def _not_hot(tx: Transaction, run_ids: Sequence[bytes]) -> list[bytes]:
    return [run_id for run_id in run_ids if mark_of(tx, run_id) is None]


async def _breathe(begun: float) -> None:
    """Leave the writer to others for as long as the last unit of work took."""
    await asyncio.sleep(min(time.monotonic() - begun, _LONGEST_BREATH))
