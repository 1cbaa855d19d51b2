"""F29 to F31: whatever steps write, and how much at a time, all of it is kept in order, and nobody is held up."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.fixtures.scene import MakeScene
from tests.oracle.crash import until
from tests.oracle.scene import Scene, step
from windlass.api.table import MIB
from windlass.client.client import Client
from windlass.store.lockfile import find_owner

#: Writers of every kind; each writes to the file OUT too, of which the sum is compared.
WRITERS: Final = {
    "noise": "head -c 3000000 /dev/urandom | tee $OUT",
    "nuls": "head -c 3000000 /dev/zero | tee $OUT",
    "line": "head -c 20000000 /dev/zero | tr '\\0' x | tee $OUT",
    "surrogates": r"i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); printf '\355\240\200\377\303'; done | tee $OUT",
    "progress": r"i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); printf '%s%%\r' $i; done | tee $OUT",
    "colours": r"""yes "$(printf '\033[31mred\033[0m')" | head -c 10000000 | tee $OUT""",
    "nothing": ": | tee $OUT",
}
STEPS: Final = 100
LINES: Final = 1_000


def peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


@pytest.mark.fault("F29")
def test_every_byte_is_kept_in_bounded_memory(scene: Scene) -> None:
    steps = [
        {"name": name, **step(script), "env": {"OUT": str(scene.folder / name)}, "dependsOn": "first"}
        for name, script in WRITERS.items()
    ]
    scene.define(job=[{"name": "first", **step(":")}, *steps])
    client = scene.victim.start()
    scene.begin(client, "job")
    scene.settle(client)
    run = scene.begin(client, "job")
    before = peak(scene.victim.pids()["owner"])
    scene.settle(client)
    for name in WRITERS:
        digest = hashlib.sha256()
        for data in client.read("runs", run, "logs", step=name, format="text"):
            digest.update(data)
        assert digest.hexdigest() == hashlib.sha256((scene.folder / name).read_bytes()).hexdigest(), name
    assert peak(scene.victim.pids()["owner"]) - before < 100 * MIB
    scene.finish()


@contextmanager
def deaf(scene: Scene, run: str) -> Iterator[socket.socket]:
    """Give a follower of a run's output that never reads."""
    owner = find_owner(scene.victim.database)
    assert owner is not None
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(owner.socket))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(f"GET /api/v1/runs/{run}/logs?follow=true HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        yield connection


def follow(client: Client, run: str, found: dict[str, bytes]) -> None:
    for event in client.events("runs", run, "logs", follow=True):
        chunk = event.json()
        if event.type == "log" and chunk["stream"] == "stdout":
            found[chunk["key"]] = found.get(chunk["key"], b"") + chunk["data"].encode()


@pytest.mark.fault("F30")
@pytest.mark.timeout(300)
def test_a_hundred_steps_write_at_once_and_a_follower_that_never_reads_holds_up_nobody(make_scene: MakeScene) -> None:
    scene = make_scene(worker_slots=str(STEPS))
    count = f'i=0; while [ $i -lt {LINES} ]; do i=$((i + 1)); echo "line $i of $CELL"; done'
    cells = {"name": "a", "matrix": {"n": list(range(STEPS))}, "env": {"CELL": "${{ matrix.n }}"}, **step(count)}
    scene.define(job=[cells])
    client = scene.victim.start()
    client.post("queues", "default", "pause", body={})
    run = scene.begin(client, "job")
    seen: list[dict[str, bytes]] = [{} for _ in range(2)]
    followers = [threading.Thread(target=follow, args=(client, run, found)) for found in seen]
    with deaf(scene, run), deaf(scene, run):
        for one in followers:
            one.start()
        client.post("queues", "default", "resume")
        scene.settle(client, patience=120)
        for one in followers:
            one.join(60)
        wanted = {
            key: "".join(f"line {line} of {key.removeprefix('n=')}\n" for line in range(1, LINES + 1)).encode()
            for key in seen[0]
        }
        assert len(wanted) == STEPS
        assert seen == [wanted, wanted]
    assert scene.ends(client)["job"] == ("completed", None)
    before = len(list(Path(f"/proc/{scene.victim.pids()['owner']}/fd").iterdir()))
    until(lambda: len(list(Path(f"/proc/{scene.victim.pids()['owner']}/fd").iterdir())) <= before, "the last streams")
    scene.finish()


@pytest.mark.fault("F31")
@pytest.mark.promise("H06", part="processes")
def test_a_step_ends_although_something_holds_its_pipe(scene: Scene) -> None:
    hiding = (
        'sleep "98765.$TOKEN" & setsid sleep "98765.$TOKEN" & '
        '(trap "" TERM HUP; setsid sh -c "while :; do echo late; sleep 0.1; done" &) '
        '; env -i setsid -f sleep "98765.$TOKEN"; (exec 9>&-; nohup sleep "98765.$TOKEN" &)'
    )
    scene.define(holds=step(hiding), fails=step(f"{hiding}; exit 3"))
    client = scene.victim.start()
    for job in ("holds", "fails"):
        scene.begin(client, job)
    scene.settle(client)
    assert scene.ends(client) == {"holds": ("completed", None), "fails": ("failed", "task_failed")}
    scene.finish()
