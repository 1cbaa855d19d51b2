"""How many runs of a job go on at the same time, and what becomes of one more."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

from windlass.model.template import Hole, as_text, split

Strategy = Literal["queue", "skip", "replace", "fail"]
#: What becomes of a run that asks for a place: it enters, or what the strategy says.
Verdict = Literal["enter", "wait", "skip", "replace", "fail"]
#: Reason of a run that waits for a place, and of one that ended because there was none.
WAITS: Final = "concurrency"
#: Reason of a run that waits because as many runs of its project go on as may.
ONE_TOO_MANY: Final = "max_runs"
SKIPPED: Final = "concurrency_skip"
FAILED: Final = "concurrency_fail"

_WITHOUT_PLACE: Final[Mapping[str, Verdict]] = {"queue": "wait", "skip": "skip", "replace": "replace", "fail": "fail"}
_DIGITS: Final = 32

Run = TypeVar("Run")


def key_value(concurrency: Mapping[str, Any], parameters: Mapping[str, Any]) -> Any:
    """Return what runs of a job are told apart by: the value of its `key`; None where all of them count.

    A text that is one expression keeps its type. Raises ExpressionError where it has no value.
    """
    text = concurrency.get("key")
    if text is None:
        return None
    pieces = split(text)
    context = {"parameters": parameters}
    if len(pieces) == 1 and isinstance(pieces[0], Hole):
        return pieces[0].expression.evaluate(context)
    return "".join(
        as_text(piece.expression.evaluate(context)) if isinstance(piece, Hole) else piece for piece in pieces
    )


def limit_key(job_id: bytes, value: Any) -> str:
    """Return the text that runs are counted under; values may be long or secret, so that it shows a digest only."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return f"{job_id.hex()}:{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"


def decide_entry(strategy: Strategy, *, limit: int | None, holding: int, waiting: bool) -> Verdict:
    """Say what becomes of one more run while `holding` others go on; None is no limit.

    A place that is free while others wait belongs to the first of those.
    """
    if limit is None or (holding < limit and not waiting):
        return "enter"
    return _WITHOUT_PLACE[strategy]


def to_replace(others: Sequence[Run], limit: int) -> Sequence[Run]:
    """Return which of the runs under a key, oldest first, one more run replaces: all that leave it no place."""
    return others[: max(0, len(others) - (limit - 1))]


def free_places(limit: int | None, holding: int, most: int) -> int:
    """Return how many of those that wait may enter now, at most `most`."""
    return most if limit is None else min(max(0, limit - holding), most)


def waits_for_ever(run: bytes, groups: Mapping[bytes, Sequence[Sequence[bytes]]]) -> bool:
    """Say whether a run can never go on.

    `groups` says for runs what they wait for: of each of their groups, one run must end. A run of which it says nothing
    will end.
    """
    stuck = {one for one, wanted in groups.items() if wanted}
    while True:
        freed = {one for one in stuck if all(any(other not in stuck for other in group) for group in groups[one])}
        if not freed:
            return run in stuck
        stuck -= freed


def as_ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Return ascending numbers as ranges `[first, last]`."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges
