"""A server on a disk that is really full: a small file system in a mount namespace of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, log, serve
from tests.faults.disks import SmallDisk, small_disk
from tests.fixtures.program import Windlass
from tests.oracle.crash import until

pytestmark = [
    pytest.mark.promise("K06"),
    pytest.mark.promise("H07"),
    pytest.mark.fault("F18"),
    pytest.mark.timeout(180),
]
MIB: Final = 1024 * 1024
SIZE: Final = 48 * MIB


@pytest.fixture
def disk(windlass: Windlass, tmp_path: Path) -> Iterator[SmallDisk]:
    """Mount a small file system, keep the home on it, and start all commands where it is to be seen."""
    place = tmp_path / "disk"
    with small_disk(place, SIZE) as disk:
        windlass.before = [*disk.inside, "env", f"--chdir={windlass.folder}"]
        windlass.home = place / "home"
        windlass.env["WINDLASS_HOME"] = str(windlass.home)
        yield disk
        windlass.close()


@pytest.fixture
def api(disk: SmallDisk) -> Socket:
    """Return what speaks HTTP to the server on the small disk."""
    return Socket(disk.outside / "home")


def test_below_the_reserve_nothing_new_is_taken_and_it_goes_on_by_itself(
    windlass: Windlass, disk: SmallDisk, api: Socket, tmp_path: Path
) -> None:
    go, said, wrote, end = (tmp_path / name for name in ("go", "said", "wrote", "end"))
    apply(
        windlass,
        (HEAD % "talk")
        + "steps:\n  - name: a\n    run: |\n"
        + f"      echo first; touch {said}; while [ ! -e {go} ]; do sleep 0.05; done\n"
        + "      head -c 300000 /dev/zero | tr '\\0' x; echo\n"
        # Behind more than a pipe and a chunk hold, so that the store was asked to keep all of what is before it.
        + f"      head -c 300000 /dev/zero | tr '\\0' y; echo; touch {wrote}\n"
        + f"      while [ ! -e {end} ]; do sleep 0.05; done; echo last\n  - {{name: b, run: echo b}}\n",
    )
    serve(windlass)
    run = accepted(windlass, "talk")
    until(said.exists, "the step")
    until(lambda: log(windlass, run) == ["a | first"], "its first line")
    disk.fill(2 * MIB)
    until(lambda: api.raw("GET", "/readyz")[0] == 503, "readiness")
    refused = windlass("run", "start", "talk")
    assert refused.code == 3
    assert refused.stderr.count("\n") == 1
    assert "are kept for what runs to end (WINDLASS_DISK_RESERVE): nothing new is taken" in refused.stderr
    assert api.raw("POST", "jobs/talk/run", b"{}")[0] == 507
    doctor = windlass("doctor")
    assert doctor.code == 1
    assert "nothing new is taken until there is room" in doctor.stdout
    assert b'windlass_disk_short{what="disk"} 1.0' in api.raw("GET", "/metrics")[1]
    go.touch()
    until(wrote.exists, "what it writes")
    disk.empty()
    until(lambda: api.raw("GET", "/readyz")[0] == 200, "readiness again")
    end.touch()
    assert ended(windlass, run)["state"] == "completed"
    lines = log(windlass, run)
    assert (lines[0], lines[-2:]) == ("a | first", ["a | last", "b | b"])
    assert any("bytes could not be stored here: The disk of " in line for line in lines)
    assert "x" * 100 not in "".join(lines)
    assert ended(windlass, accepted(windlass, "talk"))["state"] == "completed"
    assert windlass("doctor").code == 0


def test_on_a_full_disk_nothing_is_half_done_and_work_goes_on_with_the_room(
    windlass: Windlass, disk: SmallDisk, api: Socket, tmp_path: Path
) -> None:
    go, ledger, said = (tmp_path / name for name in ("go", "ledger", "said"))
    steps = (
        f"steps:\n  - {{name: a, run: 'echo a >> {ledger}; touch {said}; until [ -e {go} ]; do sleep 0.05; done'}}\n"
    )
    apply(windlass, HEAD % "chain" + steps + f"  - {{name: b, run: 'echo b >> {ledger}'}}\n")
    # Without a reserve only the disk itself says no.
    server = serve(windlass, WINDLASS_DISK_RESERVE="0")
    run = accepted(windlass, "chain")
    until(said.exists, "the first step")
    disk.fill(0)
    big = windlass("--json", "run", "start", "chain", "-p", f"text={'x' * 100_000}")
    assert (big.code, big.stdout) == (3, "")
    assert "disk of the store is full" in big.stderr
    assert len(windlass("--json", "run", "list").json()) == 1
    go.touch()
    until(lambda: api.raw("GET", "/readyz")[0] == 503, "readiness")
    assert server.poll() is None
    disk.empty()
    assert ended(windlass, run)["state"] == "completed"
    assert ledger.read_text().split() == ["a", "b"]
    assert windlass("db", "check").code == 0
    assert ended(windlass, accepted(windlass, "chain"))["state"] == "completed"


def test_a_store_that_cannot_be_opened_for_want_of_room_says_so(windlass: Windlass, disk: SmallDisk) -> None:
    apply(windlass, HEAD % "note" + "steps:\n  - {name: a, run: echo a}\n")
    run = accepted(windlass, "note")
    disk.fill(0)
    for command in (["run", "list"], ["run", "start", "note"], ["up"]):
        refused = windlass(*command)
        assert (refused.code, refused.stdout) == (3, ""), refused.stderr
        assert refused.stderr.count("\n") == 1
        assert "is full: nothing was changed; free some space and try again" in refused.stderr
    assert "is full: nothing was changed" in windlass("doctor").stdout
    disk.empty()
    serve(windlass)
    assert ended(windlass, run)["state"] == "completed"
