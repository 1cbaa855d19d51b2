"""The servers that the bench starts: their commits are flushed, and what is not durable is not measured."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench import services
from bench.children import ROOT, NotMeasured, disk
from bench.services import postgres, redis

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_a_server_is_started_flushes_and_is_gone_afterwards() -> None:
    with postgres() as server:
        assert server.version.startswith("15")
        assert [server.ask(f"SHOW {name}") for name in ("fsync", "synchronous_commit")] == ["on", "on"]
        with server.database("a") as url:
            assert url.endswith("/a")
            server.ask("CREATE TABLE t (x integer)", "a")
        assert server.ask("SELECT count(*) FROM pg_database WHERE datname = 'a'") == "0"
        with pytest.raises(NotMeasured, match=r'relation "t" does not exist'):
            server.ask("SELECT * FROM t")
    with pytest.raises(NotMeasured, match="PostgreSQL refused a statement"):
        server.ask("SELECT 1")


def test_tables_that_a_crash_would_empty_are_not_measured() -> None:
    with postgres() as server, pytest.raises(NotMeasured, match="would empty these tables: quick"):  # noqa: SIM117 - the server outlives it
        with server.database("a"):
            server.ask("CREATE UNLOGGED TABLE quick (x integer)", "a")


def test_a_held_transaction_keeps_vacuum_from_what_is_dead() -> None:
    with postgres() as server, server.database("a"):
        server.ask("CREATE TABLE t (x integer); INSERT INTO t SELECT generate_series(1, 1000)", "a")
        holder = server.hold("a")
        server.ask("DELETE FROM t", "a")
        server.ask("VACUUM t", "a")
        assert server.ask("SELECT pg_relation_size('t') > 0", "a") == "t"
        holder.end()
        server.ask("VACUUM t", "a")
        assert server.ask("SELECT pg_relation_size('t')", "a") == "0"


_WAITING = """
import signal
from bench.ending import end_when_told
from bench.services import postgres
end_when_told()
with postgres() as server, server.database("a"):
    print(server.pid, flush=True)
    signal.pause()
"""


def test_a_signal_to_all_of_the_bench_ends_it_and_its_server() -> None:
    started = {"cwd": ROOT, "stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen([sys.executable, "-c", _WAITING], **started) as bench:  # type: ignore[call-overload]
        assert bench.stdout is not None
        server = int(bench.stdout.readline())
        assert Path(f"/proc/{server}").exists()
        os.killpg(bench.pid, signal.SIGTERM)
    assert bench.returncode == 128 + signal.SIGTERM
    assert not Path(f"/proc/{server}").exists()
    assert list(disk().glob(f"windlass-*-{bench.pid}-*")) == []


def test_a_missing_server_is_told_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(services, "_PROGRAMS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotMeasured, match=r"apt-get install -y --no-install-recommends postgresql-15$"), postgres():
        pass
    with pytest.raises(NotMeasured, match=r"apt-get install -y --no-install-recommends redis-server$"), redis():
        pass
