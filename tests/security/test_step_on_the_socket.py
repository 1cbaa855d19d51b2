"""A step that tries to speak to the process that runs it, as the user that both belong to."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.fixtures.program import Windlass
from tests.security.stage import OK, job, up, written

#: Exit code for what trying again may help.
UNAVAILABLE = 3
#: Starts the job `ok` by whoever is connected, and looks at no answer.
ASK = """
import os, signal, socket, sys
body = b'{"note": "from a step"}'
head = b"POST /api/v1/jobs/ok/run HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: application/json\\r\\n"
request = head + b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body

def ask():
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(sys.argv[1])
    peer.sendall(request)
    return peer
"""
#: Each connection is of a process that has ended before anybody can look at it.
ENDED = """
for _ in range(200):
    pid = os.fork()
    if pid == 0:
        ask()
        os._exit(0)
    os.waitpid(pid, 0)
"""
#: Each connection is of a process whose parents end while somebody may look.
ORPHANED = """
for _ in range(100):
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0:
            if os.fork() == 0:
                ask().recv(100)
            os._exit(0)
        os._exit(0)
    os.waitpid(pid, 0)
"""
#: The process that holds the steps together is killed first.
KILLS = """
def parent(pid):
    return int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])

above = os.getppid()
while b"supervisor" not in open(f"/proc/{above}/cmdline", "rb").read():
    above = parent(above)
os.kill(above, signal.SIGKILL)
while True:
    try:
        ask()
    except OSError:
        pass
"""


@pytest.mark.parametrize("attack", [ENDED, ORPHANED, KILLS])
def test_no_step_gets_through_the_socket(windlass: Windlass, attack: str) -> None:
    server = up(windlass)
    script = written(windlass, ASK + attack, "attack.py")
    (socket,) = Path(windlass.home).glob("*.sock")
    steps = f"[{{name: a, run: 'env -i {sys.executable} {script} {socket}', allowFailure: true}}]"
    for manifest in (OK, job(steps, "attack")):
        assert windlass("job", "apply", written(windlass, manifest, "job.yaml")).code == 0
    run = windlass("run", "start", "attack", "--quiet").stdout.strip()
    while windlass("run", "watch", run).code == UNAVAILABLE:  # what a lost supervisor has left is being ended
        pass
    while (listed := windlass("run", "list", "--json")).code == UNAVAILABLE:
        pass
    assert [one["job"] for one in listed.json()] == ["attack"]
    assert server.poll() is None
