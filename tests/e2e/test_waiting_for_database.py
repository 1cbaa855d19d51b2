"""Servers and workers that are started before their PostgreSQL, and other commands, which do not wait."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stage import line_of
from tests.fixtures.postgres import ROLE, VERSION, PostgresServer, in_a_loop, run_server, started
from tests.fixtures.program import Windlass

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def away(windlass: Windlass) -> Iterator[PostgresServer]:
    """Yield a server that is down, with an empty database, which the settings name."""
    with started(VERSION) as server:
        name = in_a_loop(server.empty())
        windlass.env["WINDLASS_DATABASE_URL"] = f"postgresql://{ROLE}:secret@/{name}?host={server.folder}"
        server.end()
        yield server


def begin(windlass: Windlass, *command: str) -> subprocess.Popen[str]:
    """Start a program, and wait until it waits."""
    program = windlass.start(*command)
    said = line_of(program.stderr, "")
    assert "Waiting up to 300 s (WINDLASS_DATABASE_WAIT) for the database: The database postgresql://" in said
    assert "cannot be reached" in said
    assert "secret" not in said
    return program


@pytest.mark.parametrize("command", [("up",), ("worker",)])
def test_it_starts_once_its_database_is_there(windlass: Windlass, away: PostgresServer, command: tuple[str]) -> None:
    program = begin(windlass, *command)
    away.process = run_server(away.version, away.folder)
    line_of(program.stdout, "ready")
    program.send_signal(signal.SIGTERM)
    assert program.wait(30) == 0
    assert program.stderr is not None
    assert "Waiting" not in program.stderr.read(), "it is said once"
    assert windlass("db", "check").code == 0


@pytest.mark.usefixtures("away")
@pytest.mark.parametrize("command", [("up",), ("worker",)])
def test_who_waits_is_asked_to_end(windlass: Windlass, home: Path, command: tuple[str]) -> None:
    program = begin(windlass, *command)
    program.send_signal(signal.SIGTERM)
    output, errors = program.communicate(timeout=30)
    assert (program.returncode, output, errors) == (0, "", "")
    assert home.is_dir()


@pytest.mark.usefixtures("away")
@pytest.mark.parametrize("command", [("up",), ("worker",)])
def test_the_wait_has_an_end(windlass: Windlass, command: tuple[str]) -> None:
    done = windlass(*command, env={"WINDLASS_DATABASE_WAIT": "100ms"})
    assert done.code == 3
    assert done.stderr.splitlines()[-1].startswith("windlass: The database postgresql://"), done.stderr
    assert "cannot be reached" in done.stderr


def test_what_no_time_brings_about_is_told_at_once(windlass: Windlass, postgres: PostgresServer) -> None:
    for url, why in (
        (f"postgresql://{ROLE}@/nosuch?host={postgres.folder}", "is not there: make it with `createdb`"),
        (f"postgresql://nobody@/postgres?host={postgres.folder}", "refuses this user"),
    ):
        for command in ("up", "worker"):
            done = windlass(command, env={"WINDLASS_DATABASE_URL": url})
            assert (done.code, why in done.stderr, "Waiting" in done.stderr) == (3, True, False), done.stderr


@pytest.mark.usefixtures("away")
def test_other_commands_do_not_wait(windlass: Windlass) -> None:
    done = windlass("run", "list")
    assert (done.code, done.stderr.count("\n"), "Waiting" in done.stderr) == (3, 1, False)
