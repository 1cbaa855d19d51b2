"""Which trace an attempt belongs to, and what its step is told of it."""

from __future__ import annotations

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
    """Return the trace context for the step of an attempt: its own span, or where none is made, what was given."""
    given = given_trace(claim.trigger)
    if tracer is None:
        return given
    trace_id = trace_id_of(claim.run_id, given)
    return TraceContext(trace_id, span_id_of(claim.run_id, claim.task, claim.attempt), tracer.sampled(trace_id, given))
