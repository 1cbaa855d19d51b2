"""The contract of a store: it runs units of work, and gives hints when something changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from windlass.store.meter import CommitMeter
from windlass.store.transaction import Transaction

Params = ParamSpec("Params")
Result = TypeVar("Result")


class Store(Protocol):
    """Where everything is kept. Implementations: SQLite on disk, SQLite in memory."""

    #: `sqlite` or `memory`: what tells two stores apart in messages and figures.
    kind: str
    #: What its commits cost.
    meter: CommitMeter

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

    def on_hint(self, name: str, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` on the event loop after each commit that gave the hint `name`; return how to end that.

        A hint may come late, twice or never: whoever listens polls as well.
        """
        ...

    async def close(self) -> None:
        """Finish what is under way and let go of the database; closing twice is fine."""
        ...
