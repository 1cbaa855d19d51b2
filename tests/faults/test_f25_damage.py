"""F25: a database that was damaged behind our back is refused and left alone, or nothing of it is lost."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from tests.fixtures.program import PROGRAM, program_environment
from tests.oracle.crash import Victim, until
from tests.oracle.scene import Scene, step
from windlass.errors import CorruptStore, Unavailable
from windlass.store.open import open_store

pytestmark = pytest.mark.fault("F25")
SEED: Final = int(os.environ.get("TESTS_FAULT_SEED") or random.SystemRandom().randrange(2**32))
TRIES: Final = int(os.environ.get("TESTS_FAULT_ROUNDS") or 12)
Harm = Callable[[Path, random.Random], None]


def _edit(file: Path, change: Callable[[bytearray], None]) -> None:
    data = bytearray(file.read_bytes())
    change(data)
    file.write_bytes(data)


def _flip(file: Path, dice: random.Random) -> None:
    def change(data: bytearray) -> None:
        for _ in range(dice.choice([1, 1, 8, 200])):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)

    _edit(file, change)


def _cut(file: Path, dice: random.Random) -> None:
    size = file.stat().st_size
    os.truncate(file, dice.choice([dice.randrange(size), size - 1, size // 4096 // 2 * 4096, dice.randrange(100)]))


def _blank(file: Path, dice: random.Random) -> None:
    page = dice.randrange(file.stat().st_size // 4096)
    _edit(file, lambda data: data.__setitem__(slice(page * 4096, page * 4096 + 4096), bytes(4096)))


def _swap(file: Path, dice: random.Random) -> None:
    """Exchange two pages: each is whole, and in the wrong place."""
    one, other = (dice.randrange(file.stat().st_size // 4096) * 4096 for _ in range(2))

    def change(data: bytearray) -> None:
        data[one : one + 4096], data[other : other + 4096] = data[other : other + 4096], data[one : one + 4096]

    _edit(file, change)


def _database(harm: Harm) -> Harm:
    return lambda home, dice: harm(home / "windlass.db", dice)


def _log(harm: Harm) -> Harm:
    return lambda home, dice: harm(home / "windlass.db-wal", dice)


HARMS: Final[dict[str, Harm]] = {
    "bits of the database": _database(_flip),
    "the database cut off": _database(_cut),
    "a blank page": _database(_blank),
    "two pages exchanged": _database(_swap),
    "bits of the log": _log(_flip),
    "the log cut off": _log(_cut),
    "a blank piece of the log": _log(_blank),
    "no log": lambda home, _: (home / "windlass.db-wal").unlink(),
    "an empty log": lambda home, _: os.truncate(home / "windlass.db-wal", 0),
    "the log of another time": lambda home, _: shutil.copy(home.with_name("earlier-wal"), home / "windlass.db-wal"),
    "the database of another time": lambda home, _: shutil.copy(home.with_name("earlier.db"), home / "windlass.db"),
    "no database": lambda home, _: (home / "windlass.db").unlink(),
    "an empty database": lambda home, _: os.truncate(home / "windlass.db", 0),
    "another version": lambda home, dice: _edit(
        home / "windlass.db", lambda data: data.__setitem__(slice(18, 20), bytes([dice.randrange(3, 256)] * 2))
    ),
    "no index of the log": lambda home, _: (home / "windlass.db-shm").unlink(),
    "a wrong index of the log": lambda home, dice: (home / "windlass.db-shm").write_bytes(dice.randbytes(32768)),
}
#: Harms that SQLite can only see where they hit how a page is built: it keeps no sums of what stands in it.
VALUES: Final = {"bits of the database", "two pages exchanged"}
#: Harms that are none where all of them is also in the log, or is made anew.
HARMLESS: Final = {"the database of another time", "no index of the log", "a wrong index of the log"}


def sums(home: Path) -> dict[str, str]:
    """Return what the files of a database hold; the index of the log is SQLite's own to make anew."""
    files = [file for file in home.glob("windlass.db*") if file.suffix in {".db", ".db-wal"}]
    return {file.name: sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture
def killed(scene: Scene) -> Scene:
    """Give a store whose owner was killed in the middle of much; beside it lie its files of an earlier time."""
    scene.define(
        job=[{"name": "a", **step(":")}, {"name": "b", **step(":")}], endless=step('exec sleep "98765.$TOKEN"')
    )
    client = scene.victim.start()
    for _ in range(5):
        scene.begin(client, "job")
    scene.settle(client)
    scene.victim.kill("owner")
    for name, copy in (("windlass.db-wal", "earlier-wal"), ("windlass.db", "earlier.db")):
        shutil.copy(scene.victim.home / name, scene.folder / copy)
    client = scene.victim.start()
    for _ in range(5):
        scene.begin(client, "job")
    scene.begin(client, "endless")
    until(lambda: scene.said("end") >= 20, "the end of all short ones")
    scene.victim.kill("owner")
    return scene


async def open_and_close(database: Path) -> None:
    async with await open_store(f"sqlite:///{database}", version="0", verify=True):
        pass


def lost(other: Victim, accepted: list[bytes]) -> list[str]:
    """Return what the oracle finds in a store that was opened in spite of its harm."""
    try:
        return other.problems(accepted)
    except Exception as error:  # noqa: BLE001 - an oracle that cannot even read the store has found something
        return [f"{type(error).__name__}: {error}"]


@pytest.mark.timeout(300)
def test_nothing_is_healed_by_forgetting(killed: Scene, tmp_path: Path) -> None:
    print(f"TESTS_FAULT_SEED={SEED}")  # noqa: T201 - shown where the test fails
    refused = dict.fromkeys(HARMS, 0)
    wrong: list[str] = []
    for number, name in enumerate(list(HARMS) * TRIES):
        dice = random.Random(f"{SEED} {number}")  # noqa: S311 - a game that can be played again
        folder = tmp_path / "harmed"
        shutil.copytree(killed.folder, folder, ignore=shutil.ignore_patterns("*.sock"))
        other = Victim(folder, killed.ledger)
        HARMS[name](other.home, dice)
        before = sums(other.home)
        try:
            asyncio.run(open_and_close(other.database))
        except (CorruptStore, Unavailable) as error:
            refused[name] += 1
            if sums(other.home) != before:
                wrong.append(f"{name} ({number}): refused, but not left alone")
            if "\n" in str(error) or not str(error).endswith("."):
                wrong.append(f"{name} ({number}): {error}")
        else:
            if name not in VALUES:
                wrong += [f"{name} ({number}): opened, but {one}" for one in lost(other, killed.accepted)]
        other.close()
        shutil.rmtree(folder)
    print(refused)  # noqa: T201 - shown where the test fails
    assert not wrong, "\n".join(wrong[:40])
    assert [name for name, count in refused.items() if count == 0 and name not in HARMLESS] == []


def test_a_server_refuses_and_a_backup_brings_back_what_it_held(killed: Scene) -> None:
    def windlass(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        env = program_environment(killed.victim.home, killed.folder) | killed.ledger.environment()
        command = [PROGRAM, *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    client = killed.victim.start()
    assert windlass("db", "backup", killed.folder / "backup").returncode == 0
    held = list(killed.accepted)
    later = killed.begin(client, "job")
    killed.settle_all_but(client, "endless")
    killed.victim.kill("owner")
    HARMS["a blank page"](killed.victim.home, random.Random(3))  # noqa: S311 - always the same page
    _edit(killed.victim.database, lambda data: data.__setitem__(slice(0, 16), bytes(16)))
    before = sums(killed.victim.home)
    for command in (("up",), ("job", "list"), ("run", "list")):
        said = windlass(*command)
        assert said.returncode == 3, said
        assert "windlass db restore" in said.stderr
        assert len(said.stderr.splitlines()) == 1
        assert sums(killed.victim.home) == before
    assert windlass("db", "restore", killed.folder / "backup").returncode == 0
    client = killed.victim.start()
    runs = {run["id"] for run in client.pages("runs")}
    assert len(runs) == len(held)
    assert later not in runs
    assert windlass("db", "check").returncode == 0
