"""Spans handed to OpenTelemetry: sampled as its variables say, sent in batches from a thread of its own."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from windlass.engine.telemetry.records import SpanRecord
from windlass.model.trace_context import TraceContext


class Spans:
    """Takes ended spans, and says which are kept."""

    def __init__(self, resource: Resource, version: str) -> None:
        """Send to where OTEL_EXPORTER_OTLP_* says."""
        self._ids = _Given()
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("windlass", version)

    def sampled(self, trace_id: str, given: TraceContext | None) -> bool:
        """Say whether the spans of a run are kept; see `Tracer.sampled`."""
        number = int(trace_id, 16)
        result = self._provider.sampler.should_sample(_parent(given), number, "run")
        return result.decision is Decision.RECORD_AND_SAMPLE

    def take(self, record: SpanRecord) -> None:
        """Hand a span on; never waits, and drops it where too many wait to be sent."""
        above = record.given
        if record.parent_id is not None:
            sampled = self.sampled(record.trace_id, record.given)
            above = TraceContext(record.trace_id, record.parent_id, sampled)
        self._ids.trace_id, self._ids.span_id = int(record.trace_id, 16), int(record.span_id, 16)
        span = self._tracer.start_span(
            record.name, _parent(above), attributes=dict(record.attributes), start_time=record.start * 1000
        )
        if record.error is not None:
            span.set_status(Status(StatusCode.ERROR, record.error))
        span.end(record.end * 1000)

    def close(self) -> None:
        """Send what waits, and stop; blocks for as long as the exporter tries."""
        self._provider.shutdown()


class _Given(IdGenerator):
    """Gives the ids that were set for the next span."""

    def __init__(self) -> None:
        self.trace_id = self.span_id = 1

    def generate_trace_id(self) -> int:
        """Return the trace's id."""
        return self.trace_id

    def generate_span_id(self) -> int:
        """Return the span's id."""
        return self.span_id


def _parent(above: TraceContext | None) -> Context:
    """Return the context in which a span below `above` is made; an empty one for a first span."""
    if above is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if above.sampled else TraceFlags.DEFAULT)
    context = SpanContext(int(above.trace_id, 16), int(above.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(context), Context())
