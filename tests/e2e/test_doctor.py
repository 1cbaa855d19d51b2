"""`doctor` and `doctor --repair`, as a person runs them on a store that somebody wrote to."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, line_of, serve
from tests.fixtures.program import Windlass

pytestmark = pytest.mark.promise("W06")


def spoil(home: Path, *statements: str) -> None:
    """Write to the database behind the back of the program, while nobody owns it."""
    with closing(sqlite3.connect(home / "windlass.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def test_what_is_wrong_is_told_with_what_a_repair_does_and_repaired(windlass: Windlass, home: Path) -> None:
    apply(windlass, f"{HEAD % 'two'}steps:\n  - {{name: a, run: 'true'}}\n  - {{name: b, run: 'true'}}\n")
    run = accepted(windlass, "two")
    spoil(home, "UPDATE queue SET outstanding = 3 WHERE task = 1", "DROP INDEX ix_queue_wake")
    told = windlass("doctor")
    assert told.code == 1
    assert f"run {run} has tasks that nobody would move; `windlass doctor --repair` puts it right" in told.stdout
    assert "the index ix_queue_wake is missing" in told.stdout
    repaired = windlass("doctor", "--repair")
    assert repaired.code == 0, repaired.stdout
    lines = [line for line in repaired.stdout.splitlines() if line.startswith("repaired")]
    assert [line.split()[1] for line in lines] == ["indexes:", "runs:"]
    assert "nobody would move" not in repaired.stdout
    (event,) = windlass("--json", "event", "list", "--type", "run.repaired").json()
    assert (event["runId"], event["data"]["repairs"][0]["step"]) == (run, "b")
    serve(windlass)
    assert ended(windlass, run)["state"] == "completed"


def test_a_repair_of_what_is_whole_says_so_to_programs(windlass: Windlass, api: Socket) -> None:
    serve(windlass)
    said = windlass("--json", "doctor", "--repair")
    assert said.code == 0
    assert said.json()["repaired"] == []
    (database,) = [one for one in said.json()["items"] if one["check"] == "database"]
    assert (database["level"], database["message"]) == ("ok", "every page was read, it is sound")
    assert "repaired" not in windlass("doctor", "--repair").stdout
    assert {one["check"] for one in said.json()["items"]} >= {"settings", "disk", "owner", "work"}
    assert all(one["repair"] is None for one in api("GET", "doctor")["items"])
    assert api("POST", "doctor/repair")["repaired"] == said.json()["repaired"]


def test_over_the_quota_there_is_one_word_on_the_disk_and_the_server_logs_it(windlass: Windlass) -> None:
    env = {"WINDLASS_DISK_QUOTA": "5"}
    server = serve(windlass, **env)
    assert "WINDLASS_DISK_QUOTA allows 5 bytes: nothing new is taken" in line_of(server.stderr, "")
    told = windlass("--json", "doctor")
    assert told.code == 1
    assert [one["level"] for one in told.json() if one["check"] == "disk"] == ["error"]
