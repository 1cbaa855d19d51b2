"""Every row of the bench measures and says what it found, at a small size: what it finds is another matter."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pytest

from bench import beside, children, settings
from bench.__main__ import LATER, ROWS, module_of
from bench.children import NotMeasured
from bench.entry import Entry, table, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ROOT: Final = Path(__file__).parents[2]

#: What of the settings is made small, by row.
SMALL: Final[Mapping[str, Mapping[str, Any]]] = {
    "drain": {"OURS.drain": {"count": 300, "workers": 50, "isolation": "inline"}},
    "submit": {"OURS.submit": {"warm_up": 5, "one_by_one": 20, "bulk": 100, "callers": 4}},
    "latency": {"OURS.latency": {"count": 10, "pause": 0.001, "workers": 2}},
    "flow40": {"OURS.flow40": {"steps": 3, "number": 3, "runs": 1, "workers": 2}},
    "steps1000": {"OURS.steps1000": {"steps": 20, "runs": 1, "workers": 20}},
    "archive": {"OURS.archive": {"runs": 300, "count": 300, "workers": 50}},
    "logs": {"LOGS.lines": 3_000},
    "recovery": {"RECOVERY.runs": 8},
    "history": {
        "HISTORY.sizes": (50, 100),
        "HISTORY.jobs": 1,
        "HISTORY.one_by_one": 5,
        "HISTORY.bulk": 50,
        "HISTORY.latency": 5,
        "HISTORY.pages": 2,
    },
    "memory": {"MEMORY.runs": 20, "MEMORY.lines": 2_000},
    "spawn": {"PROCESSES.count": 32},
    "lint": {"LINT.count": 20},
    "graph": {"GRAPH.sizes": (20, 400)},
    "cold": {"COLD.starts": 1},
}
#: What the peers' own programs would say: some figure, whatever is asked.
_FIGURES: Final = ("rate", "one_by_one", "p50", "p99", "inline", "chain", "fan", "parsed", "validated")
PEER: Final = dict.fromkeys(_FIGURES, 1.0) | {"version": "1"}


def measured(row: str, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """Measure a row at its small size, with peers that nobody has to install."""

    def absent(name: str) -> Path:
        raise NotMeasured(f"{name} is not installed")

    for place, value in SMALL[row].items():
        name, _, key = place.partition(".")
        monkeypatch.setitem(getattr(settings, name), key, value)
    module = importlib.import_module(f"bench.rows.{row}")
    monkeypatch.setattr(children, "environment", absent)
    for place in (module, beside):
        for name, stand_in in (("environment", absent), ("peer", lambda *_: PEER)):
            if hasattr(place, name):
                monkeypatch.setattr(place, name, stand_in)
    found = module.measure("sqlite", 1)
    assert isinstance(found, Entry)
    return found


@pytest.mark.parametrize("row", SMALL)
def test_a_row_measures(row: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = measured(row, monkeypatch)
    assert (entry.row, entry.store) == (row, "sqlite" if "sqlite" in ROWS[row] else None)
    assert entry.ours
    assert row in table([entry])
    write([entry], tmp_path / "results.json")
    (kept,) = json.loads((tmp_path / "results.json").read_text())
    assert kept["versions"]["windlass"] == entry.versions["windlass"]
    assert kept["settings"]["rounds" if row != "cold" else "starts"] == 1
    assert asdict(entry)["aim"] == kept["aim"]


def test_a_peer_that_cannot_be_installed_is_told_in_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    others = measured("steps1000", monkeypatch).others
    assert (others["Dagster, SQLite"], others["Prefect, SQLite"]) == (
        "dagster is not installed",
        "prefect is not installed",
    )


def test_lines_are_counted_at_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measured("logs", monkeypatch).others["complete and in order, at the follower and in the store"] is True


def test_what_is_killed_loses_nothing_and_starts_nothing_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    others = measured("recovery", monkeypatch).others
    assert (others.get("what was lost", []), others["unasked second starts"]) == ([], 0), others
    assert others["second starts that were asked for"] > 0


def test_every_row_is_there_or_comes_later() -> None:
    folder = ROOT / "bench" / "rows"
    there = {module_of(row, store) for row, stores in ROWS.items() for store in stores or ("sqlite",)}
    assert there == {
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in (*folder.glob("*.py"), *folder.glob("postgres/*.py"))
    }
    assert not ROWS.keys() & LATER.keys()
    assert set(SMALL) == {row for row, stores in ROWS.items() if "sqlite" in stores or not stores}


@pytest.mark.parametrize("program", sorted((ROOT / "bench" / "peers").glob("on_*.py")), ids=lambda file: file.stem)
def test_the_programs_of_peers_are_python_and_their_packages_pinned(program: Path) -> None:
    compile(program.read_text(), str(program), "exec")
    name = program.stem.removeprefix("on_").partition("_")[0]
    assert (ROOT / "requirements" / f"bench-{name}.txt").exists()
