"""The contract between a worker and whoever holds the queue: in the same process, or in another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from windlass.engine.claim import Claim, Exchange
from windlass.engine.report import Ended, KeptFile, Report
from windlass.engine.step_cache import Missed, Wanted
from windlass.store.logs import NewChunk


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFace:
    """Who a worker is and what it serves."""

    name: str
    host: str
    pid: int
    slots: int
    pool: str = "default"
    labels: tuple[tuple[str, str], ...] = ()
    #: Names of queues; `*` is all of them.
    queues: tuple[str, ...] = ("*",)
    version: str = ""


class LeaseLost(Exception):
    """The worker was found gone: what it held until now is lost, and others decide about it."""


class Desk(Protocol):
    """What an attempt needs of whoever holds the queue, while its claim stands."""

    async def recall(self, claim: Claim, wanted: Wanted) -> Ended | Missed:
        """Return the end of a task that takes a kept result, its files in place, or why there is none to be taken."""
        ...

    async def append(self, chunks: Sequence[NewChunk]) -> int:
        """Keep output; return how many chunks were refused because their claim no longer stands."""
        ...

    async def progress(self, claim: Claim, percent: float | None, message: str | None) -> None:
        """Keep how far an attempt is."""
        ...

    async def place(self, claim: Claim, files: Sequence[KeptFile]) -> None:
        """Bring files that were collected here to where those of runs are; returns once they are there.

        Raises Refused where the claim no longer stands, Unavailable where they cannot be taken.
        """
        ...

    async def keep(self, claim: Claim, files: Sequence[KeptFile]) -> None:
        """Keep files that were placed for later tasks too. Raises OSError where one cannot be kept."""
        ...


class Queue(Desk, Protocol):
    """How a worker takes work and gives it back."""

    async def exchange(self, reports: Sequence[Report], capacity: int) -> Exchange:
        """Record the ends of attempts and take up to `capacity` tasks, in one transaction.

        Raises LeaseLost, with the ends recorded and nothing taken, where the worker was found gone; it has joined anew
        then. The caller stops everything that it took before, before it takes more. Raises Unavailable where nobody
        knows whether anything of that was done: called again with the same reports, and any more, nothing is done
        twice and nothing is lost.
        """
        ...

    async def start(self, claim: Claim) -> bool:
        """Start a task that was only claimed; False where the claim no longer stands."""
        ...

    async def leave(self, unstarted: Sequence[tuple[int, int]]) -> None:
        """Give back claims that were never started, and say good-bye: what is still held is lost."""
        ...

    async def ending(self) -> None:
        """Tell that the worker was asked to end, while what it runs goes on. Raises Unavailable."""
        ...

    def renew(self) -> bool:
        """Renew the lease, from a thread of its own; False where the worker was found gone meanwhile."""
        ...


class Secretary(Protocol):
    """Tells an attempt its secrets."""

    async def secrets(self, claim: Claim, references: Sequence[str]) -> Mapping[str, str]:
        """Return the value of each reference. Raises SecretUnavailable at the first one that cannot be had."""
        ...
