"""A store on PostgreSQL whose schema is not that of the command: who changes it, and what the others say."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.e2e.stage import HEAD as JOB
from tests.e2e.stage import accepted, apply, ended, line_of
from tests.fixtures.postgres import PostgresServer, in_a_loop
from tests.fixtures.program import Windlass
from tests.fixtures.releases import run_by, version_after_this
from windlass.store.migrations import HEAD

pytestmark = [pytest.mark.promise("H07"), pytest.mark.timeout(120)]

_JOB = JOB % "plain" + 'steps: [{name: a, run: "true"}]\n'


@pytest.fixture
def database(windlass: Windlass, postgres: PostgresServer) -> str:
    """Return the name of an empty database, which the settings name."""
    name = in_a_loop(postgres.empty())
    windlass.env["WINDLASS_DATABASE_URL"] = postgres.url(name)
    return name


def schema(postgres: PostgresServer, database: str) -> str:
    """Return the version of the schema as it stands in the database."""

    async def ask() -> str:
        connection = await postgres.connect(database)
        try:
            return str(await connection.fetchval("SELECT version_num FROM alembic_version"))
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_an_empty_database_gets_its_store_from_those_who_work(
    windlass: Windlass, postgres: PostgresServer, database: str
) -> None:
    (windlass.folder / "job.yaml").write_text(_JOB)
    for command in (["run", "list"], ["job", "apply", "job.yaml"], ["exec", "job.yaml"]):
        refused = windlass(*command)
        assert (refused.code, refused.stderr.count("\n")) == (3, 1)
        assert "yet: `windlass up`, `windlass worker` or `windlass db upgrade` makes it." in refused.stderr
    checked = windlass("db", "check")
    assert (checked.code, "There is no store in the database yet" in checked.stdout) == (1, True)
    assert "There is no store in the database" in windlass("doctor").stdout
    assert windlass("db", "upgrade").stdout.endswith(f"The database has schema {HEAD}.\n")
    assert schema(postgres, database) == HEAD
    assert windlass("exec", "job.yaml").code == 0


def test_an_older_schema_that_suffices_stays_until_a_server_comes(
    windlass: Windlass, postgres: PostgresServer, database: str, tmp_path: Path
) -> None:
    assert windlass("db", "upgrade").code == 0
    windlass.before = run_by(version_after_this(tmp_path / "later"))
    later = f"{int(HEAD) + 1:04}"
    apply(windlass, _JOB)
    run = accepted(windlass, "plain")
    assert [one["id"] for one in windlass("--json", "run", "list").json()] == [run]
    checked = windlass("--json", "db", "check")
    assert (checked.code, checked.json()["schema"]) == (1, HEAD)
    assert checked.json()["problems"] == [
        f"The schema is {HEAD}, this program needs {later}: run `windlass db upgrade`."
    ]
    assert schema(postgres, database) == HEAD
    server = windlass.start("up")
    line_of(server.stdout, "ready")
    assert ended(windlass, run)["state"] == "completed"
    assert schema(postgres, database) == later
    server.send_signal(signal.SIGTERM)
    assert server.wait(30) == 0


def test_a_newer_command_leaves_a_store_that_lacks_what_it_uses(
    windlass: Windlass, postgres: PostgresServer, database: str, tmp_path: Path
) -> None:
    server = windlass.start("up")
    line_of(server.stdout, "ready")
    apply(windlass, _JOB)
    home = windlass.env["WINDLASS_HOME"]
    windlass.before = run_by(version_after_this(tmp_path / "later", uses=True))
    later = f"{int(HEAD) + 1:04}"
    elsewhere = {"WINDLASS_HOME": str(tmp_path / "elsewhere")}
    for command in (["run", "list"], ["run", "start", "plain"], ["exec", "job.yaml"]):
        refused = windlass(*command, env=elsewhere)
        assert (refused.code, refused.stderr.count("\n")) == (3, 1), refused.stderr
        assert f"has the schema {HEAD}, older than {later}, which this program needs; nothing" in refused.stderr
    assert f"takes the schema through version {later}" in windlass("db", "check", env=elsewhere).stdout
    assert schema(postgres, database) == HEAD
    # Beside the server of before, which is not asked: it knows of no such version.
    assert windlass("db", "upgrade", env={"WINDLASS_HOME": home}).code == 0
    assert schema(postgres, database) == later
    assert windlass("run", "list", env=elsewhere).code == 0
    windlass.before = []
    assert ended(windlass, accepted(windlass, "plain"))["state"] == "completed"
