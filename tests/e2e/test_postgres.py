"""The program on PostgreSQL: commands by themselves, a server, and commands beside it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.fixtures.postgres import PostgresServer, in_a_loop
from tests.fixtures.program import Windlass

_JOB = """
apiVersion: v1
kind: Job
metadata: {alias: hello}
steps:
  - {name: a, type: shell, run: "echo from $HELLO", env: {HELLO: here}}
  - {name: b, type: shell, run: "echo done", dependsOn: a}
"""


@pytest.fixture
def there(windlass: Windlass, postgres: PostgresServer) -> Windlass:
    """Return the command line with a database on PostgreSQL in which there is a store with nothing in it."""
    name = in_a_loop(postgres.made())
    windlass.env["WINDLASS_DATABASE_URL"] = postgres.url(name)
    (windlass.folder / "job.yaml").write_text(_JOB)
    return windlass


def test_commands_work_without_a_server_and_beside_one(there: Windlass, home: Path) -> None:
    assert there("job", "apply", "job.yaml").code == 0
    assert not list(home.glob("*.lock"))
    waiting = there("run", "start", "hello", "--json").json()["id"]
    up = there.start("up")
    assert up.stdout is not None
    assert up.stdout.readline().startswith(f"ready unix://{home}/postgresql-")
    assert there("run", "start", "hello", "--wait").code == 0
    assert there("run", "watch", waiting).code == 0
    assert {run["state"] for run in there("run", "list", "--json").json()} == {"completed"}
    assert there("db", "check").stdout.endswith("The database is sound.\n")
    up.send_signal(signal.SIGTERM)
    assert up.wait(30) == 0
    assert [run["id"] for run in there("run", "list", "--json").json()][-1] == waiting
    assert not (home / "windlass.db").exists()


def test_exec_works_on_its_own(there: Windlass) -> None:
    done = there("exec", "job.yaml")
    assert (done.code, "from here" in done.stdout) == (0, True)


def test_what_is_of_one_file_alone_says_what_to_do_instead(there: Windlass) -> None:
    for command in (("backup", "there"), ("restore", "here")):
        refused = there("db", *command)
        assert refused.code == 2
        assert "such as pg_dump and pg_restore" in refused.stderr
        assert refused.stderr.count("\n") == 1


def test_a_server_that_is_away_is_told_in_one_sentence(there: Windlass, tmp_path: Path) -> None:
    there.env["WINDLASS_DATABASE_URL"] = f"postgresql://me:secret@/jobs?host={tmp_path}"
    refused = there("job", "list")
    assert (refused.code, "secret" in refused.stderr) == (3, False)
    assert f"The database postgresql://me@{tmp_path}/jobs cannot be reached" in refused.stderr
