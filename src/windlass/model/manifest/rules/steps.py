"""Rules on single steps: times, fan-out, targets, limited resources."""

from __future__ import annotations

from typing import Final

import orjson

from windlass.model.durations import duration_text
from windlass.model.manifest.draft import Draft, Findings, Found

#: Cells are not counted further.
_UNCOUNTED: Final = 10**12
_TARGET_KINDS = ("target", "group", "selector")


def timeouts_within_limits(draft: Draft) -> Findings:
    """No attempt may run longer than the settings allow."""
    longest = draft.limits.max_timeout
    for number, step in enumerate(draft.steps):
        timeout = step.get("timeout")
        if timeout is not None and timeout > longest:
            message = f"timeout is {duration_text(timeout)}, over the limit of {duration_text(longest)}"
            yield Found(("steps", number, "timeout"), message)


def retry_delays_in_order(draft: Draft) -> Findings:
    """See that the longest delay is no shorter than the first."""
    for number, step in enumerate(draft.steps):
        retry = step.get("retry")
        if retry and "maxDelay" in retry and retry["maxDelay"] < retry.get("delay", 5):
            delay, most = duration_text(retry.get("delay", 5)), duration_text(retry["maxDelay"])
            yield Found(("steps", number, "retry", "maxDelay"), f"maxDelay ({most}) is shorter than delay ({delay})")


def matrix_cells(draft: Draft) -> Findings:
    """See that a matrix has different values, and no more cells than allowed."""
    for number, step in enumerate(draft.steps):
        matrix = step.get("matrix")
        if not matrix:
            continue
        cells = 1
        for name, values in matrix.items():
            if not isinstance(values, list):
                continue
            cells = min(cells * max(len(values), 1), _UNCOUNTED)
            if len({orjson.dumps(value, option=orjson.OPT_SORT_KEYS) for value in values}) < len(values):
                yield Found(("steps", number, "matrix", name), f"matrix.{name} has the same value twice")
        if cells > draft.limits.fan_out:
            told = f"{cells:,}" if cells < _UNCOUNTED else f"{cells:,} or more"
            message = f"the matrix makes {told} tasks, over the limit of {draft.limits.fan_out:,}"
            yield Found(("steps", number, "matrix"), message, about="key")
        if "targets" in step:
            yield Found(("steps", number, "targets"), "a step has either matrix or targets, not both", about="key")


def targets_are_named(draft: Draft) -> Findings:
    """Targets are chosen in exactly one way."""
    for number, step in enumerate(draft.steps):
        targets = step.get("targets")
        if targets is None:
            continue
        given = [kind for kind in _TARGET_KINDS if kind in targets]
        if len(given) != 1:
            message = "targets needs one of target, group, selector"
            if given:
                message = f"targets has {' and '.join(given)}; keep one of them"
            yield Found(("steps", number, "targets"), message, about="key")


RULES = (
    timeouts_within_limits,
    retry_delays_in_order,
    matrix_cells,
    targets_are_named,
)
