"""Starting processes, waiting for them, and ending all that they started."""

from __future__ import annotations

import asyncio
import errno
import os
import pwd
import re
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.fixtures.begun import begun
from tests.supervisor.conftest import Bench
from windlass.supervisor import procfs
from windlass.supervisor.child import SupervisedChild
from windlass.supervisor.client import Supervisor
from windlass.supervisor.contract import Limits, NotStarted, SupervisorLost
from windlass.supervisor.link import Link
from windlass.supervisor.steps_lock import lock_is_held, wait_released

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.promise("C14", part="processes")
async def test_a_process_starts_in_its_folder_with_its_environment_alone(bench: Bench) -> None:
    child, output = await bench.start("/usr/bin/env", env={"A": "1", "WINDLASS_ATTEMPT_MARK": "x"}, mark="a7")
    assert (await child.wait()).status == 0
    one, mark = sorted((await output.read()).decode().split())
    assert one == "A=1"
    assert re.fullmatch(r"WINDLASS_ATTEMPT_MARK=test\.[0-9a-f]+-[0-9a-f]+:a7", mark)
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


@pytest.mark.promise("H11")
async def test_stop_lets_a_process_end_by_itself_even_a_stopped_one(bench: Bench) -> None:
    child, output = await bench.shell("trap 'echo bye; exit 4' TERM; echo up; kill -STOP $$; sleep 0")
    assert await output.readline() == b"up\n"
    async with asyncio.timeout(20):
        while (seen := procfs.process(child.pid)) is None or seen.state != "T":  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.001)
    await child.stop(60)
    assert (await child.wait()).status == 4
    assert await output.read() == b"bye\n"


async def test_a_second_stop_may_shorten_the_first(bench: Bench) -> None:
    child, output = await bench.shell("trap '' TERM; echo up; while :; do sleep 1000; done")
    assert await output.readline() == b"up\n"
    patient = asyncio.ensure_future(child.stop(1000))
    await child.stop(0)
    await patient
    assert (await child.wait()).status == -signal.SIGKILL


@pytest.mark.parametrize("groups", ["auto", "v1", "off"])
async def test_a_sweep_spares_what_other_attempts_left(tmp_path: Path, groups: Any) -> None:
    async with Supervisor(instance="two", groups=groups) as supervisor:
        bench = Bench(supervisor, tmp_path)
        script = "(setsid sh -c 'echo $$; exec sleep 1000' &); read line; exit 0"
        (one, first), (other, second) = [await bench.shell(script, mark=mark) for mark in ("one", "other")]
        await asyncio.gather(first.readline(), second.readline())
        one_ended, other_ended = one.wait(), other.wait()  # standard input is the null device: they end at once
        await asyncio.gather(one_ended, other_ended)
        assert await one.sweep() == 1
        assert await first.read() == b""
        assert not second.at_eof()
        assert await other.sweep() == 1
        assert await second.read() == b""


@pytest.mark.parametrize("groups", ["auto", "off"])
async def test_what_hides_from_its_attempt_ends_at_the_latest_with_those_it_may_be_of(
    tmp_path: Path, groups: Any
) -> None:
    async with Supervisor(instance="two", groups=groups) as supervisor:
        bench = Bench(supervisor, tmp_path)
        long, talk = await bench.shell("echo up; exec sleep 1000", mark="long")
        await talk.readline()
        short, output = await bench.shell("(env -i setsid sh -c 'echo hidden; exec sleep 1000' &)", mark="short")
        await output.readline()
        await short.wait()
        await short.sweep()
        await long.stop(0)
        assert await output.read() == b""


HOPPER = """
import os
print("up", flush=True)
for _ in range(200_000):
    if os.fork():
        os._exit(0)
    os.setsid()
"""


@pytest.mark.parametrize("groups", ["auto", "v1", "off"])
async def test_who_forks_and_ends_without_pause_is_caught(tmp_path: Path, groups: Any) -> None:
    async with Supervisor(instance="hopper", groups=groups) as supervisor:
        child, output = await Bench(supervisor, tmp_path).start(sys.executable, "-S", "-c", HOPPER)
        assert await output.readline() == b"up\n"
        await child.sweep()
        assert await output.read() == b""


async def test_what_has_one_mark_ends_together(bench: Bench) -> None:
    (one, first), (other, second) = [await bench.shell("echo up; exec sleep 1000", mark="same") for _ in range(2)]
    await asyncio.gather(first.readline(), second.readline())
    await one.stop(0)
    assert (await other.wait()).status == -signal.SIGKILL


async def test_no_signal_is_blocked_or_ignored(bench: Bench) -> None:
    child, output = await bench.start("grep", "-E", "^Sig(Ign|Blk):", "/proc/self/status")
    assert (await child.wait()).status == 0
    masks = [int(line.split()[1], 16) for line in (await output.read()).splitlines()]
    assert [mask & sum(1 << number - 1 for number in signal.valid_signals()) for mask in masks] == [0, 0]


async def test_a_child_leads_its_session_and_holds_three_descriptors(bench: Bench) -> None:
    for limits in (Limits(), Limits(open_files=100)):  # started by spawn, started by fork
        child, output = await bench.shell("ls /proc/$$/fd; cut -d' ' -f6 /proc/$$/stat", limits=limits)
        assert (await child.wait()).status == 0
        assert (await output.read()).split() == [b"0", b"1", b"2", str(child.pid).encode()]


async def test_standard_input_is_what_was_given_or_nothing(bench: Bench) -> None:
    child, output = await bench.start("cat")
    assert await output.read() == b""
    reading, writing = os.pipe()
    try:
        child, output = await bench.start("cat", stdin=reading)
        os.write(writing, b"hello")
    finally:
        os.close(reading)
        os.close(writing)
    assert await output.read() == b"hello"
    assert (await child.wait()).status == 0


@pytest.mark.parametrize(
    ("argv", "env"),
    [
        ([], {}),
        (["true", "a\0b"], {}),
        (["true"], {"A=B": "c"}),
        (["true"], {"": "c"}),
        (["true"], {"A": "\ud800"}),
    ],
)
async def test_what_no_process_can_be_given_is_refused(bench: Bench, argv: list[str], env: dict[str, str]) -> None:
    with pytest.raises(OSError, match=r"empty|null|name|encode") as caught:
        await bench.start(*argv, env=env)
    assert caught.value.errno == errno.EINVAL


async def test_a_file_that_is_no_program_is_named(bench: Bench) -> None:
    script = bench.folder / "script"
    script.write_text("echo no first line")
    script.chmod(0o755)
    with pytest.raises(OSError, match="Exec format error") as caught:
        await bench.start(str(script))
    assert (caught.value.errno, caught.value.filename) == (errno.ENOEXEC, str(script))


async def test_path_is_searched_in_the_environment_of_the_child(bench: Bench) -> None:
    (bench.folder / "bin").mkdir()
    program = bench.folder / "bin" / "only-here"
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    child, output = await bench.start("only-here", env={"PATH": f"/no/such:{bench.folder / 'bin'}:/bin:/usr/bin"})
    assert (await child.wait()).status == 0
    assert await output.read() == b"found\n"
    with pytest.raises(FileNotFoundError):
        await bench.start("only-here")


async def test_another_user_is_taken_on_with_all_groups(bench: Bench) -> None:
    entry = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    child, output = await bench.shell("id -u; id -g; grep -E ^Groups: /proc/self/status", run_as=entry.pw_name, cwd="/")
    assert (await child.wait()).status == 0
    uid, gid, _, *groups = (await output.read()).split()
    assert (int(uid), int(gid)) == (entry.pw_uid, entry.pw_gid)
    expected = os.getgrouplist(entry.pw_name, entry.pw_gid) if os.geteuid() == 0 else os.getgroups()
    assert sorted(map(int, groups)) == sorted(expected)


async def test_an_unknown_user_is_named(bench: Bench) -> None:
    with pytest.raises(OSError, match="no-such-user") as caught:
        await bench.start("true", run_as="no-such-user")
    assert caught.value.errno == errno.EINVAL


async def test_errors_of_exec_are_the_same_under_limits(bench: Bench) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        await bench.start("no-such-program", limits=Limits(open_files=100))
    with pytest.raises(FileNotFoundError, match="gone"):
        await bench.start("true", cwd=bench.folder / "gone", limits=Limits(open_files=100))


async def test_time_on_the_processor_is_limited_and_reported(bench: Bench) -> None:
    child, _ = await bench.shell("while :; do :; done", limits=Limits(cpu_seconds=1))
    ended = await child.wait()
    assert ended.status == -signal.SIGXCPU
    assert ended.cpu_seconds > 0.1


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


async def test_a_closed_supervisor_starts_nothing(bench: Bench) -> None:
    await bench.supervisor.close()
    with pytest.raises(NotStarted, match="closed"):
        await bench.start("true")
    await bench.supervisor.close()


async def test_a_cancelled_start_leaves_nothing(bench: Bench) -> None:
    reading, writing = os.pipe()
    starts = [
        await begun(bench.supervisor.spawn(bench.command("sleep", "1000", output=writing, mark=str(n))))
        for n in range(20)
    ]
    for start in starts:
        start.cancel()
    await asyncio.wait(starts, return_when=asyncio.FIRST_COMPLETED)
    for start in starts[::2]:
        start.cancel()  # again, while the first is being answered for
    ended = await asyncio.gather(*starts, return_exceptions=True)
    assert any(isinstance(one, asyncio.CancelledError) for one in ended)
    for child in [one for one in ended if not isinstance(one, asyncio.CancelledError)]:
        assert not isinstance(child, BaseException)
        await child.sweep()  # it had begun before it was cancelled
    os.close(writing)
    assert os.read(reading, 1) == b""
    os.close(reading)


async def test_owns_tells_its_processes_from_others(bench: Bench) -> None:
    child, output = await bench.shell("(setsid sh -c 'echo $$; exec sleep 1000' &)")
    daemon = int(await output.readline())
    await child.wait()
    assert bench.supervisor.owns(daemon)
    assert not bench.supervisor.owns(os.getpid())
    await child.sweep()
    with pytest.raises(ProcessLookupError):
        bench.supervisor.owns(daemon)


async def test_owns_knows_the_marks_of_earlier_supervisors(bench: Bench) -> None:
    child, output = await bench.shell('echo "$WINDLASS_ATTEMPT_MARK"')
    mark = (await output.read()).decode().strip()
    await child.wait()
    for value, ours in ((mark, True), ("other" + mark, False)):
        argv = ("sh", "-c", "echo; read x")
        process = await asyncio.create_subprocess_exec(
            *argv, env={"WINDLASS_ATTEMPT_MARK": value}, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        await process.stdout.readline()  # it runs: before, it has no environment of its own
        assert bench.supervisor.owns(process.pid) is ours
        await process.communicate(b"\n")


async def test_owns_says_no_of_nobody_while_what_a_lost_supervisor_left_may_live(bench: Bench) -> None:
    await bench.shell("exec sleep 1000")
    lost = bench.supervisor.pid
    this = procfs.process(lost)
    assert this is not None
    os.kill(this.parent, signal.SIGSTOP)  # the guard, which kills what is left
    try:
        os.kill(lost, signal.SIGKILL)
        while (one := procfs.process(lost)) and one.state != "Z":
            pass
        async with asyncio.timeout(20):
            while not bench.supervisor.trouble:
                with pytest.raises(SupervisorLost, match="in a moment"):
                    bench.supervisor.owns(os.getpid())
                await asyncio.sleep(0)
        with pytest.raises(SupervisorLost, match="in a moment"):
            bench.supervisor.owns(os.getpid())
    finally:
        os.kill(this.parent, signal.SIGCONT)
    await bench.supervisor.start()
    assert not bench.supervisor.owns(os.getpid())


async def test_of_starts_those_that_never_left_a_lost_supervisor_are_made_by_the_next_one(bench: Bench) -> None:
    os.kill(bench.supervisor.pid, signal.SIGSTOP)
    reading, writing = os.pipe()
    starts = [
        await begun(bench.supervisor.spawn(bench.command("true", "x" * 100_000, output=writing, mark=str(number))))
        for number in range(1000)  # more than the channel takes
    ]
    os.kill(bench.supervisor.pid, signal.SIGKILL)
    found = await asyncio.gather(*starts, return_exceptions=True)
    os.close(writing)
    os.close(reading)
    kinds = [type(one) for one in found]
    assert kinds[0] is SupervisorLost
    assert kinds[-1] is SupervisedChild
    assert set(kinds) == {SupervisorLost, SupervisedChild}
    assert kinds == sorted(kinds, key=[SupervisorLost, SupervisedChild].index)
    children = [one for one in found if isinstance(one, SupervisedChild)]
    assert {(await child.wait()).status for child in children} == {0}


async def test_a_start_is_not_asked_for_without_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    async def lost(*_: object) -> None:
        asked.append(1)
        raise NotStarted("gone")

    monkeypatch.setattr(Link, "spawn", lost)
    with pytest.raises(NotStarted, match="gone"):
        await bench.supervisor.spawn(bench.command("true", output=2))
    assert len(asked) > 1


async def test_an_instance_has_a_name_that_a_folder_can_have() -> None:
    for name in ("", "a/b", "a.b", "x" * 65, "a\nb"):
        with pytest.raises(ValueError, match="instance"):
            Supervisor(instance=name)


async def test_a_second_supervisor_waits_for_the_lock_and_may_be_given_up(bench: Bench) -> None:
    lock = bench.folder / "steps.lock"
    assert lock_is_held(lock)
    other = Supervisor(instance="test", lock=lock)
    children = procfs.Children()
    before = children.pids()
    waiting = asyncio.ensure_future(other.start())
    async with asyncio.timeout(20):
        while children.pids() == before:  # noqa: ASYNC110 - no event tells that its program runs
            await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    waiting = asyncio.ensure_future(other.start())
    await bench.supervisor.close()
    assert await waiting == 0
    assert lock_is_held(lock)
    await other.close()
    await wait_released(lock)


async def test_a_program_that_cannot_start_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor(instance="test", lock=tmp_path / "no such folder" / "steps.lock")
    with pytest.raises(SupervisorLost, match="could not be started"):
        await supervisor.start()
    assert "no such folder" in capfd.readouterr().err
    await supervisor.close()
