"""The folder that servers and workers share for files of runs: theirs, there, or refused with one sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.oracle.world import World
from windlass.engine.files_folder import MARK, settle_files
from windlass.errors import Unavailable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shared" / "files"


def shares(world: World, folder: Path | None) -> None:
    url = None if folder is None else f"file://{folder}"
    world.engine.settings = replace(world.engine.settings, files_url=url)


async def test_a_folder_is_made_and_marked_once(world: World, folder: Path) -> None:
    shares(world, folder)
    await settle_files(world.engine)
    mark = (folder / MARK).read_text()
    assert len(mark.strip()) == 36
    await settle_files(world.engine)
    assert ((folder / MARK).read_text(), [path.name for path in folder.iterdir()]) == (mark, [MARK])
    assert folder.stat().st_mode & 0o777 == 0o700


async def test_without_the_setting_nothing_is_asked_for(world: World) -> None:
    shares(world, None)
    await settle_files(world.engine)
    assert world.engine.settings.files == world.engine.settings.home


async def test_who_does_not_name_the_folder_is_refused(world: World, folder: Path) -> None:
    shares(world, folder)
    await settle_files(world.engine)
    shares(world, None)
    with pytest.raises(Unavailable, match="set WINDLASS_FILES_URL to file://"):
        await settle_files(world.engine)


async def test_a_folder_that_is_not_mounted_is_found_out(world: World, folder: Path) -> None:
    shares(world, folder)
    await settle_files(world.engine)
    folder.rename(folder.with_name("elsewhere"))
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"bears no mark .* Is it mounted"):
            await settle_files(world.engine)
    assert not folder.exists()
    shares(world, folder.with_name("elsewhere"))
    await settle_files(world.engine)  # by whichever path it is reached


@pytest.mark.parametrize("text", ["01a20000-0000-7000-8000-000000000000", "", "\0"])
async def test_a_folder_of_another_store_is_refused(world: World, folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / MARK).write_text(text)
    shares(world, folder)
    with pytest.raises(Unavailable, match="holds the files of another store"):
        await settle_files(world.engine)


async def test_what_is_no_folder_is_refused(world: World, folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("a file")
    shares(world, folder)
    with pytest.raises(Unavailable, match="cannot be used"):
        await settle_files(world.engine)
