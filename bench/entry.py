"""One line of the result: what was measured, against whom, and whether the aim was met."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).with_name("results.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row on one store; `ratio` says how many times better: of rates ours / peer, of times peer / ours."""

    row: str
    store: str | None
    ours: float
    peer: float | None
    peer_name: str | None
    ratio: float | None
    aim: str
    met: bool
    others: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def better(ours: float, peer: float, *, times: bool = False) -> float:
    """Return how many times better `ours` is; `times` says that less is better."""
    return round(peer / ours if times else ours / peer, 2)


def median_of(rounds: Sequence[Mapping[str, Any]], name: str) -> float:
    """Return the median of a figure over all rounds."""
    return statistics.median(one[name] for one in rounds)


def in_turn(rounds: int, sides: Mapping[str, Callable[[], Mapping[str, Any]]]) -> dict[str, list[Mapping[str, Any]]]:
    """Measure each side once a round, so that all meet the same machine; return the rounds of each."""
    found: dict[str, list[Mapping[str, Any]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, measure in sides.items():
            found[name].append(measure())
    return found


def versions(**peers: str) -> dict[str, str]:
    """Return what was measured on and with."""
    return {
        "windlass": version("windlass"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        **peers,
    }


def write(entries: Iterable[Entry], path: Path = RESULTS) -> None:
    """Keep entries as JSON; those of rows that were not measured now stay."""
    kept: dict[tuple[str, str | None], dict[str, Any]] = {}
    if path.exists():
        kept = {(one["row"], one["store"]): one for one in json.loads(path.read_text())}
    kept.update({(one.row, one.store): asdict(one) for one in entries})
    path.write_text(json.dumps(list(kept.values()), indent=2) + "\n")


def table(entries: Sequence[Entry]) -> str:
    """Return entries as a table."""
    head = ("row", "store", "ours", "peer", "", "ratio", "aim", "met")
    lines = [
        (
            one.row,
            one.store or "-",
            _number(one.ours),
            "-" if one.peer is None else _number(one.peer),
            one.peer_name or "",
            "-" if one.ratio is None else f"{one.ratio:,.2f}",
            one.aim,
            "yes" if one.met else "NO",
        )
        for one in entries
    ]
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    right = {2, 3, 5}
    return "\n".join(
        "  ".join(
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (head, *lines)
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"  # noqa: PLR2004 - three digits
