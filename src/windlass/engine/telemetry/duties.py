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
from windlass.store.event_cursor import BEGINNING, newest_cursor

_log = logging.getLogger(__name__)

#: Seconds between looks at the events.
_POLL: Final = 0.5


#: Looks of who stands by after which he forgets what ended before the last such time: more than a lease and a third,
#: after which he has taken over from one who was killed. What that one had sent is sent again, under the same ids.
_STANDBY: Final = 5


@dataclass(slots=True)
class SpanDuty:
    """The duty of handing ended spans on; of all processes on a store that send spans one does so."""

    engine: Engine
    spans: Spans
    name: str = "traces"
    _reached: str | None = None
    #: Where the events stood a while ago, and looks since then, while another process sends them.
    _later: str | None = None
    _looks: int = 0

    async def begin(self) -> None:
        """Leave out what ended before."""
        self._reached = await self.engine.store.read(newest_cursor)

    async def turn(self) -> float:
        """Hand on what ended since the last turn; return the seconds until the next one."""
        if self._reached is None:
            await self.begin()
        if not self.engine.sends_spans():
            return await self._stand_by()
        self._later, self._looks = None, 0
        found, self._reached, more = await self.engine.store.read(ended_spans, self.engine, self._reached or BEGINNING)
        for record in found:
            self.spans.take(record)
        return 0.0 if more else _POLL

    async def _stand_by(self) -> float:
        """Keep in mind where the events stood some time ago; return the seconds until the next look."""
        if self._looks % _STANDBY == 0:
            now = await self.engine.store.read(newest_cursor)
            self._reached, self._later = self._later or self._reached, now
        self._looks += 1
        return self.engine.settings.lease / 3


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
        figures = await self.engine.metrics.collect(self.engine.store, self.engine.settings, leads=self.engine.leads())
        data = metrics_data(figures, self.resource, self.version, since=self._since, now=time.time_ns())
        await apart(partial(self.exporter.export, data))
        return self.interval

    def close(self) -> None:
        """Stop sending, also in the middle of waiting for a collector."""
        self.exporter.shutdown()
