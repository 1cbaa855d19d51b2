"""The loops that send: spans as runs end, metrics at their interval."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.resources import Resource

from windlass.engine.engine import Engine
from windlass.engine.telemetry.apart import apart
from windlass.engine.telemetry.metric_data import metrics_data
from windlass.engine.telemetry.records import ended_spans
from windlass.engine.telemetry.spans import Spans
from windlass.store.ends import newest_fact

_log = logging.getLogger(__name__)

#: Seconds between looks at the events.
_POLL: Final = 0.5


@dataclass(slots=True)
class SpanDuty:
    """The duty of handing ended spans on."""

    engine: Engine
    spans: Spans
    name: str = "traces"
    _reached: int | None = None

    async def begin(self) -> None:
        """Leave out what ended before."""
        self._reached = await self.engine.store.read(newest_fact)

    async def turn(self) -> float:
        """Hand on what ended since the last turn; return the seconds until the next one."""
        if self._reached is None:
            await self.begin()
        found, self._reached, more = await self.engine.store.read(ended_spans, self.engine, self._reached or 0)
        for record in found:
            self.spans.take(record)
        return 0.0 if more else _POLL


@dataclass(slots=True)
class MetricDuty:
    """The duty of sending the metrics."""

    engine: Engine
    resource: Resource
    version: str
    #: Seconds between two times.
    interval: float
    exporter: OTLPMetricExporter = field(default_factory=OTLPMetricExporter)
    name: str = "metrics"
    _since: int = field(default_factory=time.time_ns)

    async def turn(self) -> float:
        """Send the figures of now; return the seconds until the next time."""
        figures = await self.engine.metrics.collect(self.engine.store, self.engine.settings)
        data = metrics_data(figures, self.resource, self.version, since=self._since, now=time.time_ns())
        await apart(partial(self.exporter.export, data))
        return self.interval

    def close(self) -> None:
        """Stop sending, also in the middle of waiting for a collector."""
        self.exporter.shutdown()
