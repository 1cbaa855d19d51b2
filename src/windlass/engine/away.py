"""Homes in which something waits that nobody does: told, and given up where such a home will not come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from windlass.clock import SECOND, to_text
from windlass.engine.auditing.noting import note
from windlass.engine.engine import Engine
from windlass.engine.gathering import gone
from windlass.engine.repairing import Trouble
from windlass.errors import Conflict, NotFound, UserError
from windlass.store.file_errands import (
    UNKNOWN,
    Errand,
    Waiting,
    asked_runs,
    drop_removals,
    open_errands,
    say_kept,
    waiting,
)
from windlass.store.file_homes import FileHome, forget_home, homes
from windlass.store.file_places import placed_contents
from windlass.store.transaction import Transaction

#: How people name the home of files of which nobody has said where they lie.
NOWHERE: Final = "unknown"
#: Microseconds for which something may wait before that is told, and for which a home counts as worked in.
PATIENCE: Final = 3600 * SECOND
_AT_WORK: Final = 300 * SECOND
_PAGE: Final = 100


def homes_in_trouble(tx: Transaction, engine: Engine) -> list[Trouble]:
    """Return what waits for long in homes, and why."""
    if engine.home is None:
        return []
    known = homes(tx)
    found = []
    for one in waiting(tx):
        home = known.get(one.home)
        if home is not None and home.forgotten_at is not None:
            continue
        if one.trouble is not None:
            found.append(Trouble("files", f"{_there(one, home)}: {one.trouble}"))
        elif one.since <= tx.now - PATIENCE and (home is None or home.seen_at <= tx.now - _AT_WORK):
            found.append(Trouble("files", _away(one, home)))
    return found


def _there(one: Waiting, home: FileHome | None) -> str:
    runs = "1 run waits" if one.runs == 1 else f"{one.runs} runs wait"
    where = f"a home that is not known{f' ({one.home})' if one.home else ''}" if home is None else place_of(home)
    return f"files of {runs} in {where} to be archived, removed or brought back"


def _away(one: Waiting, home: FileHome | None) -> str:
    give_up = f"`windlass db forget-home {one.home or NOWHERE}` gives it up where it is gone for good"
    if one.home == UNKNOWN:
        return (
            f"{_there(one, home)}; they were kept by a program of an earlier version: start the servers and workers "
            f"again that are not there; {give_up}"
        )
    since = "" if home is None else f", where nobody has worked since {to_text(home.seen_at)}"
    return f"{_there(one, home)}{since}: start its server or worker again; {give_up}"


def place_of(home: FileHome) -> str:
    """Return where a home is, for people."""
    return f"the home {home.folder} on {home.host} ({home.id})"


async def give_up_home(engine: Engine, name: str) -> dict[str, Any]:
    """Wait for a home no more: runs leave without the files that lie there. Return it, and how many runs waited.

    Raises UserError on a store whose files lie in one place, NotFound where there is no such home, Conflict where
    somebody works there.
    """
    if engine.home is None:
        raise UserError("The files of this store lie in one folder: there is no home to forget.")
    home, runs = await engine.store.run(_forget, name)
    return {"home": home, "runs": runs}


def _forget(tx: Transaction, name: str) -> tuple[str, int]:
    known = homes(tx)
    note(tx, "store.forget-home", f"Home/{name}")
    if name == NOWHERE:
        return name, _give_up(tx, UNKNOWN)
    home = known.get(name)
    if home is None and name not in {one.home for one in waiting(tx)}:
        there = ", ".join(f"{one.id} ({one.folder} on {one.host})" for one in known.values())
        raise NotFound(f'There is no home "{name}"; those that are known are {there or "none"}.')
    if home is not None and home.seen_at > tx.now - _AT_WORK:
        raise Conflict(
            f"Somebody works in {place_of(home)}, seen at {to_text(home.seen_at)}: "
            "stop its servers and workers first, and wait five minutes."
        )
    forget_home(tx, name)
    runs = _give_up(tx, name)
    drop_removals(tx, name)
    return name, runs


def _give_up(tx: Transaction, home: str) -> int:
    """Answer for a home that its files are gone; return for how many runs that was waited for."""
    count = 0
    while found := asked_runs(tx, home, _PAGE):
        _answer_for(tx, home, found)
        count += len(found)
    return count


def _answer_for(tx: Transaction, home: str, run_ids: Sequence[bytes]) -> None:
    placed = placed_contents(tx, run_ids)
    for errand in open_errands(tx, home, b"", len(run_ids), run_ids):
        contents = placed.get(errand.run_id, {}).get(home or None, [])
        say_kept(tx, home, Errand(errand.run_id, "archive", errand.archive), gone(home, contents))
