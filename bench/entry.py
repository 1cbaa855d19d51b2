"""One line of the result: what was measured, against whom, and whether the aim was met."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, overload

from bench.settings import MOST

RESULTS: Final = Path(__file__).with_name("results.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row on one store; `ratio` says how many times better: of rates ours / peer, of times peer / ours.

    `ours` is None where Windlass itself could not be measured; `others` say why.
    """

    row: str
    store: str | None
    ours: float | None
    peer: float | None
    peer_name: str | None
    ratio: float | None
    aim: str
    met: bool
    others: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@overload
def better(ours: float, peer: float, *, times: bool = ...) -> float: ...


@overload
def better(ours: float | None, peer: float | None, *, times: bool = ...) -> float | None: ...


def better(ours: float | None, peer: float | None, *, times: bool = False) -> float | None:
    """Return how many times better `ours` is, None where one is missing; `times` says that less is better."""
    if ours is None or peer is None:
        return None
    return round(peer / ours if times else ours / peer, 2)


def median_of(rounds: Sequence[Mapping[str, Any]], name: str) -> float:
    """Return the median of a figure over all rounds."""
    return statistics.median(one[name] for one in rounds)


def in_turn(rounds: int, sides: Mapping[str, Callable[[], Mapping[str, Any]]]) -> dict[str, list[Mapping[str, Any]]]:
    """Measure each side once a round, so that all meet the same machine; return the rounds of each.

    The first round is whole; nothing more begins once the row has taken as long as it may.
    """
    found: dict[str, list[Mapping[str, Any]]] = {name: [] for name in sides}
    end = time.monotonic() + MOST
    for number in range(rounds):
        for name, measure in sides.items():
            began = time.monotonic()
            if number and began > end:
                return found
            found[name].append(measure())
            told = f"  {name}, round {number + 1} of {rounds}: {time.monotonic() - began:.0f} s"
            print(told, file=sys.stderr, flush=True)
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
    whole = path.with_suffix(".new")
    whole.write_text(json.dumps(list(kept.values()), indent=2) + "\n")
    whole.replace(path)  # whoever is ended meanwhile leaves the old ones


def table(entries: Sequence[Entry]) -> str:
    """Return entries as a table."""
    head = ("row", "store", "ours", "peer", "", "ratio", "aim", "met")
    lines = [
        (
            one.row,
            one.store or "-",
            _number(one.ours),
            _number(one.peer),
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


def missed(entries: Iterable[Entry]) -> str:
    """Return a line for each aim that was missed, with what was found; nothing where all were met."""
    return "\n".join(
        f"missed: {one.row}{'' if one.store is None else f' on {one.store}'}: {_number(one.ours)}"
        f"{'' if one.ratio is None else f', {one.ratio:,.2f} times {one.peer_name}'}; the aim is {one.aim}"
        for one in entries
        if not one.met
    )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"  # noqa: PLR2004 - three digits
