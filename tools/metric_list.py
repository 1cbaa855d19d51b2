"""Writes docs/guide/metrics.md from the families of windlass.engine.metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from windlass.engine.metrics.families import HISTORY, OWN, STANDING
from windlass.model.metric import Family

_INTRODUCTION: Final = """# Metrics

Made by `make docs` from `src/windlass/engine/metrics/families.py`; change that, not this file. How to read them, and
which to watch, says [Observing](observing.md).
"""
_GROUPS: Final[tuple[tuple[str, str, Sequence[Family]], ...]] = (
    (
        "What happened",
        (
            "Counted from the events of the store since this process owns it, or tells of it for all that share it; "
            "the others leave these out, and what there is. A restart begins at nothing, as "
            "Prometheus expects of counters. Counters with no label but `job` are there from the start, at 0 for the "
            "job `other`; what has further labels, and each histogram, appears with the first thing to count."
        ),
        HISTORY,
    ),
    (
        "What there is",
        (
            "Read from the store, at most every two seconds. `windlass_runs` has each state from the start; queues and "
            "pools appear with their first task or worker, and go with the last."
        ),
        STANDING,
    ),
    (
        "This process",
        (
            "Since it started. Beside these there are the `process_*` metrics that every Prometheus client has: CPU "
            "seconds, memory, open files, the time of the start."
        ),
        OWN,
    ),
)


def render() -> str:
    """Return the text of the document."""
    parts = [_INTRODUCTION]
    for title, text, families in _GROUPS:
        rows = [f"| `{one.name}` | {one.kind} | {_labels(one)} | {one.help} |" for one in families]
        parts.append(
            "\n".join([f"## {title}\n", f"{text}\n", "| metric | kind | labels | |", "|---|---|---|---|", *rows, ""])
        )
    return "\n".join(parts)


def _labels(family: Family) -> str:
    return ", ".join(f"`{label}`" for label in family.labels)
