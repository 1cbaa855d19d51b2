"""Files of attempts that were cut off: those that no task knows of go away, all others stay."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.oracle.world import World
from windlass.engine import node as node_module
from windlass.engine.node import prepare_folders, start_node
from windlass.engine.pipeline import Workshop
from windlass.engine.report import KeptFile
from windlass.engine.secret import Secrets
from windlass.engine.sweeping import sweep_artifacts
from windlass.ids import id_text
from windlass.model.outcome import Completed
from windlass.steps.fake_processes import FakeProcesses
from windlass.steps.registry import StepTypes
from windlass.store.workers import held_runs


async def test_what_no_task_kept_is_removed_at_the_next_start(world: World, tmp_path: Path) -> None:
    workspaces, artifacts = prepare_folders(tmp_path / "files")
    job = await world.define(steps={"a": {}, "b": {}})
    cut, empty, other = await world.submit(job), await world.submit(job), await world.submit(job)
    worker = await world.worker()
    first, _, third = await worker.take()
    for run_id, name in ((cut, "known"), (cut, "orphan"), (cut, ".partial-1"), (empty, "orphan"), (other, "orphan")):
        (artifacts / id_text(run_id)).mkdir(exist_ok=True)
        (artifacts / id_text(run_id) / name).write_text(name)
    report = worker.report(first, Completed())
    kept = (KeptFile("report.txt", 5, "0" * 64, f"{id_text(cut)}/known"),)
    await worker.exchange([dataclasses.replace(report, artifacts=kept), worker.report(third, Completed())])
    await worker.take(1)
    assert sorted(await world.engine.store.read(held_runs)) == sorted([cut, empty])
    shop = Workshop(
        types=StepTypes(),
        processes=FakeProcesses(),
        secrets=Secrets({}),
        clock=world.clock,
        workspaces=workspaces,
        artifacts=artifacts,
    )
    node = await start_node(dataclasses.replace(world.engine), shop)
    await node.stop(0)
    found = sorted(str(path.relative_to(artifacts)) for path in artifacts.rglob("*") if path.is_file())
    assert found == sorted([f"{id_text(cut)}/known", f"{id_text(other)}/orphan"])
    assert not (artifacts / id_text(empty)).exists()


async def test_a_start_that_is_cut_off_itself_leaves_the_rest_to_the_next(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspaces, artifacts = prepare_folders(tmp_path / "files")
    run_id = await world.submit(await world.define(steps={"a": {}}))
    await (await world.worker()).take_one()
    (artifacts / id_text(run_id)).mkdir()
    (artifacts / id_text(run_id) / "orphan").write_text("x")
    shop = Workshop(
        types=StepTypes(),
        processes=FakeProcesses(),
        secrets=Secrets({}),
        clock=world.clock,
        workspaces=workspaces,
        artifacts=artifacts,
    )

    async def killed(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(node_module, "sweep_artifacts", killed)
        with pytest.raises(KeyboardInterrupt):
            await start_node(dataclasses.replace(world.engine), shop)
    node = await start_node(dataclasses.replace(world.engine), shop)
    await node.stop(0)
    assert not (artifacts / id_text(run_id)).exists()


async def test_nothing_is_looked_at_where_no_run_was_cut_off(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert await sweep_artifacts(world.engine, tmp_path, []) == 0
