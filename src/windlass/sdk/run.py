"""A run as an application holds it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from windlass.errors import RunNotCompleted, StillRunning
from windlass.sdk.absences import RECONNECT, checked, through_absences
from windlass.sdk.values import result_of

if TYPE_CHECKING:
    from windlass.sdk.backend import Backend, End, Options

Res = TypeVar("Res")

#: What became of a run, by its final state.
_WORDS = {"failed": "failed", "cancelled": "was cancelled", "timeout": "ran out of time"}


@dataclass(frozen=True, slots=True)
class Family:
    """Where a run finds its relatives."""

    backend: Backend
    #: Makes a run of what REST has of it.
    run_of: Callable[[Mapping[str, Any]], Run[Any]]
    #: Accepts runs of a job, one for each context.
    submit: Callable[[Any, Sequence[Any], Options], Awaitable[list[Run[Any]]]]


class Run(Generic[Res]):
    """A run that was accepted: it goes on whether anybody holds this or not."""

    __slots__ = ("_backend", "_family", "_job", "_kind", "id")

    def __init__(self, family: Family, run_id: str, job: str, kind: Any) -> None:
        """Stand for the run `run_id` of the job with the alias `job`, whose result is a `kind`."""
        self.id = run_id
        self._family = family
        self._backend = family.backend
        self._job = job
        self._kind = kind

    def __repr__(self) -> str:
        """Return job and id."""
        return f"<Run {self.id} of {self._job}>"

    async def refresh(self) -> dict[str, Any]:
        """Return the run as REST has it: `state`, `reason`, `progress`, `outputs`, times and so on."""
        return await self._backend.get(self.id)

    async def state(self) -> str:
        """Return its state: scheduled, queued, running, waiting, completed, failed, cancelled or timeout."""
        found: str = (await self.refresh())["state"]
        return found

    async def wait(self, timeout: float | None = None) -> Res:  # noqa: ASYNC109 - what every handle of this kind has
        """Wait for its end and return its result: what the job returned; of other jobs the outputs by name.

        Raises RunNotCompleted, with its state and reason, where it ended in another way; StillRunning, a TimeoutError,
        where that takes longer than `timeout` seconds: the run goes on then.
        """
        try:
            async with asyncio.timeout(timeout):
                end = await self._backend.wait(self.id)
        except TimeoutError:
            raise StillRunning(
                f'Run {self.id} of job "{self._job}" has not ended after {timeout:g} s; it goes on.'
            ) from None
        if end.state != "completed":
            raise _not_completed(self.id, self._job, end)
        result: Res = result_of(self._kind, end.outputs)
        return result

    async def why(self, step: str | None = None, key: str | None = None) -> dict[str, Any]:
        """Return why it is in its state, or a step of it: `{subject, state, reason, because}`, the chain of causes.

        Each cause has `kind`, `message` and, where something is behind it, `because`. Raises NotFound where it has no
        such step, or that has no task with this key.
        """
        return await self._backend.why(self.id, step, key)

    async def cancel(self) -> None:
        """Ask it to stop; `wait` tells when it has. A second call stops its clean-up too.

        Raises Conflict where it ended in another way already.
        """
        await self._backend.cancel(self.id)

    async def start_child(self, job: Any, context: Any = None, *, cascade: bool = True, **options: Any) -> Run[Any]:
        """Accept a run that belongs to this one; it is durable when this returns.

        It is cancelled when this one is, unless `cascade` is False. The other arguments are those of `submit`.
        Raises as `submit` does, Conflict where this one has ended or is asked to stop, and LimitExceeded where the
        chain of parents would get too long.
        """
        from windlass.sdk.app import options_of  # noqa: PLC0415 - applications hold runs, not the other way round

        said = replace(options_of(**options), parent=self.id, cascade=cascade)
        return (await self._family.submit(job, [context], said))[0]

    async def children(self) -> list[Run[Any]]:
        """Return the runs that this one or its steps started, oldest first."""
        return [self._family.run_of(found) for found in await self._backend.children(self.id)]

    async def parent(self) -> Run[Any] | None:
        """Return the run that started this one; None where none did."""
        found = (await self.refresh())["parentId"]
        return None if found is None else self._family.run_of(await self._backend.get(found))

    def logs(self, *, follow: bool = False, reconnect: float = RECONNECT) -> Logs:
        """Return its output: `await run.logs()` is all of it as text, `async for chunk in run.logs()` comes in pieces.

        A chunk has `step`, `key`, `attempt`, `seq`, `at`, `stream` and `data`, which is bytes. With `follow` chunks
        come as they are written, to the end of the run; a store that goes away meanwhile is waited for, up to
        `reconnect` seconds each time.
        """
        patience = checked(reconnect)
        return Logs(self._follow_logs(patience) if follow else self._backend.logs(self.id, follow=False))

    async def _follow_logs(self, reconnect: float) -> AsyncIterator[dict[str, Any]]:
        read: dict[tuple[str, int], int] = {}
        begin = lambda: self._backend.logs(self.id, follow=True)  # noqa: E731 - it begins anew after an absence
        async for chunk in through_absences(begin, self._backend, reconnect):
            attempt = (chunk["taskId"], chunk["attempt"])
            if chunk["seq"] > read.get(attempt, -1):
                read[attempt] = chunk["seq"]
                yield chunk


class Logs:
    """The output of a run, to be awaited or gone over once."""

    def __init__(self, chunks: AsyncIterator[dict[str, Any]]) -> None:
        """Read `chunks`."""
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """Go over the chunks."""
        return self._chunks

    def __await__(self) -> Generator[Any, None, str]:
        """Return all as text; bytes that are none are replaced."""
        return self._read().__await__()

    async def _read(self) -> str:
        return b"".join([chunk["data"] async for chunk in self._chunks]).decode("utf-8", "replace")


def _not_completed(run_id: str, job: str, end: End) -> RunNotCompleted:
    error = end.error or {}
    why = error.get("message") or end.reason
    sentence = f'Run {run_id} of job "{job}" {_WORDS.get(end.state, end.state)}'
    sentence += f": {why}" if why and why != end.state else ""
    reason = end.reason or error.get("reason")
    return RunNotCompleted(
        sentence if sentence.endswith(".") else f"{sentence}.", run_id=run_id, state=end.state, reason=reason
    )
