"""A worker reduced to its supervisor, for tests that kill it.

`python fake_worker.py INSTANCE GROUPS LOCK FD`: one JSON object a line on standard input is a command to start
(`argv`, `wait`: report how it ended), each with FD as its descriptor 3; answers are JSON lines on standard output.
`{"fork": true}` forks a process that holds all descriptors and sleeps, `{"processes": N}` limits the supervisor's
number of processes (softly). End of input closes the supervisor.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from windlass.supervisor.client import Supervisor
from windlass.supervisor.contract import Command


def say(**facts: Any) -> None:
    """Print one answer."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def start(supervisor: Supervisor, request: dict[str, Any], held: int, null: int) -> None:
    """Start a command and answer."""
    command = Command(
        argv=request["argv"],
        env={"PATH": "/usr/bin:/bin"},
        cwd=Path("/"),
        mark=request.get("mark", "fake"),
        stdout=null,
        stderr=null,
        pass_fds={3: held},
    )
    try:
        child = await supervisor.spawn(command)
    except OSError as error:
        say(errno=error.errno)
        return
    say(pid=child.pid)
    if request.get("wait"):
        ended = await child.wait()
        say(status=ended.status, out_of_memory=ended.out_of_memory)


async def main() -> None:
    """Serve until the end of input."""
    instance, groups, lock, held = sys.argv[1:]
    null = os.open(os.devnull, os.O_RDWR)
    supervisor = Supervisor(instance=instance, groups=groups, lock=Path(lock))  # type: ignore[arg-type]
    say(leftovers=await supervisor.start(), supervisor=supervisor.pid)
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        request = json.loads(line)
        if request.get("fork"):
            pid = os.fork()
            if pid == 0:
                signal.pause()
            say(pid=pid)
        elif "processes" in request:
            _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
            resource.prlimit(supervisor.pid, resource.RLIMIT_NPROC, (request["processes"], hard))
            say()
        else:
            await start(supervisor, request, int(held), null)
    await supervisor.close()


asyncio.run(main())
