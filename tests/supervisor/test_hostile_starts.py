"""A command that no program can be given fails alone; the supervisor and what else it started go on."""

from __future__ import annotations

import errno

import pytest

from tests.supervisor.conftest import Bench
from windlass.supervisor.contract import Limits


@pytest.mark.parametrize("limits", [Limits(), Limits(open_files=100)])
@pytest.mark.parametrize(
    ("argv", "env", "code"),
    [
        (("", "x"), {}, errno.ENOENT),
        (("a\0b",), {}, errno.EINVAL),
        (("true", "a\0b"), {}, errno.EINVAL),
        (("true",), {"A": "\0"}, errno.EINVAL),
        (("true",), {"": "x"}, errno.EINVAL),
    ],
)
async def test_what_cannot_be_started_harms_nobody_else(
    bench: Bench, limits: Limits, argv: tuple[str, ...], env: dict[str, str], code: int
) -> None:
    other, _ = await bench.shell("sleep 1000")
    with pytest.raises(OSError, match=r".") as caught:
        await bench.start(*argv, env={"PATH": "/usr/bin:/bin"} | env, limits=limits)
    assert caught.value.errno == code
    await other.stop(1)
    assert (await other.wait()).status == -15
    after, output = await bench.shell("echo still here")
    assert await output.read() == b"still here\n"
    assert (await after.wait()).status == 0


async def test_a_limit_that_no_system_has_is_refused(bench: Bench) -> None:
    with pytest.raises(OSError, match="limit") as caught:
        await bench.shell("true", limits=Limits(cpu_seconds=2**63 - 1))
    assert caught.value.errno == errno.EINVAL
