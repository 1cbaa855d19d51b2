"""What an application asks of a store, whether it owns that itself or works through the process that does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from windlass.sdk.definition import Definition

#: Where the jobs of applications come from, as provenance says it.
SOURCE: Final = "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a submission says besides its context."""

    #: 1 to 15; None takes the job's.
    priority: int | None = None
    #: Not before this time, in microseconds.
    scheduled_at: int | None = None
    #: Not before this many seconds from now, instead of `scheduled_at`.
    delay: float | None = None
    idempotency_key: str | None = None
    labels: Mapping[str, str] | None = None
    note: str | None = None
    correlation_id: str | None = None
    #: Runs that must end first: ids, or `RUN:condition`.
    depends_on: Sequence[str] = ()
    #: W3C trace context of whoever submits.
    traceparent: str | None = None
    #: Id of the run that starts it, and whether it is cancelled with that.
    parent: str | None = None
    cascade: bool = True
    #: Whether its steps take no earlier results from the step cache.
    no_cache: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended."""

    state: str
    reason: str | None
    #: `{step, key, reason, message}` of the first failure.
    error: Mapping[str, Any] | None
    outputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Which runs figures are asked for; None leaves a field open."""

    job: str | None = None
    #: Times in microseconds.
    since: int | None = None
    until: int | None = None
    states: Sequence[str] = ()
    #: Labels of the jobs; None as the value takes any.
    labels: Mapping[str, str | None] | None = None


class Backend(Protocol):
    """A store that can be worked with. Runs are named by the texts of their ids; shapes are those of REST."""

    #: True where the attempts run in this process.
    works_here: bool
    #: True once it was closed.
    closed: bool

    async def submit(
        self, job: Definition | str, contexts: Sequence[Any], options: Options, connection: object = None
    ) -> list[str]:
        """Accept a run for each context, all in one transaction or none; return their ids.

        With `connection` they are accepted in its transaction: kept, and queued, by its commit.

        Raises UserError where a context does not fit, NotFound and Conflict where the job cannot be started.
        """
        ...

    async def get(self, run_id: str) -> dict[str, Any]:
        """Return a run. Raises NotFound where there is none."""
        ...

    async def children(self, run_id: str) -> list[dict[str, Any]]:
        """Return the runs that a run started, oldest first. Raises NotFound where there is none."""
        ...

    async def wait(self, run_id: str) -> End:
        """Return how a run ended, once it has. Raises NotFound where there is none."""
        ...

    async def why(self, run_id: str, step: str | None, key: str | None) -> dict[str, Any]:
        """Return why a run, or a step of it, is in its state. Raises NotFound where there is none."""
        ...

    async def dead_letters(self, queue: str | None, job: str | None) -> list[dict[str, Any]]:
        """Return tasks that failed for good. Raises NotFound where there is no such job."""
        ...

    async def requeue(self, references: Sequence[str]) -> list[str]:
        """Queue such tasks again, by their ids or those of their runs; return the ids of the new runs.

        Raises NotFound where one is none.
        """
        ...

    async def cancel(self, run_id: str) -> None:
        """Ask a run to stop. Raises NotFound where there is none, Conflict where it ended already."""
        ...

    def logs(self, run_id: str, *, follow: bool) -> AsyncIterator[dict[str, Any]]:
        """Yield the output of a run in chunks, `data` as bytes; with `follow` to the end of the run."""
        ...

    async def statistics(self, asked: Figures) -> dict[str, Any]:
        """Return figures of runs. Raises NotFound where there is no such job."""
        ...

    async def health(self) -> dict[str, Any]:
        """Return how each part is."""
        ...

    async def send_event(self, name: str, data: Mapping[str, Any], source: str) -> int:
        """Tell an event from outside; return its `seq`. Raises UserError where it cannot be one."""
        ...

    async def newest(self) -> str:
        """Return the cursor after which only events of the future come."""
        ...

    def events(self, after: str, *, run_id: str | None, types: Collection[str]) -> AsyncIterator[dict[str, Any]]:
        """Yield events after a cursor, as they come, until it is closed."""
        ...

    async def set_workers(self, count: int) -> None:
        """Run so many attempts at one time. Raises UserError where another process does the work."""
        ...

    async def close(self) -> None:
        """Let go of the store. A second call does nothing."""
        ...
