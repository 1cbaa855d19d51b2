"""The sentence of a step whose child run failed, which stays short however deep below it the cause lies."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = {"failed": "failed", "cancelled": "was cancelled", "timeout": "ran out of time"}
_FORM: Final = re.compile(
    r'Run (?P<run>[0-9a-f-]{36}) of job "(?P<job>[a-z0-9_-]+)" (?P<how>failed|was cancelled|ran out of time)'
    r"(?: through (?P<path>[^:]+))?(?:: (?P<cause>.+)|\.)",
    re.DOTALL,
)
_MORE: Final = re.compile(r"([0-9]+) more")
#: Jobs on the way down that are named; the others are counted.
_NAMED: Final = 2


def child_failure(run: str, job: str, state: str, why: str | None) -> str:
    """Return that a child run ended in `state`, the runs on the way down to the cause, and that cause.

    `why` is the error of the child; where that is such a sentence itself, the two become one.
    """
    sentence = f'Run {run} of job "{job}" {_WORDS[state]}'
    if not why:
        return f"{sentence}."
    below = _FORM.fullmatch(why)
    if below is None:
        return f"{sentence}: {why}"
    innermost = f'run {below["run"]} of job "{below["job"]}"'
    path = innermost if below["path"] is None else _shortened(f'"{below["job"]}"', below["path"])
    cause = below["cause"] or f"that {below['how']}."
    return f"{sentence} through {path}: {cause}"


def _shortened(first: str, path: str) -> str:
    """Return a path down from `first`, of which few jobs are named and the last run always."""
    *between, last = path.split(", ")
    jobs = [first, *between]
    counted = [int(found[1]) if (found := _MORE.fullmatch(one)) else 1 for one in jobs]
    more = sum(counted[_NAMED:])
    return ", ".join([*jobs[:_NAMED], *([f"{more} more"] if more else []), last])
