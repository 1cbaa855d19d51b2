"""Start one child of the supervisor."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from windlass.supervisor.oom import Standing
    from windlass.supervisor.wire import Launch

_DEFAULT_PATH = os.fsencode(os.defpath)
_SIGNALS = sorted(set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP})
#: What is not worth a look at the next folder of PATH.
_KEEP_LOOKING = (errno.ENOENT, errno.ENOTDIR, errno.EACCES)


def start(launch: Launch, fds: Sequence[int], standing: Standing) -> int:
    """Start the process with `fds` as `Launch` orders them and return its pid; the caller closes `fds`.

    It leads a session of its own, with no signal blocked or ignored and no other descriptor open. Raises OSError as
    chdir(2), setrlimit(2) and execve(2) do, with the name that it is about.
    """
    targets = [1, 2, *([0] if launch.stdin else []), *launch.targets]
    highest = max(targets)
    moved: list[int] = []
    try:
        sources = []
        for fd in fds:
            if fd <= highest:  # else placing one descriptor could overwrite the next one's source
                moved.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, highest + 1))
                sources.append(moved[-1])
            else:
                sources.append(fd)
        places = list(zip(sources, targets, strict=True))
        standing.expose()
        if launch.run_as or max(launch.cpu, launch.memory, launch.files) >= 0:
            return _fork(launch, places)
        return _spawn(launch, places)
    finally:
        standing.protect()
        for fd in moved:
            os.close(fd)


def _spawn(launch: Launch, places: Sequence[tuple[int, int]]) -> int:
    """Start by vfork, the cheap way, for a process that keeps our user and limits."""
    actions = [(os.POSIX_SPAWN_DUP2, source, target) for source, target in places]
    environment = _environment(launch.env)
    os.chdir(launch.cwd)
    try:
        return _first(
            launch,
            lambda program: os.posix_spawn(
                program,
                launch.argv,
                environment,
                file_actions=actions,
                setsid=True,
                setsigmask=(),
                setsigdef=_SIGNALS,
            ),
        )
    finally:
        os.chdir("/")  # a folder that we stand in cannot be unmounted


def _fork(launch: Launch, places: Sequence[tuple[int, int]]) -> int:
    """Start by fork, because limits and user can only be set between fork and exec: limits first, then the user."""
    reading, writing = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            _become(launch, places, writing)
    except BaseException:
        os.close(reading)
        os.close(writing)
        raise
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        report = pipe.read()
    if not report:
        return pid
    os.waitpid(pid, 0)
    number, _, name = report.partition(b" ")
    raise OSError(int(number), os.strerror(int(number)), name)


def _become(launch: Launch, places: Sequence[tuple[int, int]], report: int) -> None:
    """Turn this fork into the program or end it; says through `report` what was in the way."""
    name = launch.argv[0]
    try:
        signal.set_wakeup_fd(-1)
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_DFL)
        os.setsid()
        report = fcntl.fcntl(report, fcntl.F_DUPFD_CLOEXEC, max(target for _, target in places) + 1)
        for source, target in places:
            os.dup2(source, target)
        name = b"limit"
        for kind, limit in (
            (resource.RLIMIT_CPU, launch.cpu),
            (resource.RLIMIT_AS, launch.memory),
            (resource.RLIMIT_NOFILE, launch.files),
        ):
            if limit >= 0:
                _limit(kind, limit)
        name = launch.run_as
        if launch.run_as:
            _change_user(launch.run_as.decode())
        name = launch.cwd
        os.chdir(launch.cwd)
        name = launch.argv[0]
        environment = _environment(launch.env)
        _first(launch, lambda program: os.execve(program, launch.argv, environment))  # noqa: S606 - it is what a supervisor does
    except OSError as error:
        os.write(report, b"%d %s" % (error.errno or errno.EINVAL, name))
    except (ValueError, OverflowError):  # what no program can be given
        os.write(report, b"%d %s" % (errno.EINVAL, name))
    except BaseException:  # noqa: BLE001 - whatever it is, a fork of the supervisor must not live on
        os.write(report, b"%d %s" % (errno.ENOMEM, name))
    finally:
        os._exit(127)


def _limit(kind: int, limit: int) -> None:
    """Set a limit for good: soft and hard; one above what is allowed stays at what is allowed."""
    _, most = resource.getrlimit(kind)
    hard = limit + 1 if kind == resource.RLIMIT_CPU else limit  # room for SIGXCPU, which says what happened
    if most != resource.RLIM_INFINITY:
        limit, hard = min(limit, most), min(hard, most)
    resource.setrlimit(kind, (limit, hard))


def _change_user(name: str) -> None:
    """Become user `name` (or a number) with that user's groups. Raises OSError (EINVAL where there is none)."""
    from windlass.supervisor.user import find_user  # noqa: PLC0415 - only a fork pays for it

    user = find_user(name)
    if user is None:
        raise OSError(errno.EINVAL, "no such user", name)
    if os.geteuid() == user.uid == os.getuid():
        return  # already that user: needs no right to change
    if user.name is None:
        os.setgroups([])
    else:
        os.initgroups(user.name, user.gid)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    if set(os.getresuid()) != {user.uid} or set(os.getresgid()) != {user.gid}:
        raise OSError(errno.EPERM, "still another user", name)


def _first(launch: Launch, attempt: Callable[[bytes], int]) -> int:
    """Return the result of `attempt` with the first program that PATH of the new environment has under its name."""
    name = launch.argv[0]
    if not name:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    if b"/" in name:
        return attempt(name)
    denied: OSError | None = None
    path = next((one[5:] for one in launch.env if one.startswith(b"PATH=")), _DEFAULT_PATH)
    for folder in path.split(b":"):
        program = os.path.join(folder, name)  # noqa: PTH118 - pathlib costs memory
        if not os.access(program, os.F_OK):
            continue
        try:
            return attempt(program)
        except OSError as error:
            if error.errno not in _KEEP_LOOKING:
                raise
            denied = denied or error
    raise denied or OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def _environment(pairs: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return `NAME=value` texts as a mapping."""
    return dict(pair.split(b"=", 1) for pair in pairs)
