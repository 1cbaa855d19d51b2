"""The figures of a job's runs as people read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from windlass.cli.output import detail_lines
from windlass.cli.run.start import past
from windlass.cli.session import Session
from windlass.cli.states import ORDER
from windlass.cli.text import duration, local_time, percent


def show_statistics(session: Session, job: str, since: str | None) -> None:
    """Print how many runs of a job ended how since a time, how long they took, and how long they waited."""
    with session.connect() as client:
        found = client.get("jobs", job, "statistics", project=session.project, since=past(since, "--since"))
    session.out.value(found, lambda: _told(found))


def _told(found: Mapping[str, Any]) -> Iterator[str]:
    yield from detail_lines(
        [
            ("job", found["job"]),
            ("since", local_time(found["since"])),
            ("ended", _counts(found["counts"]) or "none"),
            ("completed", percent(found["successRate"])),
            ("attempts", str(found["attempts"] or "")),
            ("took", _quantiles(found["durations"])),
            ("waited", _quantiles(found["waits"])),
            ("not ended", _counts(found["live"])),
        ]
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[state]} {state}" for state in ORDER if counts.get(state))


def _quantiles(figures: Mapping[str, float | None]) -> str:
    if figures["p50"] is None:
        return ""
    return f"{duration(figures['p50'])} half of them, {duration(figures['p95'])} 19 of 20, at most"
