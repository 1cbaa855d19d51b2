"""Several applications and servers with one home, and several homes with one folder for files, on one PostgreSQL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.program import PROGRAM
from tests.sdk import sample
from windlass import Unavailable, Windlass
from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.manifests import ManifestText
from windlass.sdk.embedded import Embedded
from windlass.store.owner import own
from windlass.store.place import node_path, store_place

pytestmark = pytest.mark.promise("H13")

SECONDS = 30.0
KEEPS = b"""
apiVersion: v1
kind: Job
metadata: {alias: keeps}
requires: {labels: {who: first}}
steps: [{name: a, run: "printf kept > $WINDLASS_ARTIFACTS/f.txt"}]
"""


@pytest.fixture
async def opened(postgres_url: str, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Return what opens an application on one database; all are closed with the test."""
    tmp_path.chmod(0o700)
    async with AsyncExitStack() as stack:

        async def make(home: str, **options: Any) -> Windlass:
            return await stack.enter_async_context(Windlass(postgres_url, home=tmp_path / home, **options))

        yield make


async def test_a_second_application_in_one_home_works_like_the_first(opened: Any) -> None:
    first, second = await opened("home", workers=0), await opened("home", workers=2)
    assert isinstance(second._backend, Embedded)
    run = await first.submit(sample.Price, sample.Order("tea", 2))
    told = await run.wait(SECONDS)
    assert (told["price"], told["pid"]) == (6, os.getpid())
    mine = await second.submit(sample.IsolatedPrice, sample.Order("milk"))
    assert (await mine.wait(SECONDS))["price"] == 3
    assert await (await first.get(mine.id)).logs() == "pricing milk\n"


async def test_nobody_clears_away_what_another_is_at_work_on(opened: Any, tmp_path: Path) -> None:
    first = await opened("home", workers=1)
    kept = tmp_path / "home"
    places = {path.name for path in kept.glob("*.attempts")}
    marker = next(kept.glob("*.attempts")) / "attempt-of-the-first"
    marker.mkdir()
    await opened("home", workers=1)
    assert marker.exists()
    assert len({path.name for path in kept.glob("*.attempts")} - places) == 1
    assert await (await first.submit(sample.double, 4)).wait(SECONDS) == 8


async def test_a_server_asks_for_a_home_of_its_own(opened: Any, postgres_url: str, tmp_path: Path) -> None:
    await opened("home", workers=0)
    path = node_path(store_place(postgres_url), tmp_path / "home")
    assert path is not None
    with pytest.raises(Unavailable, match=rf"home .* is in use by process {os.getpid()} .*another WINDLASS_HOME"):
        await own(path, version="0", wait=0, home=True)


async def keep(app: Windlass, manifest: bytes = KEEPS) -> Any:
    """Run a job that keeps a file, in the application with the label; return its run."""
    backend = app._backend
    assert isinstance(backend, Embedded)
    options = ApplyOptions(project="default", provenance=None, author="root")
    await apply(backend._engine, [ManifestText("keeps.yaml", manifest)], options)
    run = await app.submit("keeps")
    await run.wait(SECONDS)
    return run


async def fetched(home: Path, url: str, run: str, **settings: str) -> tuple[int, str]:
    """Return how `run artifacts` ends for a person with that home, and what it printed."""
    env = {**os.environ, "WINDLASS_HOME": str(home), "WINDLASS_DATABASE_URL": url, **settings}
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), "run", "artifacts", run, "f.txt", "--output", "-",
        env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_files_are_found_by_whoever_shares_their_folder(opened: Any, postgres_url: str, tmp_path: Path) -> None:
    shared = {"settings": {"files_url": f"file://{tmp_path}/files"}}
    first = await opened("one", workers=2, labels={"who": "first"}, **shared)
    await opened("two", workers=2, **shared)
    run = await keep(first)
    url = {"WINDLASS_FILES_URL": f"file://{tmp_path}/files"}
    assert await fetched(tmp_path / "two", postgres_url, run.id, **url) == (0, "kept")
    (file,) = (tmp_path / "files" / "artifacts" / run.id).iterdir()
    file.chmod(0o600)
    file.write_text("tpek")
    code, told = await fetched(tmp_path / "two", postgres_url, run.id, **url)
    assert code != 0
    assert "tpek" not in told
    file.write_text("longer than it was")
    assert (await fetched(tmp_path / "two", postgres_url, run.id, **url))[0] == 3


async def test_a_result_with_files_is_taken_over_by_whoever_shares_their_folder(
    opened: Any, postgres_url: str, tmp_path: Path
) -> None:
    shared = {"settings": {"files_url": f"file://{tmp_path}/files"}}
    first = await opened("one", workers=2, labels={"who": "first"}, **shared)
    times = tmp_path / "times"
    ran = f'cache: true, run: "echo ran >> {times}; '.encode()
    await keep(first, KEEPS.replace(b'run: "', ran))
    await first.__aexit__(None, None, None)
    second = await opened("two", workers=2, labels={"who": "first"}, **shared)
    run = await second.submit("keeps")
    await run.wait(SECONDS)
    assert times.read_text() == "ran\n"
    url = {"WINDLASS_FILES_URL": f"file://{tmp_path}/files"}
    assert await fetched(tmp_path / "two", postgres_url, run.id, **url) == (0, "kept")


async def test_who_has_a_file_is_told_where_no_folder_is_shared(opened: Any, postgres_url: str, tmp_path: Path) -> None:
    first = await opened("one", workers=2, labels={"who": "first"})
    run = await keep(first)
    assert await fetched(tmp_path / "one", postgres_url, run.id) == (0, "kept")
    code, told = await fetched(tmp_path / "two", postgres_url, run.id)
    assert code == 3
    assert f'The bytes of "f.txt" lie in the home {tmp_path / "one"} on ' in told
    assert "WINDLASS_FILES_URL" in told


async def test_an_application_without_the_folder_is_refused(opened: Any, tmp_path: Path) -> None:
    await opened("one", workers=0, settings={"files_url": f"file://{tmp_path}/files"})
    with pytest.raises(Unavailable, match="set WINDLASS_FILES_URL"):
        await opened("two", workers=0)
