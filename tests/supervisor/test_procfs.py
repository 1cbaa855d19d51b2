"""Reading /proc: real processes with odd names, and whole trees."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from windlass.supervisor import procfs
from windlass.supervisor.procfs import Process, descendants


def one(pid: int, parent: int, state: str = "S") -> Process:
    """Make a process."""
    return Process(pid=pid, state=state, parent=parent, session=1, start=pid)


def test_a_name_with_brackets_and_spaces_is_no_trouble(tmp_path: Path) -> None:
    program = tmp_path / ") S 1 (x"
    program.symlink_to("/bin/cat")
    with subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env={"A": "1", "B": ""}
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"up")
        assert child.stdout.read(2) == b"up"  # exec is over: before, the environment seems empty
        seen = procfs.process(child.pid)
        assert seen is not None
        assert (seen.pid, seen.parent, seen.session) == (child.pid, os.getpid(), os.getsid(0))
        assert child.pid in procfs.processes()
        assert procfs.variable(child.pid, b"B") == b""
        assert procfs.variable(child.pid, b"C") is None
        assert child.pid in procfs.Children().pids()
        chain = [one.pid for one in procfs.lineage(child.pid)]
        assert chain[:2] == [child.pid, os.getpid()]
        assert procfs.lineage(child.pid)[-1].parent == 0
        assert child.pid not in [one.pid for one in procfs.lineage(os.getpid())]
    assert procfs.process(child.pid) is None
    assert child.pid not in procfs.Children().pids()
    assert procfs.lineage(child.pid) == []


def test_a_parent_that_ends_during_the_look_does_not_end_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {p.pid: p for p in (one(1, 0), one(5, 1), one(7, 5), one(9, 7))}

    def look(pid: int) -> Process | None:
        if pid == 7 and table[9].parent == 7:
            table[9] = one(9, 5)  # its parent is gone, and who takes its place is above
            return None
        return table.get(pid)

    monkeypatch.setattr(procfs, "process", look)
    assert [p.pid for p in procfs.lineage(9)] == [9, 5, 1]


def test_a_number_that_is_given_again_during_the_look_joins_no_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {p.pid: p for p in (one(1, 0), one(5, 1), one(9, 7))}

    def look(pid: int) -> Process | None:
        if pid == 7:
            table[9] = one(9, 5)
            return one(7, 1)  # a stranger with the number of the parent that has just ended
        return table.get(pid)

    monkeypatch.setattr(procfs, "process", look)
    assert [p.pid for p in procfs.lineage(9)] == [9, 5, 1]


def test_descendants_are_each_seen_once_parents_first_and_alive() -> None:
    table = {p.pid: p for p in (one(2, 1), one(3, 2), one(4, 3), one(5, 2, "Z"), one(6, 5), one(9, 1))}
    assert [p.pid for p in descendants([4, 2, 3, 99], table)] == [2, 3, 4, 6]
    assert [p.pid for p in descendants([4, 9], table)] in ([4, 9], [9, 4])
    assert descendants([], table) == []
