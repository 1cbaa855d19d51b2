"""Outcomes as any store can keep them: what a step type hands over may be anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any, Final

import orjson

from windlass.model.outcome import Cancelled, Completed, Failed, Outcome, Skipped, TimedOut, Waiting
from windlass.model.outputs import OUTPUT_LIMIT
from windlass.model.texts import without_nul

#: Longest sentence that is kept of an outcome, in characters, and longest name.
SENTENCE_LIMIT: Final = 8_000
NAME_LIMIT: Final = 200
#: Last microsecond that has a date: 9999-12-31.
LAST_MOMENT: Final = 253_402_300_799_999_999
_EXIT_CODES: Final = range(-(2**31), 2**32)
_USUAL_CODES: Final = (None, 0)


def storable(outcome: Outcome) -> Outcome:
    """Return `outcome` with everything in it that could not be kept replaced.

    Half letters become question marks, long texts are cut, numbers that are none of their kind go. Outputs that are no
    JSON of bounded size are left out; where the steps after would miss them, the outcome is a failure that says so.
    """
    match outcome:
        case Completed(outputs=outputs, exit_code=code, branches=None) if not outputs and code in _USUAL_CODES:
            return outcome
        case Skipped(reason=reason):
            return Skipped(clean(reason))
        case Waiting(until=until, reason=reason):
            until = min(max(until, 0), LAST_MOMENT)
            outcome = replace(outcome, until=until, reason=clean(reason, NAME_LIMIT))
        case Failed(message=message, reason=reason, exit_code=code):
            name = None if reason is None else clean(reason, NAME_LIMIT)
            outcome = replace(outcome, message=clean(message), reason=name, exit_code=_exit_code(code))
        case Completed(exit_code=code, branches=branches):
            names = None if branches is None else tuple(clean(name, NAME_LIMIT) for name in branches)
            outcome = replace(outcome, exit_code=_exit_code(code), branches=names)
        case _:
            pass
    return _with_outputs(outcome)


def clean(text: str, limit: int = SENTENCE_LIMIT) -> str:
    """Return `text` as valid Unicode without U+0000, of at most about `limit` characters."""
    if len(text) > limit:
        text = f"{text[:limit]} ... ({len(text) - limit:,} characters more)"
    return without_nul(text if text.isascii() else text.encode("utf-8", "replace").decode())


def _with_outputs(outcome: Completed | Failed | TimedOut | Cancelled | Waiting) -> Outcome:
    problem = _problem(outcome.outputs)
    if problem is None:
        return outcome
    if isinstance(outcome, Completed | Waiting):
        code = outcome.exit_code if isinstance(outcome, Completed) else None
        return Failed("error", f"Its outputs cannot be kept: {problem}.", code, reason="outputs", may_retry=False)
    return replace(outcome, outputs={})


def _problem(outputs: Mapping[str, Any]) -> str | None:
    """Say why outputs cannot be kept; None where they can."""
    if not outputs:
        return None
    try:
        text = orjson.dumps(dict(outputs))
    except (TypeError, ValueError) as error:  # ValueError: what cannot even be made a dict
        return clean(str(error), NAME_LIMIT)
    if len(text) > OUTPUT_LIMIT:
        return f"{len(text):,} bytes are over the limit of {OUTPUT_LIMIT:,}"
    if b"null" in text and (lost := _not_finite(outputs)) is not None:
        return f"JSON has no number {lost}"
    return None


def _not_finite(value: Any) -> float | None:
    """Return a number inside `value` that would silently be kept as null: an infinite one, or none at all."""
    match value:
        case float():
            return None if isfinite(value) else value
        case Mapping():
            inner: Iterable[Any] = value.values()
        case list() | tuple():
            inner = value
        case _:
            return None
    return next((lost for each in inner if (lost := _not_finite(each)) is not None), None)


def _exit_code(code: int | None) -> int | None:
    return code if isinstance(code, int) and code in _EXIT_CODES else None
