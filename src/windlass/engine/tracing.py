"""Which trace an attempt belongs to, and what its step is told of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol

import orjson

from windlass.engine.claim import Claim
from windlass.model.trace_context import FIELD, TraceContext, parse_traceparent, span_id_of, trace_id_of


class Tracer(Protocol):
    """What makes spans of runs, where somebody wants them."""

    def sampled(self, trace_id: str, given: TraceContext | None) -> bool:
        """Say whether the spans of a run are kept that was started in `given`."""
        ...


def with_trace(trigger: Mapping[str, Any] | None, traceparent: str | None) -> Mapping[str, Any] | None:
    """Return a run's trigger with the trace context that it was started in; a wrong one is left out."""
    found = parse_traceparent(traceparent)
    return trigger if found is None else {**(trigger or {}), FIELD: str(found)}


def given_trace(trigger: str | None) -> TraceContext | None:
    """Return the trace context in which a run was started; `trigger` is JSON text."""
    if trigger is None or FIELD not in trigger:
        return None
    value = orjson.loads(trigger).get(FIELD)
    return parse_traceparent(value) if isinstance(value, str) else None


def attempt_trace(claim: Claim, tracer: Tracer | None) -> TraceContext | None:
    """Return the trace context for the step of an attempt; see `trace_below`."""
    return trace_below(claim.run_id, claim.task, claim.attempt, claim.trigger, tracer)


def trace_below(
    run_id: bytes, task: int, attempt: int, trigger: str | None, tracer: Tracer | None
) -> TraceContext | None:
    """Return the trace context for what an attempt starts: its own span, or where none is made, what its run was given.

    `trigger` is its run's, as JSON text.
    """
    given = given_trace(trigger)
    if tracer is None:
        return given
    trace_id = trace_id_of(run_id, given)
    return TraceContext(trace_id, span_id_of(run_id, task, attempt), tracer.sampled(trace_id, given))


def enter_trace(claim: Claim, tracer: Tracer | None) -> None:
    """Make the attempt's span the current one of OpenTelemetry in this task of the event loop, where that is used."""
    if tracer is None and (claim.trigger is None or FIELD not in claim.trigger):
        return
    trace, context = (sys.modules.get(f"opentelemetry.{name}") for name in ("trace", "context"))
    found = attempt_trace(claim, tracer)
    if trace is None or context is None or found is None:
        return
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if found.sampled else trace.TraceFlags.DEFAULT)
    span = trace.SpanContext(int(found.trace_id, 16), int(found.span_id, 16), is_remote=True, trace_flags=flags)
    context.attach(trace.set_span_in_context(trace.NonRecordingSpan(span)))
