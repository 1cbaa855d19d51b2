"""For the tests of step types, those of plug-ins too: contexts that are ready to use, and what a step did with them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.clock import Clock, SystemClock
from windlass.steps.contract import StepContext, TaskIdentity

if TYPE_CHECKING:
    from windlass.model.log_quota import Stream
    from windlass.supervisor.contract import ProcessHost


@dataclass(slots=True)
class RecordedLog:
    """A LogSink that keeps what was written, in order."""

    entries: list[tuple[Stream, bytes]] = field(default_factory=list)

    async def write(self, data: bytes, stream: Stream = "stdout") -> None:
        """Keep `data`."""
        self.entries.append((stream, data))

    def text(self, *streams: Stream) -> str:
        """Return what was written to `streams`, or to all of them."""
        return b"".join(data for stream, data in self.entries if not streams or stream in streams).decode(
            "utf-8", "replace"
        )


@dataclass(slots=True)
class RecordedProgress:
    """A Progress that keeps its reports."""

    reports: list[tuple[float | None, str | None]] = field(default_factory=list)

    async def __call__(self, percent: float | None = None, message: str | None = None) -> None:
        """Keep the report."""
        self.reports.append((percent, message))


def step_context(
    folder: Path,
    processes: ProcessHost,
    *,
    log: RecordedLog | None = None,
    progress: RecordedProgress | None = None,
    env: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    choices: tuple[str, ...] = (),
    attempt: int = 1,
    grace: float = 5.0,
    inline: bool = False,
    clock: Clock | None = None,
) -> StepContext:
    """Return the context of one attempt whose folders are made below `folder`."""
    workdir, scratch = folder / "work", folder / "scratch"
    for path in (workdir, scratch):
        path.mkdir(parents=True, exist_ok=True)
    base = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(scratch), "WINDLASS_OUTPUT": str(scratch / "output")}
    return StepContext(
        identity=TaskIdentity(
            project="default",
            job="sample",
            revision=1,
            run_id="01890000-0000-7000-8000-000000000001",
            task_id="01890000-0000-7000-8000-000000000002",
            step="work",
            key="",
            attempt=attempt,
        ),
        workdir=workdir,
        scratch=scratch,
        env={**base, **(env or {})},
        log=log if log is not None else RecordedLog(),
        cancelled=asyncio.Event(),
        processes=processes,
        grace=grace,
        parameters=parameters or {},
        choices=choices,
        progress=progress if progress is not None else RecordedProgress(),
        clock=clock or SystemClock(),
        inline=inline,
    )
