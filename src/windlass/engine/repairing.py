"""What doctor finds beside stuck work and can put right: each thing found, told with what would be done, and done."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from windlass.clock import SECOND, to_text
from windlass.engine.engine import Engine
from windlass.engine.mending import suspects
from windlass.engine.moving_files import artifacts_folder, remove_files
from windlass.engine.own_folders import own_folders
from windlass.engine.services.reconciler import FIRST_RUN, RUNS, Reconciler
from windlass.errors import CorruptStore
from windlass.ids import id_text
from windlass.store import mending, upkeep, workers
from windlass.store.check import check
from windlass.store.transaction import Transaction
from windlass.supervisor import cgroup

#: A clock that is off by more microseconds than this is told of.
_SKEW: Final = 5 * SECOND
#: Empty bytes of the file that are told of, and their part of the whole.
_BLOAT: Final = 64 * 1024 * 1024
_BLOAT_PART: Final = 4
#: Pages that one transaction gives back.
_STEP: Final = 1_000
#: Pages of runs that are looked at when nothing is to be changed.
_LOOKS: Final = 50
#: Things of one kind that are named.
_NAMED: Final = 5
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong, and what a repair does about it; None where only a person can."""

    check: str
    message: str
    repair: str | None = None
    error: bool = False


async def troubles(engine: Engine) -> list[Trouble]:
    """Return what is wrong; changes nothing."""
    store = await engine.store.read(upkeep.store_identity)
    folders = await asyncio.to_thread(own_folders, artifacts_folder(engine), store)
    found = await engine.store.read(_in_store, list(folders))
    return [*await _broken(engine), *found, *await asyncio.to_thread(_groups, store)]


async def repair(engine: Engine) -> list[tuple[str, str]]:
    """Put right what can be, and return what was done as `(check, sentence)`; nothing where nothing was wrong.

    Raises CorruptStore, and touches nothing, where the database is damaged: what stands in it could not be trusted.
    """
    if (await check(engine.store)).damage:
        raise CorruptStore("it is damaged, and nothing was changed: restore a backup with `windlass db restore`")
    done: list[tuple[str, str]] = []
    made = await engine.store.run(upkeep.make_indexes)
    if made:
        done.append(("indexes", f"made {', '.join(made)}"))
    done += [("database", sentence) for sentence in await engine.store.tend()]
    mended = await Reconciler(engine).whole()
    if mended:
        runs = "1 run was" if mended == 1 else f"{mended} runs were"
        done.append(
            (
                "runs",
                f"{runs} put right; `windlass event list --type run.repaired` tells how",
            )
        )
    done += await _remove_folders(engine)
    done += await _shrink(engine)
    removed = await asyncio.to_thread(_remove_groups, await engine.store.read(upkeep.store_identity))
    if removed:
        done.append(("cgroups", f"removed {removed} empty control groups of processes that are gone"))
    return done


async def _broken(engine: Engine) -> list[Trouble]:
    """Return the runs that are not whole, of as many as can be looked at in a moment."""
    after, found = FIRST_RUN, []
    for _ in range(_LOOKS):
        page = await engine.store.read(mending.open_runs, after, RUNS)
        found += await engine.store.read(suspects, engine, page)
        if len(page) < RUNS:
            break
        after = (page[-1].deadline, page[-1].id)
    of_no_run, _ = await engine.store.read(mending.rows_of_no_run, 0, RUNS * _LOOKS)
    found += of_no_run
    repair_text = "puts it right, or sets it aside"
    return [
        Trouble("runs", f"run {id_text(run_id)} has tasks that nobody would move", repair_text, error=True)
        for run_id in found[:_NAMED]
    ] + _more("runs", len(found), repair_text)


def _more(what: str, count: int, repair_text: str) -> list[Trouble]:
    left = count - _NAMED
    return [Trouble(what, f"and {left} more {what}", repair_text, error=True)] if left > 0 else []


def _in_store(tx: Transaction, folders: list[bytes]) -> list[Trouble]:
    found = [
        Trouble("indexes", f"the index {name} is missing: lists and claims are slow without it", "makes it", error=True)
        for name in upkeep.missing_indexes(tx)
    ]
    size = upkeep.pages(tx)
    if size is not None and size.free > max(_BLOAT, size.size // _BLOAT_PART):
        message = f"{size.free // _MIB:,} of {size.size // _MIB:,} MiB of the database hold nothing"
        found.append(Trouble("bloat", message, "gives them back to the disk"))
    found += _clock(tx)
    orphans = upkeep.unknown_runs(tx, folders)
    if orphans:
        message = f"{len(orphans)} folders of artifacts belong to no run, {id_text(orphans[0])} for one"
        found.append(Trouble("files", message, "removes them"))
    return found


def _clock(tx: Transaction) -> list[Trouble]:
    """Say where the clock was set back: times ahead of it stand in the database."""
    newest = upkeep.newest_event_at(tx)
    beats = [row.heartbeat_at for row in workers.live(tx)]
    ahead = max([at for at in (newest, *beats) if at is not None], default=0)
    if ahead <= tx.now + _SKEW:
        return []
    message = (
        f"the clock stands at {to_text(tx.now)}, and the database knows of {to_text(ahead)}: it was set back by "
        f"{(ahead - tx.now) // SECOND} s; what has a time waits for it, so set the clock right"
    )
    return [Trouble("clock", message)]


async def _remove_folders(engine: Engine) -> list[tuple[str, str]]:
    store = await engine.store.read(upkeep.store_identity)
    found = await asyncio.to_thread(own_folders, artifacts_folder(engine), store)
    orphans = await engine.store.read(upkeep.unknown_runs, found)
    gone = sum([await remove_files(engine, run_id) for run_id in orphans])
    return [("files", f"removed {gone} folders of artifacts that belonged to no run")] if gone else []


async def _shrink(engine: Engine) -> list[tuple[str, str]]:
    before = await engine.store.read(upkeep.pages)
    if before is None or before.free <= max(_BLOAT, before.size // _BLOAT_PART):
        return []
    more = True
    while more:  # in steps, so that others get their turn
        more = await engine.store.run(upkeep.give_back, _STEP)
    after = await engine.store.read(upkeep.pages)
    given = 0 if after is None else before.size - after.size
    return [("bloat", f"{given // _MIB:,} MiB were given back to the disk")]


def _abandoned_groups(store: str) -> list[str]:
    """Return the control groups of supervisors of a store that are gone, in which nobody is left.

    Those of other stores, which may be another user's, are none of our business.
    """
    found = []
    for folder in dict.fromkeys(cgroup.folders_here().values()):
        with suppress(OSError):
            for place in Path(folder).iterdir():
                pid = place.name.rpartition(".")[2]
                ours = place.name.startswith(f"windlass.{store}.") and pid.isdigit()
                if ours and not _lives(int(pid)) and not cgroup.pids_in(str(place)):
                    found.append(str(place))
    return found


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _groups(store: str) -> list[Trouble]:
    found = _abandoned_groups(store)
    if not found:
        return []
    return [Trouble("cgroups", f"{len(found)} empty control groups of processes that are gone", "removes them")]


def _remove_groups(store: str) -> int:
    return sum(bool(cgroup.remove(place)) for place in _abandoned_groups(store))


def as_json(done: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return what a repair did as JSON."""
    return [{"check": name, "message": message} for name, message in done]
