"""Two servers with a home each, and no folder in common: files go and come where they lie, whoever is asked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.stage import HEAD, accepted, apply, ended, line_of
from tests.fixtures.postgres import PostgresServer, in_a_loop
from tests.fixtures.program import Windlass
from tests.oracle.crash import until

pytestmark = [pytest.mark.promise("K06"), pytest.mark.timeout(180)]
_JOB = HEAD % "keeps" + "steps: [{name: a, run: 'echo small > small.txt', artifacts: ['*.txt']}]\n"
Process = subprocess.Popen[str]
_NOW = {"WINDLASS_RETENTION": "0s"}


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Return the home of the server that runs steps."""
    return tmp_path / "there"


@pytest.fixture
def worker(windlass: Windlass, postgres: PostgresServer, request: pytest.FixtureRequest, there: Path) -> Process:
    """Start a server that runs nothing itself, which commands speak to, and one elsewhere that does; return this."""
    request.node.user_properties.append(("store", "postgres"))
    windlass.env["WINDLASS_DATABASE_URL"] = postgres.url(in_a_loop(postgres.empty()))
    line_of(windlass.start("up", env={"WINDLASS_WORKER_SLOTS": "0", **_NOW}).stdout, "ready")
    return begin(windlass, there)


def begin(windlass: Windlass, home: Path) -> Process:
    server = windlass.start("up", env={"WINDLASS_HOME": str(home), "WINDLASS_WORKER_SLOTS": "2", **_NOW})
    line_of(server.stdout, "ready")
    return server


def stop(server: Process) -> None:
    server.terminate()
    assert server.wait(30) == 0


def test_files_in_a_home_are_told_of_archived_brought_back_and_removed_there(
    windlass: Windlass, worker: Process, there: Path
) -> None:
    apply(windlass, _JOB)
    run = ended(windlass, accepted(windlass, "keeps"))["id"]
    folder = there / "artifacts" / run
    assert [path.read_text() for path in folder.iterdir()] == ["small\n"]
    (listed,) = windlass("--json", "run", "artifacts", run).json()
    assert listed["home"] == (there / "artifacts" / ".windlass-home").read_text().strip()
    refused = windlass("run", "artifacts", run, "small.txt", "--output", "-")
    assert (refused.code, refused.stderr.count("\n")) == (3, 1)
    assert f'The bytes of "small.txt" lie in the home {there} on ' in refused.stderr
    elsewhere = {"WINDLASS_HOME": str(there)}
    assert windlass("run", "artifacts", run, "small.txt", "--output", "-", env=elsewhere).stdout == "small\n"

    def is_archived() -> bool:
        assert windlass("archive", "run").code == 0
        return [row["id"] for row in windlass("--json", "archive", "list").json()] == [run]

    until(is_archived, "the archive", pace=0.2)
    until(lambda: not folder.exists(), "the end of the files of an archived run")
    assert len(list((there / "artifacts" / "archived").iterdir())) == 1
    assert windlass("archive", "restore", run).code == 0
    until((folder / listed["sha256"]).exists, "the return of files")
    assert windlass("run", "artifacts", run, "small.txt", "--output", "-", env=elsewhere).stdout == "small\n"
    stop(worker)
    assert windlass("run", "delete", run).code == 0
    assert folder.exists()
    begin(windlass, there)
    until(lambda: not folder.exists(), "the end of the files of a deleted run")
    until(lambda: not (there / "artifacts" / "archived").exists(), "the end of what the archive had of it")
    assert [one for one in windlass("--json", "doctor").json() if one["check"] == "files"] == []


def test_a_home_is_forgotten_by_its_name_once_nobody_works_there(
    windlass: Windlass, worker: Process, there: Path
) -> None:
    apply(windlass, _JOB)
    ended(windlass, accepted(windlass, "keeps"))
    name = (there / "artifacts" / ".windlass-home").read_text().strip()
    refused = windlass("db", "forget-home", name)
    assert (refused.code, refused.stderr.count("\n")) == (2, 1)
    assert f"Somebody works in the home {there} on " in refused.stderr
    unknown = windlass("db", "forget-home", "0123")
    assert (unknown.code, unknown.stderr.count("\n")) == (2, 1)
    assert windlass("db", "forget-home", "unknown").stdout == "Home unknown is forgotten.\n"
    stop(worker)


def test_a_store_with_one_place_for_files_has_no_home_to_forget(windlass: Windlass) -> None:
    refused = windlass("db", "forget-home", "unknown")
    assert (refused.code, "lie in one folder" in refused.stderr) == (2, True)
