"""Keeps, for each test, which promises it shows and through which stores and faces it came: `--results FILE`."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tools.promises import DOCUMENT, FACES, STORES, read_promises, state_of_tree

#: Fixtures that stand for a face of the product, where they are not called like it.
FACE_OF_FIXTURE: Final = {"windlass": "cli", "browser": "web", "make_app": "sdk"} | {face: face for face in FACES}

_NAME = re.compile(r"^test_([A-Z]\d\d)_")
#: Options that leave tests out.
_NARROWING = ("keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf", "stepwise", "maxfail", "collectonly")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--results", metavar="FILE", type=Path, help="write the result of a whole run to FILE")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--results") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(ResultFile(config), "result-file")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    promises = read_promises(DOCUMENT.read_text())
    known = {"promise": {promise.id for promise in promises}}
    known["part"] = {f"{promise.id} {part}" for promise in promises for part in promise.parts}
    for item in items:
        properties = list(describe(item))
        for name, value in properties:
            if name in known and value not in known[name]:
                message = f"{item.nodeid}: there is no {name} {value!r} in docs/promises.md"
                raise pytest.UsageError(message)
        item.user_properties.extend(properties)


def describe(item: pytest.Item) -> Iterator[tuple[str, str]]:
    """Yield what `item` shows, as properties that its reports carry; a fixture may add to them while it runs."""
    markers = list(item.iter_markers("promise"))
    promises = {str(id_) for marker in markers for id_ in marker.args}
    yield from (("part", f"{id_} {part}") for marker in markers for id_ in marker.args for part in parts_of(marker))
    if match := _NAME.match(item.name):
        promises.add(match[1])
    yield from (("promise", id_) for id_ in sorted(promises))
    fixtures = getattr(item, "fixturenames", ())
    yield from (("face", FACE_OF_FIXTURE[name]) for name in fixtures if name in FACE_OF_FIXTURE)
    yield from (("store", name) for name in fixtures if name in STORES)
    chosen = item.callspec.params.get("store") if hasattr(item, "callspec") else None
    if chosen in STORES:
        yield "store", chosen
    if item.get_closest_marker("originals"):
        yield "originals", "yes"


def parts_of(marker: pytest.Mark) -> tuple[str, ...]:
    """Return which parts of a promise a marker names: `promise("C14", part="processes")`, or a tuple of several."""
    part = marker.kwargs.get("part", ())
    return (part,) if isinstance(part, str) else tuple(part)


@dataclass(slots=True)
class Record:
    """What the reports of one test have said so far."""

    outcome: str = "passed"
    properties: set[tuple[str, str]] = field(default_factory=set)

    def add(self, report: pytest.TestReport) -> None:
        """Take a report of set-up, call or tear-down: a failure of any is a failure of the test."""
        if report.failed or (report.skipped and self.outcome == "passed"):
            self.outcome = report.outcome
        self.properties.update((str(name), str(value)) for name, value in report.user_properties)

    def values(self, name: str) -> list[str]:
        """Return the values of the property `name` in order."""
        return sorted(value for key, value in self.properties if key == name)


class ResultFile:
    """Gathers the reports of all workers and writes them at the end."""

    def __init__(self, config: pytest.Config) -> None:
        """Remember where the file goes, and whether the run takes in all tests."""
        self.path: Path = config.getoption("--results")
        narrowed = any(config.getoption(name, default=None) for name in _NARROWING)
        self.whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not narrowed
        self.records: dict[str, Record] = {}
        self.said = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.records.setdefault(report.nodeid, Record()).add(report)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        ended = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
        if not (self.whole and ended):
            self.said = f"{self.path} is left as it was: this was not the whole suite"
            return
        commit, changed = state_of_tree()
        document = {
            "commit": commit,
            "changed": changed,
            "python": platform.python_version(),
            "tests": [entry(nodeid, record) for nodeid, record in sorted(self.records.items())],
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(document, indent=1) + "\n")
        self.said = f"{self.path} written; `make promises` reads it"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(self.said)


def entry(nodeid: str, record: Record) -> dict[str, Any]:
    """Return what the result file says about one test."""
    return {
        "nodeid": nodeid,
        "outcome": record.outcome,
        "promises": record.values("promise"),
        "parts": [part.split(" ", 1) for part in record.values("part")],
        "stores": record.values("store"),
        "faces": record.values("face"),
        "originals": bool(record.values("originals")),
    }
