"""A store that moves from SQLite to PostgreSQL, as people move it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.stage import HEAD, accepted, apply, ended, line_of
from tests.fixtures.postgres import PostgresServer, in_a_loop
from tests.fixtures.program import Windlass

pytestmark = [pytest.mark.promise("H07"), pytest.mark.timeout(120)]

_JOB = HEAD % "keeps" + 'steps: [{name: a, run: "echo told; echo small > small.txt", artifacts: ["*.txt"]}]\n'


@pytest.fixture
def url(postgres: PostgresServer, request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database."""
    request.node.user_properties.append(("store", "postgres"))
    return postgres.url(in_a_loop(postgres.empty()))


def test_a_store_goes_on_in_postgresql(windlass: Windlass, url: str) -> None:
    server = windlass.start("up")
    line_of(server.stdout, "ready")
    apply(windlass, _JOB)
    first = ended(windlass, accepted(windlass, "keeps"))["id"]
    refused = windlass("db", "copy", url)
    assert refused.code == 3
    assert "A server works on the store at" in refused.stderr
    assert windlass("maintenance", "on").code == 0
    waiting = accepted(windlass, "keeps")
    done = windlass("--json", "db", "copy", url)
    assert done.code == 0, done.stderr
    copied = done.json()
    assert (copied["rows"]["runs"], copied["files"], copied["missing"], copied["owner"]) == (2, 0, 0, server.pid)
    assert "Copying runs: 2" in done.stderr
    # The server here still answers, and changes nothing any more.
    for command in (("run", "start", "keeps"), ("maintenance", "off")):
        moved = windlass(*command)
        assert (moved.code, "was moved to postgresql://" in moved.stderr, moved.stderr.count("\n")) == (2, True, 1)
    assert len(windlass("--json", "run", "list").json()) == 2
    server.terminate()
    assert server.wait(30) == 0

    windlass.env["WINDLASS_DATABASE_URL"] = url
    server = windlass.start("up")
    line_of(server.stdout, "ready")
    assert windlass("maintenance", "off").code == 0
    assert ended(windlass, waiting)["state"] == "completed"
    for run in (first, waiting):
        assert windlass("run", "artifacts", run, "small.txt", "--output", "-").stdout == "small\n"
        assert "told" in windlass("run", "logs", run).stdout
    assert windlass("db", "check").code == 0


def test_a_store_that_was_copied_is_used_again_once_somebody_says_so(windlass: Windlass, url: str) -> None:
    apply(windlass, _JOB)
    run = accepted(windlass, "keeps")
    refused = windlass("db", "copy", "--undo")
    assert (refused.code, "This store was not moved" in refused.stderr) == (2, True)
    done = windlass("db", "copy", url)
    assert "is only read now; `windlass db copy --undo` makes it usable again." in done.stdout
    for command in (("up",), ("run", "start", "keeps"), ("exec", "job.yaml"), ("db", "copy", url)):
        moved = windlass(*command)
        assert (moved.code, moved.stderr.count("\n")) == (2, 1), moved.stderr
        assert "it can be read, and nothing is changed here: set WINDLASS_DATABASE_URL" in moved.stderr
    assert [one["id"] for one in windlass("--json", "run", "list").json()] == [run]
    assert windlass("db", "check").code == 0
    undone = windlass("db", "copy", "--undo")
    assert undone.stdout.startswith("The store is used here again; leave the copy in postgresql://")
    assert accepted(windlass, "keeps")
    both = windlass("db", "copy", "--undo", url)
    assert (both.code, "Name the database that the store is copied to" in both.stderr) == (2, True)


def test_what_cannot_be_copied_is_refused(windlass: Windlass, url: str) -> None:
    none = windlass("db", "copy", url)
    assert (none.code, "There is no database at" in none.stderr) == (3, True)
    apply(windlass, _JOB)
    for target in ("sqlite:////tmp/other.db", "memory://"):
        other = windlass("db", "copy", target)
        assert (other.code, "is copied from SQLite to PostgreSQL" in other.stderr) == (2, True)
    done = windlass("db", "copy", url)
    assert (done.code, "Copied 0 runs" in done.stdout) == (0, True), done.stderr
    assert windlass("db", "copy", "--undo").code == 0
    again = windlass("db", "copy", url)
    assert (again.code, "is not empty" in again.stderr) == (2, True)


def test_what_runs_kept_comes_with_them_to_another_home(
    windlass: Windlass, url: str, home: Path, tmp_path: Path
) -> None:
    apply(windlass, _JOB)
    server = windlass.start("up")
    line_of(server.stdout, "ready")
    archived, hot = (ended(windlass, accepted(windlass, "keeps"))["id"] for _ in range(2))
    server.terminate()
    assert server.wait(30) == 0
    keep = '{"apiVersion": "v1", "kind": "Job", "metadata": {"alias": "keeps"}, "retention": {"runs": {"last": 1}}, '
    apply(windlass, keep + '"steps": [{"name": "a", "run": ":"}]}')
    left = windlass("archive", "run")
    assert (left.code, left.stdout.startswith("1 run went to the archive")) == (0, True), left.stderr

    windlass.env |= {"WINDLASS_HOME": str(tmp_path / "new"), "WINDLASS_DATABASE_URL": f"sqlite:///{home}/windlass.db"}
    done = windlass("--json", "db", "copy", url)
    assert done.code == 0, done.stderr
    assert (done.json()["files"], done.json()["missing"]) == (2, 0)
    # The home of before may go: nothing of it is needed any more.
    home.rename(tmp_path / "gone")
    windlass.env["WINDLASS_DATABASE_URL"] = url
    server = windlass.start("up")
    line_of(server.stdout, "ready")
    (row,) = windlass("--json", "archive", "list").json()
    assert row["id"] == archived
    assert windlass("archive", "restore", archived).code == 0
    for run in (archived, hot):
        assert windlass("run", "artifacts", run, "small.txt", "--output", "-").stdout == "small\n"
        assert "told" in windlass("run", "logs", run).stdout
    # They lie in the new home from now on, and leave from there.
    left = windlass("archive", "run", env={"WINDLASS_RETENTION": "0s"})
    assert left.code == 0, left.stderr
    assert windlass("run", "delete", hot).code == 0
    assert not (tmp_path / "new" / "artifacts" / hot).exists()
