"""Duties: loops that run in one of all the processes that share a store, the one that holds the lease.

A lease is a row that the database stamps. It is renewed at a third of it, given up at an orderly end, and taken over by
another process once it has run out. It keeps several servers from doing the same work, and no more than that: a process
that was stopped for a while may find itself at work beside its successor. So whatever a duty does is a change that is
guarded by what it finds, or unique; why that holds for each stands in its module under `services`.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from windlass.clock import SECOND, micros
from windlass.engine.engine import Engine
from windlass.engine.service import Duty, Service
from windlass.engine.watch import Watch
from windlass.errors import Unavailable
from windlass.store.duties import clear_duties, give_up_duties, hold_duties
from windlass.store.migrations import HEAD
from windlass.store.programs import Program, forget_program, note_program
from windlass.store.transaction import Transaction, beside_others

_log = logging.getLogger(__name__)

#: Seconds of a lease on a store that only this process can open: its lock says more than any lease.
_ALONE: Final = 3600.0
_THIRD: Final = 3
#: Name of the loop that keeps the leases.
KEEPER: Final = "duties"
#: Duties without a loop: who tells the figures of the store, among those that are asked for metrics; who sends the
#: spans of its runs, among those that send any.
METRICS: Final = "metrics"
TRACES: Final = "traces"


def holder_name() -> str:
    """Return a name for this process that no other one has or had: host, process and a few random digits."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


@dataclass(slots=True)
class Duties:
    """The duties that this process would do, and those that it has; itself a loop of every process."""

    engine: Engine
    watch: Watch
    holder: str = field(default_factory=holder_name)
    name: str = KEEPER
    #: Of this program.
    version: str = ""
    _services: dict[str, Service] = field(default_factory=dict)
    _without_loop: set[str] = field(default_factory=set)
    #: Until when each duty is ours, by the clock that nobody sets; in microseconds.
    _until: dict[str, int] = field(default_factory=dict)

    @property
    def lease(self) -> float:
        """Seconds for which a duty is taken."""
        return _ALONE if self.engine.alone else self.engine.settings.lease

    def service(self, duty: Duty) -> Service:
        """Return the loop of a duty, which runs while it is this process's."""
        name = duty.name
        found = self._services[name] = Service(duty, lambda: self.holds(name))
        return found

    def part(self, name: str) -> Callable[[], bool]:
        """Take part in a duty that has no loop of its own here; return what says whether it is this process's.

        Say so before `begin`. A process that owns the store alone has every duty, from the beginning.
        """
        self._without_loop.add(name)
        return lambda: self.engine.alone or self.holds(name)

    def holds(self, name: str) -> bool:
        """Say whether a duty is ours at this moment, as far as can be known without asking."""
        return name in self._until and (self.engine.alone or self._up() < self._until[name])

    @property
    def held(self) -> frozenset[str]:
        """The duties that are ours at this moment."""
        return frozenset(name for name in self.names if self.holds(name))

    @property
    def names(self) -> frozenset[str]:
        """The duties that this process would do."""
        return frozenset(self._services) | self._without_loop

    async def turn(self) -> float:
        """Renew what is ours and take what is free; return the seconds until the next time: a third of the lease."""
        await self._hold(afresh=False)
        return self.lease / _THIRD

    async def begin(self) -> None:
        """Take what is free at once; an owner who is alone on the store takes everything."""
        await self._hold(afresh=self.engine.alone)

    async def give_up(self) -> None:
        """Let go of everything, once its loops have ended; what cannot be told ends with its lease."""
        if self.engine.alone and not self._until:
            return
        self._until.clear()
        try:
            await self.engine.store.run(_leave, self.holder)
        except Unavailable as error:
            _log.warning("The duties of this process end with their lease: %s", error)

    async def _hold(self, *, afresh: bool) -> None:
        begun = self._up()  # before the store stamps it, so that we never believe longer than it does
        program = None if self.engine.alone else Program(self.holder, self.version, HEAD)
        lease = micros(self.lease)
        now, held = await self.engine.store.run(_hold, self.holder, self.names, lease, program, afresh=afresh)
        self.watch.look(now, self._up())
        gained = held - self.held
        for name in self.names - held:
            if self._until.pop(name, None) is not None:
                _log.warning("Another process has taken over as %s", name)
        for name in held:
            self._until[name] = begun + round(self.lease * SECOND)
        for name in sorted(gained - self._without_loop):
            self._services[name].hint()

    def _up(self) -> int:
        return self.engine.clocks().up


# Beside others: each duty is taken or renewed where its row says so at that moment, in the order of their names; the
# row of the program is its own.
@beside_others
def _hold(
    tx: Transaction, holder: str, names: Collection[str], lease: int, program: Program | None, *, afresh: bool
) -> tuple[int, set[str]]:
    if afresh:
        clear_duties(tx)
    if program is not None:
        note_program(tx, program, lease)
    return tx.now, hold_duties(tx, holder, names, lease)


def _leave(tx: Transaction, holder: str) -> None:
    give_up_duties(tx, holder)
    forget_program(tx, holder)
