"""Outcomes as JSON, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from windlass.errors import UserError
from windlass.ids import id_text, parse_id
from windlass.model.outcome import (
    Cached,
    Cancelled,
    ChildRun,
    Completed,
    Failed,
    Outcome,
    Skipped,
    TimedOut,
    Waiting,
)


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome that `storable` has passed as JSON; what has its default is left out."""
    match outcome:
        case Cached():
            found = {"kind": "cached", "key": outcome.key, "origin": id_text(outcome.origin), **_completed(outcome)}
        case Completed():
            found = {"kind": "completed", **_completed(outcome)}
        case Failed():
            found = {
                "kind": "failed",
                "failure": outcome.kind,
                "message": outcome.message,
                "exitCode": outcome.exit_code,
                "outputs": dict(outcome.outputs),
                "reason": outcome.reason,
                "retryAfter": outcome.retry_after,
                "mayRetry": outcome.may_retry,
            }
        case TimedOut():
            found = {"kind": "timedOut", "seconds": outcome.seconds, "outputs": dict(outcome.outputs)}
        case Cancelled():
            found = {"kind": "cancelled", "outputs": dict(outcome.outputs)}
        case Skipped():
            found = {"kind": "skipped", "reason": outcome.reason}
        case Waiting():
            found = _waiting(outcome)
    return {name: value for name, value in found.items() if value is not None and value != {}}


def read_outcome(data: Mapping[str, Any]) -> Outcome:
    """Return the outcome behind its JSON. Raises UserError where it is none."""
    try:
        return _READ[data["kind"]](data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"That is no outcome: {type(error).__name__} {error}") from None


def _completed(outcome: Completed) -> dict[str, Any]:
    branches = None if outcome.branches is None else list(outcome.branches)
    return {"outputs": dict(outcome.outputs), "exitCode": outcome.exit_code, "branches": branches}


def _waiting(outcome: Waiting) -> dict[str, Any]:
    child = outcome.child
    return {
        "kind": "waiting",
        "until": outcome.until,
        "reason": outcome.reason,
        "atEnd": outcome.at_end,
        "outputs": dict(outcome.outputs),
        "event": None if outcome.event is None else dict(outcome.event),
        "child": None
        if child is None
        else {
            "job": child.job,
            "revision": child.revision,
            "parameters": dict(child.parameters),
            "cascade": child.cascade,
            "secret": sorted(child.secret),
        },
    }


def _read_completed(data: Mapping[str, Any]) -> Completed:
    return Completed(_outputs(data), data.get("exitCode"), _branches(data))


def _read_cached(data: Mapping[str, Any]) -> Cached:
    origin = parse_id(data["origin"])
    if origin is None:
        raise ValueError("origin is no id")
    return Cached(_outputs(data), data.get("exitCode"), _branches(data), str(data["key"]), origin)


def _read_failed(data: Mapping[str, Any]) -> Failed:
    if data["failure"] not in _FAILURES:
        raise ValueError("failure is no kind of failure")
    return Failed(
        data["failure"],
        str(data["message"]),
        data.get("exitCode"),
        _outputs(data),
        data.get("reason"),
        data.get("retryAfter"),
        bool(data.get("mayRetry", True)),
    )


def _read_waiting(data: Mapping[str, Any]) -> Waiting:
    child = data.get("child")
    if data["atEnd"] not in {"completed", "failed"}:
        raise ValueError("atEnd is neither completed nor failed")
    return Waiting(
        int(data["until"]),
        str(data["reason"]),
        data["atEnd"],
        _outputs(data),
        child=None
        if child is None
        else ChildRun(
            str(child["job"]),
            child["revision"],
            dict(child["parameters"]),
            bool(child["cascade"]),
            frozenset(child["secret"]),
        ),
        event=data.get("event"),
    )


def _outputs(data: Mapping[str, Any]) -> dict[str, Any]:
    return dict(data.get("outputs", {}))


def _branches(data: Mapping[str, Any]) -> tuple[str, ...] | None:
    return None if data.get("branches") is None else tuple(map(str, data["branches"]))


_FAILURES: Final = frozenset({"exit", "error", "connection", "expression", "lost", "poison"})
_READ: Final[Mapping[str, Callable[[Mapping[str, Any]], Outcome]]] = {
    "completed": _read_completed,
    "cached": _read_cached,
    "failed": _read_failed,
    "timedOut": lambda data: TimedOut(float(data["seconds"]), _outputs(data)),
    "cancelled": lambda data: Cancelled(_outputs(data)),
    "skipped": lambda data: Skipped(str(data["reason"])),
    "waiting": _read_waiting,
}
