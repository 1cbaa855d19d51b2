"""Nothing leaks, and running out of something fails one start and no more."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.fixtures.fake_worker import FakeWorker
from tests.supervisor.conftest import Bench
from windlass.supervisor import procfs
from windlass.supervisor.cgroup import own_folders


def belongings(supervisor: int) -> tuple[int, int, int, int]:
    """Return how many descriptors we and a supervisor have, and its children and control groups."""
    own = len(list(Path("/proc/self/fd").iterdir()))
    theirs = len(list(Path(f"/proc/{supervisor}/fd").iterdir()))
    children = sum(one.parent == supervisor for one in procfs.processes().values())
    memberships = Path(f"/proc/{supervisor}/cgroup").read_text()
    folders = own_folders(memberships, Path("/proc/self/mountinfo").read_text()).values()
    groups = [list(Path(folder).glob("*/")) for folder in folders if "/windlass." in folder]
    return own, theirs, children, sum(map(len, groups))


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


#: Makes root an ordinary user, for root is above the limit of processes; what it may still do is read everything, as
#: the interpreter may lie in root's own folder.
_NOT_ROOT: Final = (
    *("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"),
    *("--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override", "--bounding-set=-all,+dac_override"),
)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that any user may write to; the tests' own folders are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def test_too_many_processes_fail_one_start(open_folder: Path, fake_worker: Callable[..., FakeWorker]) -> None:
    worker = fake_worker(lock=open_folder / "steps.lock", before=_NOT_ROOT if os.geteuid() == 0 else ())
    before, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    worker.ask(processes=0)
    assert worker.run("true") == {"errno": errno.EAGAIN}
    worker.ask(processes=before)
    assert worker.run("true")["status"] == 0
