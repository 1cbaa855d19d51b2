"""The audit by the installed program: who did what, on both stores; tampering is told, with and without a server."""

from __future__ import annotations

import getpass
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, kill, serve
from tests.fixtures.postgres import PostgresServer, in_a_loop
from tests.fixtures.program import Windlass

pytestmark = [pytest.mark.promise("O12", part="audit"), pytest.mark.promise("W05")]
_JOB = HEAD % "noted" + "steps: [{name: a, run: echo hello}]\n"


@pytest.fixture(params=["sqlite", "postgres"])
def there(windlass: Windlass, request: pytest.FixtureRequest) -> Windlass:
    """Return the command line on a store of each kind."""
    request.node.user_properties.append(("store", request.param))
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        windlass.env["WINDLASS_DATABASE_URL"] = server.url(in_a_loop(server.made()))
    assert windlass("keys", "create").code == 0
    return windlass


def test_who_did_what_is_told_with_a_server_and_without(there: Windlass) -> None:
    apply(there, _JOB)
    server = serve(there)
    run = accepted(there, "noted")
    assert there("run", "watch", run).code == 0
    assert there("queue", "pause", "default", "--why", "new disks").code == 0
    kill(server)
    rows = there("--json", "audit", "list").json()
    assert [(row["action"], row["object"]) for row in rows] == [
        ("queue.pause", "Queue/default"), ("run.start", f"Run/{run}"), ("job.apply", "Job/noted"),
    ]  # fmt: skip
    assert {(row["actor"], row["actorKind"], row["outcome"]) for row in rows} == {(getpass.getuser(), "local", "done")}
    assert rows[2]["after"] == there("--json", "job", "get", "noted").json()["digest"]
    assert [row["seq"] for row in there("--json", "audit", "list", "--action", "job.apply").json()] == [1]
    assert there("--json", "--project", "other", "audit", "list").json() == []
    shown = there("audit", "verify").stdout
    assert shown.startswith("All 3 entries hold; the end is 3:")
    assert "without a key" not in shown
    lines = [json.loads(line) for line in there("audit", "export").stdout.splitlines()]
    assert [line["seq"] for line in lines] == [1, 2, 3]
    assert shown.split()[7] == f"3:{lines[-1]['code']}."


def test_tampering_is_told_and_ends_with_1(windlass: Windlass, home: Path, api: Socket) -> None:
    assert windlass("keys", "create").code == 0
    apply(windlass, _JOB)
    for name in ("a", "b"):
        assert windlass("queue", "pause", name).code == 0
    end = windlass("--json", "audit", "verify").json()["head"]
    anchor = f"{end['seq']}:{end['code']}"
    with closing(sqlite3.connect(home / "windlass.db")) as database, database:
        database.execute("UPDATE audit_entries SET actor = 'somebody else' WHERE seq = 2")
    told = windlass("audit", "verify")
    assert (told.code, told.stdout.splitlines()[0]) == (
        1, "Broken at entry 2: it is not what was written, or does not follow the entry before it.",
    )  # fmt: skip
    with closing(sqlite3.connect(home / "windlass.db")) as database, database:
        for table in ("audit_entries", "audit_head", "audit_epochs"):
            database.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
    assert windlass("audit", "verify").code == 0
    serve(windlass)
    assert api("GET", f"audit/verify?anchor={anchor}")["broken"] == {"seq": 1, "why": "the entries 1 to 3 are gone"}
    assert windlass("audit", "verify", "--anchor", anchor).code == 1
    assert windlass("audit", "verify", "--anchor", "nonsense").code == 2


def test_a_chain_without_a_key_says_so(windlass: Windlass) -> None:
    apply(windlass, _JOB)
    assert "1 of them are chained without a key" in windlass("audit", "verify").stdout
    assert windlass("secret", "set", "x", stdin="value").code == 0
    assert "1 of them" in windlass("audit", "verify").stdout
