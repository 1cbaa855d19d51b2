"""`windlass db check` and `db upgrade` on a database that servers share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from threading import Event

import asyncpg
import pytest

from tests.fixtures.program import Windlass
from windlass.cli.main import run
from windlass.client.client import Client
from windlass.client.unix import UnixTransport
from windlass.errors import ServerGone
from windlass.main import WindlassProgram
from windlass.settings import Settings
from windlass.store.migrations import HEAD
from windlass.store.place import SchemaUse

pytestmark = pytest.mark.promise("H07")


def execute(url: str, statement: str) -> None:
    """Do one statement in the database."""

    async def work() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(work())


def test_what_a_check_finds_an_upgrade_makes(windlass: Windlass, postgres_url: str) -> None:
    windlass.env["WINDLASS_DATABASE_URL"] = postgres_url
    windlass("db", "upgrade")  # makes the partitions of this time: the store was made at another
    execute(postgres_url, "DROP INDEX ix_queue_wake")
    execute(postgres_url, "ALTER TABLE jobs ADD COLUMN colour TEXT")
    found = windlass("db", "check")
    assert found.code == 1
    assert "The schema lacks: index ix_queue_wake of queue on (wake_at)" in found.stdout
    assert "Note: The schema has besides: column jobs.colour TEXT; it is left alone." in found.stdout
    assert found.stdout.splitlines()[-1] == "The database is not as it should be."
    made = windlass("db", "upgrade")
    assert made.stdout.splitlines() == ["Made the index ix_queue_wake.", f"The database has schema {HEAD}."]
    sound = windlass("db", "check")
    assert (sound.code, sound.stdout.splitlines()[-1]) == (0, "The database is sound.")
    assert windlass("db", "upgrade", "--json").json()["done"] == []


class Slow(BaseHTTPRequestHandler):
    """Answers to an upgrade once somebody has found that the server answers to nothing else."""

    protocol_version = "HTTP/1.1"
    #: An upgrade was asked for; somebody has gone away without an answer.
    asked: Event
    gone: Event

    def address_string(self) -> str:
        return "socket"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it has there
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path.endswith("/never"):
            self.gone.wait(20)
        else:
            self._say({"kind": "postgresql", "schema": HEAD})

    def do_POST(self) -> None:
        self.asked.set()
        self.gone.wait(20)
        self._say({"schema": HEAD, "done": ["made the index ix_queue_wake"]})

    def _say(self, what: object) -> None:
        body = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class SlowProgram(WindlassProgram):
    """Reaches a server by a way whose patience is short."""

    def __init__(self, path: Path) -> None:
        """Reach the server at `path`."""
        self.path = path

    @contextmanager
    def connect(self, settings: Settings, *, works: bool = False, schema: SchemaUse = "sufficient") -> Iterator[Client]:
        assert settings.home
        assert (works, schema) == (False, "brought up")
        yield Client(UnixTransport(self.path, patience=0.3))


def test_an_upgrade_waits_for_its_end_longer_than_for_any_other_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WINDLASS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("windlass.cli.db.upgrade._QUIET", 0.0)
    Slow.asked, Slow.gone = Event(), Event()
    path = tmp_path / "socket"

    def impatient() -> None:
        Slow.asked.wait(20)
        for _ in range(3):  # asked later, and given up one after the other
            with pytest.raises(ServerGone):
                Client(UnixTransport(path, patience=0.3)).get("never")
        Slow.gone.set()

    with ThreadingUnixServer(str(path), Slow) as server, ThreadPoolExecutor() as pool:
        serving = pool.submit(server.serve_forever, 0.01)
        other = pool.submit(impatient)
        try:
            code = run(["db", "upgrade"], SlowProgram(path))
        finally:
            server.shutdown()
        serving.result(20)
        other.result(20)
    said = capsys.readouterr()
    assert (code, said.out.splitlines()) == (0, ["Made the index ix_queue_wake.", f"The database has schema {HEAD}."])
    assert "Indexes and partitions are being made" in said.err


class ThreadingUnixServer(ThreadingMixIn, UnixStreamServer):
    """A server on a socket, with a thread for each request."""

    daemon_threads = True


def test_of_a_file_there_is_nothing_to_make(windlass: Windlass) -> None:
    assert windlass("db", "upgrade").stdout.splitlines() == [f"The database has schema {HEAD}."]
    assert windlass("db", "check").code == 0
