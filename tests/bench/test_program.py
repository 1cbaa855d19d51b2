"""The program of the bench: rows that fail leave the others their results, and what was missed is named."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from bench import __main__ as program
from bench import entry, settings
from bench.entry import Entry, in_turn, missed


def found(row: str, *, met: bool = True, ours: float | None = 5.0) -> Entry:
    peer = {"peer": 10.0, "peer_name": "Other", "ratio": 0.5}
    return Entry(row=row, store="postgres", ours=ours, aim=">= Other, runs/s", met=met, **peer)  # type: ignore[arg-type]


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let rows find what stands here by their names, exceptions included; keep what is written under `written`."""
    said: dict[str, Any] = {"written": []}

    def measure(module: str) -> Any:
        def one(_: str, __: int) -> Entry:
            answer = said[module.rpartition(".")[2]]
            if isinstance(answer, Exception):
                raise answer
            return answer  # type: ignore[no-any-return]

        return SimpleNamespace(measure=one)

    def write(entries: Iterable[Entry]) -> None:
        said["written"] += [one.row for one in entries]

    monkeypatch.setattr(program, "importlib", SimpleNamespace(import_module=measure))
    monkeypatch.setattr(program, "write", write)
    monkeypatch.setattr(program, "BESIDE", set())
    monkeypatch.setattr(program, "end_when_told", lambda: None)
    monkeypatch.setattr(program, "clear_up", lambda: None)
    return said


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["bench", "--store", "postgres", *arguments])
    return program.main()


def test_a_row_that_fails_leaves_the_others_their_results(
    rows: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows |= {"drain": found("drain"), "submit": KeyError("rate"), "latency": found("latency", met=False)}
    assert run(monkeypatch, "--row", "drain", "--row", "submit", "--row", "latency") == 2
    assert rows["written"] == ["drain", "latency"]
    told = capsys.readouterr()
    assert "submit could not be measured: KeyError('rate')" in told.err
    assert told.out.splitlines()[-1] == "missed: latency on postgres: 5, 0.50 times Other; the aim is >= Other, runs/s"


def test_who_ends_it_is_told_what_was_found_so_far(
    rows: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(_: str) -> Any:
        raise SystemExit(143)

    real = program.importlib.import_module
    rows["drain"] = found("drain")
    monkeypatch.setattr(program.importlib, "import_module", lambda name: (real if "drain" in name else ended)(name))
    with pytest.raises(SystemExit, match="143"):
        run(monkeypatch, "--row", "drain", "--row", "submit")
    assert rows["written"] == ["drain"]
    assert "drain  postgres" in capsys.readouterr().out


def test_beside_some_peers_only_nothing_is_kept(rows: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    rows["drain"] = found("drain")
    assert run(monkeypatch, "--row", "drain", "--beside", "pgqueuer") == 0
    assert rows["written"] == []
    assert {"pgqueuer"} == program.BESIDE


def test_aims_that_were_met_are_not_named() -> None:
    assert missed([found("drain")]) == ""


def test_no_round_begins_after_the_time_of_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "MOST", -1)
    assert in_turn(3, {"a": lambda: {"rate": 1.0}, "b": lambda: {"rate": 2.0}}) == {
        "a": [{"rate": 1.0}],
        "b": [{"rate": 2.0}],
    }
    assert settings.MOST > 0
