"""The command line inside the test's process, over an engine in memory that lasts from one command to the next."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from windlass.api.message import local_admin
from windlass.api.routes.all import route_table
from windlass.cli.inprocess import LocalTransport, LoopThread, entered
from windlass.cli.main import run
from windlass.client.client import Client
from windlass.main import WindlassProgram, _owned
from windlass.settings import Settings, load_settings
from windlass.store.place import SchemaUse


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it printed."""

    code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        return json.loads(self.stdout)


class Lasting(WindlassProgram):
    """A program whose store is opened once."""

    def __init__(self, client: Client) -> None:
        """Use `client` for every command."""
        self.client = client

    @contextmanager
    def connect(self, settings: Settings, *, works: bool = False, schema: SchemaUse = "sufficient") -> Iterator[Client]:
        assert settings.home
        assert works in {True, False}
        assert schema
        yield self.client

    def reach(self, settings: Settings) -> Client | None:
        assert settings.home
        return self.client


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Yield a client of an engine with a worker, in memory."""
    home = tmp_path_factory.mktemp("home")
    settings = load_settings({"WINDLASS_HOME": str(home), "WINDLASS_DATABASE_URL": "memory://"}).settings
    loop = LoopThread()
    with entered(loop, _owned(settings, "0", works=True, schema="brought up", alone=False)) as engine:
        yield Client(LocalTransport(loop, route_table(), engine, local_admin("tester")))
    loop.close()


Cli = Callable[..., Said]


@pytest.fixture
def cli(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Return what runs a command in an empty folder."""
    monkeypatch.setenv("WINDLASS_HOME", str(tmp_path / "home"))
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def call(*arguments: str, stdin: bytes = b"") -> Said:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        code = run(arguments, Lasting(client))
        told = capsys.readouterr()
        return Said(code, told.out, told.err)

    return call
