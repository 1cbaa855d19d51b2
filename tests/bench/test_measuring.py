"""What is measured of every queue, tried on one that needs no server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from bench.children import NotMeasured, measured
from bench.peers.beginnings import Beginnings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def figures(mode: str, tmp_path: Path, **options: Any) -> dict[str, Any]:
    return measured("tests.bench.small_queue", mode, {"url": str(tmp_path / "queue.db"), **options})


def test_two_workers_drain_a_queue_and_all_of_it_is_counted(tmp_path: Path) -> None:
    found = figures("drain", tmp_path, count=40, processes=2)
    assert sum(found["shares"]) == 40
    assert found["rate"] > 0
    assert found["until_durable"] > 0
    assert found["version"] == "7"
    assert (tmp_path / "checked").read_text() == "40"


def test_submissions_are_measured_one_by_one_by_many_callers_and_in_bulk(tmp_path: Path) -> None:
    found = figures("submit", tmp_path, warm_up=1, one_by_one=4, callers=2, bulk=3)
    assert min(found["one_by_one"], found["many_callers"], found["bulk"]) > 0


def test_latency_is_measured_at_leisure_and_at_rates(tmp_path: Path) -> None:
    found = figures("latency", tmp_path, count=4, pause=0.001, rates={200: 0.02})
    for way in ("idle", "200 Hz"):
        assert 0 < found[way]["p50"] <= found[way]["p99"]
    assert found["200 Hz"]["submitted a second"] > 0


def test_cycles_go_on_until_their_time(tmp_path: Path) -> None:
    until = time.perf_counter() + 3
    found = figures("cycles", tmp_path, count=5, pace=0.01, until=until)["cycles"]
    assert len(found) > 1
    assert all(began < ended for began, ended in found)
    assert found[-1][0] < until


def test_a_worker_that_ends_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotMeasured, match="ended with 1"):
        figures("drain", tmp_path, count=1, ends=True)
    assert "a worker ended by itself" in capfd.readouterr().err


def test_what_a_side_refuses_is_its_sentence(tmp_path: Path) -> None:
    with pytest.raises(NotMeasured, match="unable to open database file"):
        figures("submit", tmp_path / "nowhere", warm_up=1, one_by_one=1)


def test_places_are_counted_by_lane_and_forgotten(tmp_path: Path) -> None:
    beginnings = Beginnings(tmp_path / "places", room=2, lanes=2)
    other = Beginnings(tmp_path / "places", room=2, lanes=2)
    other.times[0], other.times[2], other.times[3] = 5.0, 6.0, 7.0
    assert beginnings.count() == 3
    assert beginnings.found() == [[5.0], [6.0, 7.0]]
    beginnings.clear()
    assert (beginnings.count(), other.found()) == (0, [[], []])
