"""A process that the kernel kills for want of memory is told from one that somebody killed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.fake_worker import FakeWorker

pytestmark = pytest.mark.fault("F27")
_EATER = "print(len(b'x' * (1 << 30)))"


@pytest.mark.parametrize("script", ["exec {} -c '{}'", "{} -c '{}'; exit $?"], ids=["itself", "below a shell"])
def test_want_of_memory_is_reported(small_memory: Path, fake_worker: Callable[..., FakeWorker], script: str) -> None:
    worker = fake_worker(before=["sh", "-c", f'echo $$ > {small_memory}/cgroup.procs && exec "$@"', "sh"])
    ended = worker.run("sh", "-c", script.format(sys.executable, _EATER.replace("'", '"')))
    assert ended == {"status": ended["status"], "out_of_memory": True}
    assert ended["status"] in (-9, 137)
    assert worker.run("sh", "-c", "kill -9 $$") == {"status": -9, "out_of_memory": False}


def test_a_plain_kill_is_not_called_want_of_memory(fake_worker: Callable[..., FakeWorker]) -> None:
    assert fake_worker().run("sh", "-c", "kill -9 $$") == {"status": -9, "out_of_memory": False}
