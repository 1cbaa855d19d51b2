"""The contract of a store: it runs units of work, and gives hints when something changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from windlass.store.findings import Finding
from windlass.store.meter import CommitMeter
from windlass.store.noting import Noting
from windlass.store.transaction import Transaction

Params = ParamSpec("Params")
Result = TypeVar("Result")


class Store(Protocol):
    """Where everything is kept. Implementations: SQLite on disk, SQLite in memory."""

    #: `sqlite` or `memory`: what tells two stores apart in messages and figures.
    kind: str
    #: Whether it hears of hints from every process that works on it.
    hears: bool
    #: What its commits cost.
    meter: CommitMeter
    #: What whoever would change it is told where it goes on elsewhere; None where it is here.
    moved: str | None
    #: How it keeps what units have to say of what they did.
    noting: Noting

    async def run(
        self,
        unit: Callable[Concatenate[Transaction, Params], Result],
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        """Run `unit` in a transaction; return its result once that is committed and flushed.

        Units that wait at the same time share a commit. An error of the unit undoes that unit alone and is raised here.
        Raises Unavailable when the store cannot commit (disk full, closed); nothing of the unit is kept then.
        """
        ...

    def run_blocking(
        self,
        unit: Callable[Concatenate[Transaction, Params], Result],
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        """Do the same as `run` from a thread that has no event loop: heartbeats must not wait for one."""
        ...

    async def read(
        self,
        unit: Callable[Concatenate[Transaction, Params], Result],
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        """Run `unit` on one consistent, read-only view of what is committed."""
        ...

    async def run_within(
        self,
        connection: object,
        unit: Callable[Concatenate[Transaction, Params], Result],
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        """Run `unit` in the transaction of a connection of the caller's, who commits it or does not.

        Nothing is tried again, the lock of the store is not taken, and no other lock is that somebody waits for: units
        that run here only add rows. Raises UserError where the store cannot join such a transaction, or not this one.
        """
        ...

    def on_hint(self, name: str, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` on the event loop after each commit that gave the hint `name`; return how to end that.

        A hint may come late, twice or never: whoever listens polls as well.
        """
        ...

    def keep_leases(self, lease: float) -> None:
        """Have heartbeats come through that are due within `lease` seconds, also where a connection has gone silent."""
        ...

    async def tend(self) -> list[str]:
        """Make what large tables need beside their rows, while everybody works; return a sentence for each thing done.

        Of several that ask one does it at a time, and the others wait for it. What others are in the way of is done the
        next time.
        """
        ...

    async def examine(self) -> list[Finding]:
        """Return what there is to say of the server that the store is in; nothing of a store that is in none.

        Raises Unavailable where it cannot be asked.
        """
        ...

    async def close(self) -> None:
        """Finish what is under way and let go of the database; closing twice is fine."""
        ...
