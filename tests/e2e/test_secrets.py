"""Secrets that the store keeps, by the installed program: set, used, shown nowhere, lost with their key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, ended, kill, log, serve
from tests.fixtures.postgres import PostgresServer, in_a_loop
from tests.fixtures.program import Windlass

pytestmark = pytest.mark.promise("O13", part="sealed")
CANARY = "canary-5fd01b77e2"
_JOB = HEAD % "uses" + (
    "steps:\n"
    "  - name: a\n"
    '    run: \'test "$P" = "$(cat expected)" && echo "with $P"\'\n'
    "    env: {P: secret://store/db.password}\n"
)


@pytest.fixture
def job(windlass: Windlass) -> str:
    expected = windlass.folder / "expected"
    expected.write_text(CANARY)
    (windlass.folder / "uses.yaml").write_text(_JOB.replace("expected", str(expected)))
    assert windlass("job", "apply", "uses.yaml").stderr == ""
    return "uses"


def test_a_secret_is_set_used_by_steps_and_shown_by_nothing(
    windlass: Windlass, home: Path, api: Socket, job: str
) -> None:
    made = windlass("secret", "set", "db.password", "--note", "the database", stdin=CANARY + "\n")
    assert made.code == 0, made.stderr
    assert made.stderr.startswith(f"warning: A master key was made in {home}/master.key: keep a copy of it apart")
    assert made.stdout == "Keeps secret://store/db.password in project default, version 1.\n"
    serve(windlass)
    run = accepted(windlass, job)
    assert ended(windlass, run)["state"] == "completed"
    assert log(windlass, run, "--raw") == ["with ***"]
    answered = repr([api("GET", path) for path in ("secrets", "secrets/db.password", "keys/verify", f"runs/{run}")])
    shown = [windlass("--json", "secret", verb, *more).stdout for verb, *more in (("list",), ("get", "db.password"))]
    assert CANARY not in answered + "".join(shown)
    assert api("GET", "secrets/db.password")["note"] == "the database"
    assert windlass("keys", "verify").stdout.endswith("Everything opens.\n")
    for path in (path for path in home.rglob("*") if path.is_file()):
        assert CANARY.encode() not in path.read_bytes(), path


def test_values_come_from_files_and_what_is_wrong_is_one_sentence(windlass: Windlass) -> None:
    (windlass.folder / "key").write_text("first\nsecond\n")
    (windlass.folder / "bytes").write_bytes(b"\xff\xfe")
    assert windlass("secret", "set", "key", "--file", "key").code == 0
    for said, arguments, stdin in (
        ("needs a value", ("x",), "\n"),
        ("must be UTF-8 text", ("x", "--file", "bytes"), ""),
        ("the value cannot be read: No such file", ("x", "--file", "none"), ""),
        ("is no name of a secret", ("../x",), "value\n"),
    ):
        refused = windlass("secret", "set", *arguments, stdin=stdin)
        assert (refused.code, refused.stderr.count("\n"), said in refused.stderr) == (2, 1, True), refused.stderr
    assert [row["name"] for row in windlass("--json", "secret", "list").json()] == ["key"]
    near = windlass("secret", "delete", "kye")
    assert (near.code, near.stderr) == (2, 'windlass: Project "default" has no secret "kye".\n')
    assert windlass("secret", "delete", "key").stdout == "Deleted key.\n"


def test_without_its_master_key_a_server_does_not_start_and_loses_nothing(
    windlass: Windlass, home: Path, job: str
) -> None:
    assert windlass("secret", "set", "db.password", stdin=CANARY).code == 0
    (home / "master.key").rename(home / "elsewhere")
    refused = windlass("up")
    assert (refused.code, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert "needs the master key k1, and" in refused.stderr
    assert "needs the master key k1" in windlass("doctor").stdout
    assert windlass("keys", "verify").code == 1
    failed = ended(windlass, accepted_by_exec(windlass))
    assert "needs the master key k1" in failed["error"]["message"]
    (home / "elsewhere").rename(home / "master.key")
    server = serve(windlass)
    assert ended(windlass, accepted(windlass, job))["state"] == "completed"
    kill(server)


def accepted_by_exec(windlass: Windlass) -> str:
    """Run the job by `exec`, which needs no key until a step does; return the run."""
    run: str = windlass("--json", "exec", "uses.yaml").json()["id"]
    return run


def test_keys_are_changed_while_a_server_works(windlass: Windlass, home: Path, job: str) -> None:
    assert windlass("secret", "set", "db.password", stdin=CANARY).code == 0
    serve(windlass)
    assert ended(windlass, accepted(windlass, job))["state"] == "completed"
    made = windlass("keys", "create").stdout
    assert made.startswith(f"Made the master key k2 in {home}/master.key.")
    assert windlass("keys", "rotate").stdout == "Sealed 2 data keys anew; they stand 2 under k2.\n"
    text = (home / "master.key").read_text()
    (home / "master.key").chmod(0o600)
    (home / "master.key").write_text(re.sub("k1:.*\n", "", text))
    assert windlass("keys", "rotate", "--data", "--all").stdout == (
        "Made 1 data keys, sealed 1 values anew, removed 1 old keys.\n"
    )
    assert ended(windlass, accepted(windlass, job))["state"] == "completed"


def test_a_shared_store_asks_for_a_key_and_takes_the_one_that_all_are_given(
    windlass: Windlass, home: Path, postgres: PostgresServer
) -> None:
    windlass.env["WINDLASS_DATABASE_URL"] = postgres.url(in_a_loop(postgres.made()))
    refused = windlass("secret", "set", "db.password", stdin=CANARY)
    assert (refused.code, "make one with `windlass keys create`" in refused.stderr) == (2, True), refused.stderr
    assert windlass("keys", "create").code == 0
    assert windlass("secret", "set", "db.password", stdin=CANARY).stderr == ""
    windlass.env["WINDLASS_MASTER_KEY_FILE"] = str(home / "master.key")
    windlass.env["WINDLASS_HOME"] = str(home.with_name("second"))
    assert windlass("keys", "verify").stdout.endswith("Everything opens.\n")
