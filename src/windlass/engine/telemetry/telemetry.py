"""Telemetry of an engine, from before it takes work until after it has ended."""
# ruff: noqa: PLC0415 - nothing of OpenTelemetry is imported where nobody asked for it

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from windlass.engine.engine import Engine
from windlass.engine.service import Service
from windlass.engine.telemetry.wanted import wanted_signals
from windlass.errors import WindlassError

if TYPE_CHECKING:
    from windlass.engine.telemetry.duties import MetricDuty, SpanDuty
    from windlass.engine.telemetry.spans import Spans

_log = logging.getLogger(__name__)

#: Seconds that a collector has at the end to take what is left.
PARTING: Final = 3.0
#: Milliseconds between two exports of metrics, as the standard has it.
_INTERVAL: Final = 60_000


@dataclass(slots=True)
class Telemetry:
    """What is sent of an engine; made by `start_telemetry`."""

    engine: Engine
    spans: Spans | None = None
    reader: SpanDuty | None = None
    sender: MetricDuty | None = None
    _services: list[Service] = field(default_factory=list)

    async def start(self) -> None:
        """Begin to send."""
        if self.reader is not None:
            await self.reader.begin()
            self._services.append(Service(self.reader))
        if self.sender is not None:
            self._services.append(Service(self.sender))
        for service in self._services:
            await service.start()

    async def close(self) -> None:
        """Send what is left, for as long as `PARTING` allows, and stop."""
        for service in self._services:
            await service.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(PARTING):
                await self._part()
        if self.sender is not None:
            self.sender.close()

    async def _part(self) -> None:
        from windlass.engine.telemetry.apart import apart

        try:
            if self.reader is not None:
                while not await self.reader.turn():
                    pass
            if self.sender is not None:
                await self.sender.turn()
        except WindlassError as error:
            _log.warning("The last of traces and metrics were not sent: %s", error)
        if self.spans is not None:
            await apart(self.spans.close)


async def start_telemetry(engine: Engine, environ: Mapping[str, str], version: str) -> Telemetry | None:
    """Send what the variables OTEL_* in `environ` ask for; None where they ask for nothing.

    What cannot be sent is said in the log, and is no reason not to work.
    """
    wanted = wanted_signals(environ)
    for problem in wanted.problems:
        _log.warning("%s: it is not sent", problem)
    if not wanted.traces and not wanted.metrics:
        return None
    try:
        from windlass.engine.telemetry.duties import MetricDuty, SpanDuty
        from windlass.engine.telemetry.resource import resource_of
        from windlass.engine.telemetry.spans import Spans
    except ImportError as error:
        _log.warning("OTEL_* asks for traces or metrics, but %s is missing: install windlass[otel]", error.name)
        return None
    resource = await asyncio.to_thread(resource_of, environ, version)
    telemetry = Telemetry(engine)
    if wanted.traces:
        telemetry.spans = engine.tracer = Spans(resource, version)
        telemetry.reader = SpanDuty(engine, telemetry.spans)
    if wanted.metrics:
        telemetry.sender = MetricDuty(engine, resource, version, interval=_interval(environ))
    await telemetry.start()
    return telemetry


def _interval(environ: Mapping[str, str]) -> float:
    """Return the seconds between two exports of metrics."""
    text = environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")
    return max(int(text) if text.isdecimal() else _INTERVAL, 100) / 1000
