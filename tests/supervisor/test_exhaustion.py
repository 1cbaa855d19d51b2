"""Nothing leaks, and running out of something fails one start and no more."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.fake_worker import FakeWorker
from tests.supervisor.conftest import Bench
from windlass.supervisor import procfs


def belongings(supervisor: int) -> tuple[int, int, int, int]:
    """Return how many descriptors we and a supervisor have, and its children and control groups."""
    own = len(list(Path("/proc/self/fd").iterdir()))
    theirs = len(list(Path(f"/proc/{supervisor}/fd").iterdir()))
    children = sum(one.parent == supervisor for one in procfs.processes().values())
    groups = Path(f"/proc/{supervisor}/cgroup").read_text().splitlines()
    folders = [folder for line in groups for folder in Path("/sys/fs/cgroup").glob(f"**{line.split(':', 2)[2]}/*/")]
    return own, theirs, children, sum("/windlass." in str(folder) for folder in folders)


async def test_a_thousand_quick_processes_leave_nothing(bench: Bench) -> None:
    null = os.open(os.devnull, os.O_WRONLY)

    async def one(number: int) -> None:
        child = await bench.supervisor.spawn(bench.command("true", output=null, mark=str(number)))
        assert (await child.wait()).status == 0
        assert await child.sweep() == 0

    await one(-1)
    before = belongings(bench.supervisor.pid)
    for start in range(0, 1000, 50):
        await asyncio.gather(*(one(number) for number in range(start, start + 50)))
    assert belongings(bench.supervisor.pid) == before
    os.close(null)


async def test_too_many_descriptors_fail_one_start(bench: Bench) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    supervisor = bench.supervisor
    try:
        before = resource.prlimit(supervisor.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(supervisor.pid, resource.RLIMIT_NOFILE, (32, before[1]))
        with pytest.raises(OSError, match="true") as caught:
            await supervisor.spawn(bench.command("true", output=null, pass_fds=dict.fromkeys(range(10, 60), null)))
        assert caught.value.errno == errno.EMFILE
        child = await supervisor.spawn(bench.command("true", output=null))
        assert (await child.wait()).status == 0
        resource.prlimit(supervisor.pid, resource.RLIMIT_NOFILE, before)
        child = await supervisor.spawn(bench.command("true", output=null, pass_fds=dict.fromkeys(range(10, 60), null)))
        assert (await child.wait()).status == 0
    finally:
        os.close(null)


def test_too_many_processes_fail_one_start(fake_worker: Callable[..., FakeWorker], tmp_path: Path) -> None:
    options: dict[str, Any] = {}
    lock = tmp_path / "steps.lock"
    if os.geteuid() == 0:  # root is above this limit
        options = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        lock = tmp_path / "open" / "steps.lock"
        lock.parent.mkdir()
        for folder in (lock.parent, *list(lock.parents)[1:4]):
            folder.chmod(0o777)
    worker = fake_worker(lock=lock, **options)
    before, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    worker.ask(processes=0)
    assert worker.run("true") == {"errno": errno.EAGAIN}
    worker.ask(processes=before)
    assert worker.run("true")["status"] == 0
