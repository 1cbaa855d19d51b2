"""Starting processes, waiting for them, and ending all that they started."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING

import pytest

from windlass.supervisor import procfs
from windlass.supervisor.contract import Limits

if TYPE_CHECKING:
    from tests.supervisor.conftest import Bench


async def test_a_process_starts_in_its_folder_with_its_environment_alone(bench: Bench) -> None:
    child, output = await bench.start("/usr/bin/env", env={"A": "1"}, mark="a7")
    assert (await child.wait()).status == 0
    assert sorted((await output.read()).split()) == [b"A=1", b"WINDLASS_ATTEMPT_MARK=test:a7"]
    child, output = await bench.start("pwd", "-P")
    assert (await child.wait()).status == 0
    assert (await output.read()).decode().strip() == str(bench.folder.resolve())


async def test_statuses_and_signals_are_reported(bench: Bench) -> None:
    child, _ = await bench.shell("exit 7")
    assert (await child.wait()).status == 7
    child, _ = await bench.shell("kill -USR1 $$")
    assert (await child.wait()).status == -10


@pytest.mark.parametrize(
    ("program", "code"),
    [("no-such-program", errno.ENOENT), ("/no/such", errno.ENOENT), ("/etc/passwd", errno.EACCES)],
)
async def test_what_exec_refuses_is_an_error_with_its_name(bench: Bench, program: str, code: int) -> None:
    with pytest.raises(OSError, match=program) as caught:
        await bench.start(program)
    assert caught.value.errno == code
    assert caught.value.filename == program


async def test_a_missing_folder_is_named(bench: Bench) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        await bench.start("true", cwd=bench.folder / "gone")


@pytest.mark.promise("H06")
async def test_stop_ends_a_whole_tree_that_ignores_the_first_signal(bench: Bench) -> None:
    child, output = await bench.shell("trap '' TERM; (trap '' TERM; sleep 1000) & sleep 1000 & echo up; wait; wait")
    assert await output.readline() == b"up\n"
    await child.stop(0.05)
    assert (await child.wait()).status == -9
    assert await output.read() == b""  # nobody holds the pipe any more


@pytest.mark.promise("H06")
async def test_sweep_kills_what_was_left_behind(bench: Bench) -> None:
    child, output = await bench.shell("sleep 1000 & (setsid sleep 1000 &); echo up")
    assert (await child.wait()).status == 0
    assert await child.sweep() == 2
    assert await output.read() == b"up\n"
    assert await child.sweep() == 0


async def test_limits_hold(bench: Bench) -> None:
    child, output = await bench.shell("ulimit -n; ulimit -t; ulimit -v", limits=Limits(open_files=50, cpu_seconds=9))
    assert (await child.wait()).status == 0
    assert (await output.read()).split() == [b"50", b"9", b"unlimited"]


async def test_many_at_once(bench: Bench) -> None:
    async def one(number: int) -> bytes:
        child, output = await bench.shell(f"echo {number}", mark=str(number))
        text = await output.read()
        assert (await child.wait()).status == 0
        assert await child.sweep() == 0
        return text

    assert await asyncio.gather(*(one(number) for number in range(200))) == [b"%d\n" % n for n in range(200)]


async def test_large_arguments_and_environments_arrive(bench: Bench) -> None:
    env = {f"V{n}": "x" * 100_000 for n in range(10)}
    child, output = await bench.start("/usr/bin/env", env=env)
    assert len(await output.read()) > 1_000_000
    assert (await child.wait()).status == 0
    with pytest.raises(OSError, match="Argument list too long") as caught:
        await bench.start("true", "x" * 200_000)
    assert caught.value.errno == errno.E2BIG


async def test_further_descriptors_have_the_numbers_that_were_asked_for(bench: Bench) -> None:
    one, other = os.pipe(), os.pipe()
    try:
        child, _ = await bench.shell("echo a >&3; echo b >&4", pass_fds={3: one[1], 4: other[1]})
        assert (await child.wait()).status == 0
        assert (os.read(one[0], 10), os.read(other[0], 10)) == (b"a\n", b"b\n")
    finally:
        for fd in (*one, *other):
            os.close(fd)


async def test_close_ends_what_still_runs(bench: Bench) -> None:
    child, output = await bench.shell("(setsid sh -c 'trap \"\" TERM; echo up; sleep 1000' &); sleep 1000")
    assert await output.readline() == b"up\n"
    await bench.supervisor.close()
    assert await output.read() == b""
    assert (await child.wait()).status == -9
    assert procfs.process(child.pid) is None
