"""Where a run stands in a trace: the W3C trace context that it was started in, and the ids of its own spans.

Ids are made of what they stand for, not drawn: whoever ends a run, even after a restart, knows the span that its steps
were told of when they began.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

#: Name of the trigger's field that holds the trace context a run was started in.
FIELD: Final = "traceparent"
_FORM: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED: Final = 0x01


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span as others refer to it."""

    #: 32 and 16 hexadecimal digits.
    trace_id: str
    span_id: str
    sampled: bool = True

    def __str__(self) -> str:
        """Return it as the header `traceparent` and the variable TRACEPARENT have it."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


def parse_traceparent(text: str | None) -> TraceContext | None:
    """Return the trace context that `text` says; None where it says none, for a wrong one is to be ignored."""
    found = _FORM.fullmatch(text) if text else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def trace_id_of(run_id: bytes, given: TraceContext | None) -> str:
    """Return the trace that a run belongs to: the one that it was started in, else one of its own."""
    return run_id.hex() if given is None else given.trace_id


def span_id_of(run_id: bytes, task: int | None = None, attempt: int | None = None) -> str:
    """Return the id of the span of a run, of one of its tasks, or of one of that task's attempts."""
    name = b"%b/%b/%b" % (run_id, _number(task), _number(attempt))
    return hashlib.blake2b(name, digest_size=8).hexdigest()


def _number(number: int | None) -> bytes:
    return b"" if number is None else b"%d" % number
