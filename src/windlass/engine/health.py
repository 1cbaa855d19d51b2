"""How the parts of this installation are: store, writer, workers, loops, supervisor, disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from windlass.clock import SECOND, to_text
from windlass.engine.engine import Engine
from windlass.engine.present import is_served, working
from windlass.engine.room import look_at
from windlass.errors import WindlassError
from windlass.model.lack import nobody_works
from windlass.model.room import amount
from windlass.store import stuck
from windlass.store.transaction import Transaction

Status = Literal["ok", "degraded", "down"]

#: Bytes below which a disk is nearly full.
SCARCE: Final = 512 * 1024 * 1024
#: A small disk is nearly full where less than one part of so many is free.
_TENTH: Final = 10
#: Seconds after its time at which something due counts as late.
LATE: Final = 10
#: Parts without which nothing can be accepted.
_NEEDED: Final = frozenset({"store", "writer", "disk"})


@dataclass(frozen=True, slots=True)
class Part:
    """One part and how it is."""

    name: str
    status: Status
    #: One sentence.
    message: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"name": self.name, "status": self.status, "message": self.message}


async def health(engine: Engine) -> list[Part]:
    """Look at every part; none of them can make this fail."""
    store, writer, disk = await asyncio.gather(_store(engine), _writer(engine), asyncio.to_thread(_disk, engine))
    return [*store, writer, *_parts(engine), disk]


def ready(parts: Iterable[Part]) -> bool:
    """Say whether runs can be accepted."""
    return all(part.status != "down" for part in parts if part.name in _NEEDED)


def overall(parts: Iterable[Part]) -> Status:
    """Return the worst status of any part; `down` only where nothing can be accepted."""
    found = list(parts)
    if not ready(found):
        return "down"
    return "ok" if all(part.status == "ok" for part in found) else "degraded"


def health_shape(parts: Iterable[Part]) -> dict[str, Any]:
    """Return parts in the one shape that the command line, REST and the SDK share."""
    found = list(parts)
    return {"status": overall(found), "parts": [part.to_json() for part in found]}


async def _store(engine: Engine) -> list[Part]:
    """Read from the store, and look at what it says of workers and of times."""
    try:
        return [
            Part("store", "ok", f"{engine.store.kind} can be read"),
            *await engine.store.read(_in_store, engine),
        ]
    except WindlassError as error:
        return [Part("store", "down", str(error))]


def _in_store(tx: Transaction, engine: Engine) -> list[Part]:
    there = working(tx, engine)
    alive = [row for row in there if not row.draining]
    slots, busy = sum(row.slots for row in alive), sum(row.busy for row in alive)
    if alive:
        at_work = Part("workers", "ok", f"{len(alive)} with {busy} of {slots} {'slot' if slots == 1 else 'slots'} busy")
    else:
        at_work = Part("workers", "down", nobody_works(served=is_served(tx, engine), draining=len(there)))
    late = stuck.overdue_tasks(tx, tx.now - LATE * SECOND, 1)
    if late:
        timer = Part("timer", "down", f"a task that was due at {to_text(late[0].since)} was not moved")
    else:
        timer = Part("timer", "ok", "nothing is overdue")
    return [at_work, timer]


async def _writer(engine: Engine) -> Part:
    """Commit a transaction that changes nothing."""
    try:
        await engine.store.run(_nothing)
    except WindlassError as error:
        return Part("writer", "down", str(error))
    return Part("writer", "ok", "commits")


def _nothing(_: Transaction) -> None:
    pass


def _parts(engine: Engine) -> list[Part]:
    """Ask what runs beside the store in this process."""
    found = []
    for name, trouble_of in sorted(engine.parts.items()):
        trouble = trouble_of()
        part = name if name == "supervisor" else f"loop {name}"
        found.append(Part(part, "ok", "runs") if trouble is None else Part(part, "degraded", trouble))
    return found


def _disk(engine: Engine) -> Part:
    """Say how much room there is; `down` only where nothing new is taken any more."""
    short = engine.room.shortage()
    if short is not None:
        return Part("disk", "down", short.sentence)
    home = engine.settings.home
    try:
        disk = look_at(home)
    except OSError as error:
        return Part("disk", "degraded", f"{home} cannot be looked at: {error.strerror}")
    scarce = disk.free < min(SCARCE, disk.size // _TENTH)
    return Part("disk", "degraded" if scarce else "ok", f"{amount(disk.free)} are free below {home}")
