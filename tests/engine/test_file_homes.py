"""Files that lie in homes: archived, brought back and removed by whoever works there, and by nobody else."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.pair import another
from tests.oracle.kept import kept_in
from tests.oracle.world import World
from windlass.api.message import Principal, Request
from windlass.api.routes.files import get_artifact
from windlass.engine.archiving import sweep
from windlass.engine.away import give_up_home
from windlass.engine.deleting import delete_run
from windlass.engine.doctor import examine
from windlass.engine.engine import Engine
from windlass.engine.files_folder import settle_files
from windlass.engine.homes import MARK
from windlass.engine.moving_files import artifact_folder, depot_of
from windlass.engine.reading import list_artifacts
from windlass.engine.restoring import restore
from windlass.engine.services.courier import Courier
from windlass.engine.swept import Swept
from windlass.errors import Conflict, CorruptStore, NotFound, Unavailable, UserError
from windlass.ids import id_text
from windlass.store.artifacts import keep_artifacts
from windlass.store.file_errands import open_errands, waiting
from windlass.store.file_homes import home_address, homes
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("K06")
DAY = 86_400.0
REPORT, PLOT = b"the same report\n", b"\x00plot" * 1000


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Estate:
    """A world on whose store two servers work, each in a home of its own."""

    world: World
    here: Engine
    there: Engine
    couriers: dict[str, Courier] = field(default_factory=dict)

    async def kept(self, job: Any, *at: Engine, **files: bytes) -> bytes:
        """Run a job to its end; let its files be kept in homes, in each of them all."""
        run_id = await self.world.submit(job)
        await (await self.world.worker()).work()
        for number, engine in enumerate(at):
            folder = artifact_folder(engine, run_id)
            folder.mkdir(parents=True, exist_ok=True)
            for data in files.values():
                (folder / digest(data)).write_bytes(data)
            named = [
                (f"{name}{number or ''}", len(data), digest(data), f"{id_text(run_id)}/{digest(data)}")
                for name, data in files.items()
            ]
            await engine.store.run(keep_artifacts, run_id, 0, 1, named, engine.home)
        return run_id

    async def courier(self, engine: Engine) -> None:
        """Let the courier of a server take its turn."""
        assert engine.home is not None
        if engine.home not in self.couriers:
            self.couriers[engine.home] = Courier(engine)
            await self.couriers[engine.home].turn()
        await self.couriers[engine.home].turn()

    async def later(self, days: float = 31) -> Swept:
        """Let time pass, and the first server sweep."""
        self.world.clock.advance(days * DAY)
        return await sweep(self.here)

    async def find(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database."""
        return await self.here.store.read(lambda tx: [tuple(row) for row in tx.cursor.execute(sql, values)])

    async def told(self) -> list[str]:
        """Return what doctor says of files."""
        return [one.message for one in await examine(self.here, version="0") if one.check == "files"]


Make = Callable[..., Awaitable[Estate]]


@pytest.fixture
async def make_estate(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Make]:
    """Return a function that prepares two servers with the archive at an address."""
    made: list[Any] = []

    async def make(archive: str = "database:") -> Estate:
        context = kept_in(request, "postgres", tmp_path, archive_url=archive)
        world = await context.__aenter__()
        made.append(context)
        engines = []
        for name in ("here", "there"):
            settings = replace(world.engine.settings, home=tmp_path / name, database_url=world.path)
            engines.append(another(world.engine, settings=settings))
            await settle_files(engines[-1])
        return Estate(world, *engines)

    yield make
    for context in made:
        await context.__aexit__(None, None, None)


@pytest.fixture
async def estate(make_estate: Make) -> Estate:
    return await make_estate()


async def fetched(engine: Engine, run_id: bytes, name: str) -> bytes:
    request = Request(method="GET", path="/", principal=Principal("x"), params={"run": id_text(run_id), "name": name})
    found = await get_artifact(engine, request)
    return b"".join([chunk async for chunk in found.chunks])


async def test_files_of_a_deleted_run_go_from_every_home_once_its_owner_is_there(estate: Estate) -> None:
    job = await estate.world.define(steps={"a": {}})
    run_id = await estate.kept(job, estate.here, estate.there, report=REPORT)
    other = await estate.kept(job, estate.there, plot=PLOT)
    assert await delete_run(estate.here, run_id)
    estate.world.accepted.remove(run_id)
    assert not artifact_folder(estate.here, run_id).exists()
    assert artifact_folder(estate.there, run_id).exists()
    await estate.courier(estate.there)
    assert not artifact_folder(estate.there, run_id).exists()
    assert artifact_folder(estate.there, other).exists()
    assert await estate.find("SELECT * FROM file_errands") == []


async def test_a_run_is_archived_once_every_home_has_kept_its_files_and_they_come_back_there(estate: Estate) -> None:
    job = await estate.world.define(steps={"a": {}})
    run_id = await estate.kept(job, estate.here, estate.there, report=REPORT, plot=PLOT)
    only_there = await estate.kept(job, estate.there, plot=PLOT)
    files = await list_artifacts(estate.here, run_id)
    swept = await estate.later()
    assert (swept.archived, swept.held, swept.failed) == (0, 2, 0)
    await estate.courier(estate.there)
    swept = await sweep(estate.here)
    assert (swept.archived, swept.held, swept.failed) == (2, 0, 0)
    await estate.courier(estate.there)
    for engine in (estate.here, estate.there):
        assert not artifact_folder(engine, run_id).exists()
        depot = await depot_of(engine, home_address(str(engine.home)))
        assert set(depot.names()) >= {digest(PLOT)}
    assert await estate.find("SELECT * FROM file_errands") == []

    await restore(estate.here, id_text(run_id))
    await restore(estate.here, id_text(only_there))
    assert [file["name"] for file in await list_artifacts(estate.here, run_id)] == [file["name"] for file in files]
    with pytest.raises(Unavailable, match=r'The bytes of "plot" lie in the home .*/there on .* no way there'):
        await fetched(estate.here, only_there, "plot")
    with pytest.raises(Unavailable, match="are gone from"):
        await fetched(estate.there, only_there, "plot")
    await estate.courier(estate.there)
    assert await fetched(estate.there, only_there, "plot") == PLOT
    for engine in (estate.here, estate.there):
        for file in await list_artifacts(engine, run_id):
            if file["home"] == engine.home:
                assert digest(await fetched(engine, run_id, file["name"])) == file["sha256"]


async def test_what_homes_keep_of_archived_runs_goes_with_the_last_run_that_has_it(estate: Estate) -> None:
    job = await estate.world.define(steps={"a": {}})
    await estate.kept(job, estate.there, report=REPORT, plot=PLOT)
    estate.world.clock.advance(10 * DAY)
    await estate.kept(job, estate.there, report=REPORT)
    await estate.later()
    await estate.courier(estate.there)
    assert (await sweep(estate.here)).archived == 2
    await estate.courier(estate.there)
    depot = await depot_of(estate.there, home_address(str(estate.there.home)))
    assert depot.names() == sorted([digest(REPORT), digest(PLOT)])
    assert (await estate.later(325)).ended == 1
    await estate.courier(estate.there)
    assert depot.names() == [digest(REPORT)]
    assert (await estate.later(10)).ended == 1
    await estate.courier(estate.there)
    assert not depot.folder.exists()
    estate.world.accepted.clear()


@pytest.mark.parametrize("reached", [True, False])
async def test_an_archive_in_a_folder_gets_the_files_where_a_home_has_a_way_to_it(
    make_estate: Make, tmp_path: Path, *, reached: bool
) -> None:
    estate = await make_estate(f"file://{tmp_path}/cold")
    job = await estate.world.define(steps={"a": {}})
    await estate.kept(job, report=REPORT)
    assert (await estate.later()).archived == 1
    run_id = await estate.kept(job, estate.there, plot=PLOT)
    assert (await estate.later()).held == 1
    cold = tmp_path / "cold"
    if not reached:
        cold.rename(tmp_path / "elsewhere")  # as it is on a machine that has no such folder
    await estate.courier(estate.there)
    if not reached:
        (tmp_path / "elsewhere").rename(cold)
    assert (await sweep(estate.here)).archived == 1
    await estate.courier(estate.there)
    home = await depot_of(estate.there, home_address(str(estate.there.home)))
    there = await depot_of(estate.here, f"file://{cold}")
    names = (there.names(), home.names())
    assert names == (([digest(PLOT)], []) if reached else ([], [digest(PLOT)]))
    await restore(estate.here, id_text(run_id))
    await estate.courier(estate.there)
    assert await fetched(estate.here if reached else estate.there, run_id, "plot") == PLOT


async def test_what_is_kept_for_a_run_that_does_not_leave_after_all_goes_again(estate: Estate) -> None:
    run_id = await estate.kept(await estate.world.define(steps={"a": {}}), estate.there, report=REPORT)
    assert (await estate.later()).held == 1
    await estate.courier(estate.there)
    await estate.courier(estate.there)
    depot = await depot_of(estate.there, home_address(str(estate.there.home)))
    assert depot.names() == [digest(REPORT)]  # the run may leave any moment
    assert await delete_run(estate.here, run_id)
    estate.world.accepted.clear()
    await estate.courier(estate.there)
    assert depot.names() == []
    assert not artifact_folder(estate.there, run_id).exists()


async def test_a_damaged_file_in_another_home_keeps_its_run_and_one_that_is_gone_does_not(estate: Estate) -> None:
    job = await estate.world.define(steps={"a": {}})
    damaged = await estate.kept(job, estate.there, report=REPORT)
    gone = await estate.kept(job, estate.there, plot=PLOT)
    (artifact_folder(estate.there, damaged) / digest(REPORT)).write_bytes(b"rot")
    (artifact_folder(estate.there, gone) / digest(PLOT)).unlink()
    await estate.later()
    await estate.courier(estate.there)
    swept = await sweep(estate.here)
    assert (swept.archived, swept.failed) == (1, 1)
    assert (await estate.world.run(damaged))["state"] == "completed"
    assert [message for message in await estate.told() if "is not what it was" in message]


async def test_a_disk_that_takes_no_file_is_told_of_and_holds_up_nothing_else(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await estate.world.define(steps={"a": {}})
    await estate.kept(job, estate.there, report=REPORT)
    await estate.later()
    doomed = await estate.kept(job, estate.there, plot=PLOT)
    assert await delete_run(estate.here, doomed)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("windlass.store.archive.depot.os.link", full)
        await estate.courier(estate.there)
    assert not artifact_folder(estate.there, doomed).exists()
    assert [message for message in await estate.told() if "No space left on device" in message]
    assert (await sweep(estate.here)).failed == 1
    await estate.courier(estate.there)
    assert (await sweep(estate.here)).archived == 1
    estate.world.accepted.clear()


async def test_files_go_at_their_own_time_from_other_homes_too(estate: Estate) -> None:
    retention = {"runs": {"days": 60}, "artifacts": {"days": 7}}
    job = await estate.world.define(steps={"a": {}}, retention=retention)
    run_id = await estate.kept(job, estate.here, estate.there, report=REPORT)
    await estate.later(8)
    assert not artifact_folder(estate.here, run_id).exists()
    await estate.courier(estate.there)
    assert not artifact_folder(estate.there, run_id).exists()
    assert await list_artifacts(estate.here, run_id) == []


async def test_a_home_that_is_away_is_told_of_and_can_be_given_up(estate: Estate) -> None:
    job = await estate.world.define(steps={"a": {}})
    run_id = await estate.kept(job, estate.here, estate.there, report=REPORT, plot=PLOT)
    doomed = await estate.kept(job, estate.there, report=REPORT)
    name = str(estate.there.home)
    away = await estate.kept(job, estate.there, plot=PLOT)
    await estate.later()
    await delete_run(estate.here, doomed)
    estate.world.accepted.clear()
    await settle_files(estate.there)
    assert await estate.told() == []
    estate.world.clock.advance(3601)
    (told,) = await estate.told()
    assert told.startswith(f"files of 3 runs wait in the home {estate.there.settings.home} on ")
    assert told.endswith(f"`windlass db forget-home {name}` gives it up where it is gone for good")
    with pytest.raises(NotFound, match=rf'There is no home "nobody".*{name} \('):
        await give_up_home(estate.here, "nobody")
    await settle_files(estate.here)
    with pytest.raises(Conflict, match="Somebody works in the home"):
        await give_up_home(estate.here, str(estate.here.home))
    assert await give_up_home(estate.here, name) == {"home": name, "runs": 2}
    assert await estate.told() == []
    assert (await sweep(estate.here)).archived == 2
    for restored in (run_id, away):
        await restore(estate.here, id_text(restored))
    assert await fetched(estate.here, run_id, "report1") == REPORT
    with pytest.raises(Unavailable, match="was given up at"):
        await fetched(estate.here, away, "plot")
    # It comes back all the same: what is left there of a run that was deleted goes, and the rest is there again.
    await estate.courier(estate.there)
    assert not artifact_folder(estate.there, doomed).exists()
    assert await fetched(estate.there, away, "plot") == PLOT
    assert (await estate.here.store.read(homes))[name].forgotten_at is None


async def test_files_that_nobody_has_placed_are_found_by_who_has_them_or_given_up(estate: Estate) -> None:
    """As a program of an earlier version leaves them, which may also keep a file anew that this one has placed."""
    job = await estate.world.define(steps={"a": {}})
    found = await estate.kept(job, estate.there, report=REPORT)
    anew = await estate.kept(job, estate.here, report=REPORT)
    lost = await estate.kept(job, plot=PLOT)
    old = "UPDATE artifacts SET home = NULL, home_attempt = NULL WHERE run_id = ?"
    insert = (
        "INSERT INTO artifacts (run_id, task, name, attempt, size, sha256, path, created_at) "
        "VALUES (?, 0, 'plot', 1, ?, ?, ?, 1)"
    )

    def by_another(tx: Transaction) -> None:
        tx.cursor.execute(old, (found,))
        tx.cursor.execute("UPDATE artifacts SET attempt = 2 WHERE run_id = ?", (anew,))
        tx.cursor.execute(insert, (lost, len(PLOT), digest(PLOT), f"{id_text(lost)}/{digest(PLOT)}"))

    await estate.here.store.run(by_another)
    artifact_folder(estate.here, anew).rename(artifact_folder(estate.there, anew))
    assert [file["home"] for file in await list_artifacts(estate.here, anew)] == [None]
    assert (await estate.later()).held == 3
    await estate.courier(estate.there)
    assert [file["home"] for file in await list_artifacts(estate.here, anew)] == [estate.there.home]
    assert (await sweep(estate.here)).held == 3
    await estate.courier(estate.there)
    swept = await sweep(estate.here)
    assert (swept.archived, swept.held) == (2, 1)
    await estate.courier(estate.there)
    estate.world.clock.advance(3601)
    (told,) = await estate.told()
    assert "in a home that is not known" in told
    assert "`windlass db forget-home unknown`" in told
    assert await give_up_home(estate.here, "unknown") == {"home": "unknown", "runs": 1}
    assert (await sweep(estate.here)).archived == 1
    estate.world.accepted.clear()


async def test_a_home_is_looked_over_but_not_where_another_database_works_in_it(estate: Estate) -> None:
    run_id = await estate.kept(await estate.world.define(steps={"a": {}}), estate.there, report=REPORT)
    unknown = artifact_folder(estate.there, bytes.fromhex("0192" * 8))
    unknown.mkdir()
    other = estate.there.settings.home / "artifacts" / ".windlass-of-postgresql-0123abcd"
    other.write_text(next(iter(await estate.find("SELECT value FROM store_info WHERE key = 'id'")))[0])
    unplaced = "UPDATE artifacts SET home = NULL WHERE run_id = ?"
    await estate.here.store.run(lambda tx: tx.cursor.execute(unplaced, (run_id,)) and None)
    await estate.courier(estate.there)
    assert unknown.exists()  # a copy of this store may have it
    assert [file["home"] for file in await list_artifacts(estate.here, run_id)] == [estate.there.home]
    other.unlink()
    estate.couriers.clear()
    await estate.courier(estate.there)
    assert not unknown.exists()
    assert artifact_folder(estate.there, run_id).exists()


async def test_a_home_has_one_name_for_all_that_work_in_it(estate: Estate) -> None:
    again = another(estate.here)
    await settle_files(again)
    assert again.home == estate.here.home != estate.there.home
    mark = estate.here.settings.home / "artifacts" / MARK
    mark.write_text("no name")
    with pytest.raises(Unavailable, match="is no name of a home"):
        await settle_files(again)


async def test_with_a_folder_for_all_nothing_is_asked_of_homes(estate: Estate, tmp_path: Path) -> None:
    run_id = await estate.kept(await estate.world.define(steps={"a": {}}), estate.there, report=REPORT)
    assert (await estate.later()).held == 1
    shares = another(estate.here, home=None)
    shares.settings = replace(shares.settings, files_url=f"file://{tmp_path}/shared")
    await settle_files(shares)
    assert shares.home is None
    artifact_folder(estate.there, run_id).rename(tmp_path / "kept")
    (tmp_path / "shared" / "artifacts").mkdir()
    (tmp_path / "kept").rename(artifact_folder(shares, run_id))
    assert await shares.store.read(waiting) == []
    assert (await sweep(shares)).archived == 1
    await restore(shares, id_text(run_id))
    assert await fetched(shares, run_id, "report") == REPORT
    with pytest.raises(UserError, match="lie in one folder"):
        await give_up_home(shares, "unknown")


async def test_what_cannot_be_brought_back_is_told_and_tried_again(estate: Estate) -> None:
    run_id = await estate.kept(await estate.world.define(steps={"a": {}}), estate.there, report=REPORT)
    await estate.later()
    await estate.courier(estate.there)
    await sweep(estate.here)
    await estate.courier(estate.there)
    depot = await depot_of(estate.there, home_address(str(estate.there.home)))
    (depot.folder / digest(REPORT)).write_bytes(b"rot")
    with pytest.raises(CorruptStore):
        await restore(estate.there, id_text(run_id))  # who has the file looks at it first
    await restore(estate.here, id_text(run_id))
    await estate.courier(estate.there)
    assert [message for message in await estate.told() if "is damaged" in message]
    assert len(await estate.here.store.read(open_errands, str(estate.there.home), b"", 10)) == 1
    (depot.folder / digest(REPORT)).write_bytes(REPORT)
    await estate.courier(estate.there)
    assert await fetched(estate.there, run_id, "report") == REPORT
    assert await estate.told() == []


async def test_an_archive_in_a_folder_that_is_new_gets_the_files_of_who_archives(
    make_estate: Make, tmp_path: Path
) -> None:
    estate = await make_estate(f"file://{tmp_path}/cold")
    await estate.kept(await estate.world.define(steps={"a": {}}), estate.here, report=REPORT)
    assert (await estate.later()).archived == 1
    assert (await depot_of(estate.here, f"file://{tmp_path}/cold")).names() == [digest(REPORT)]
