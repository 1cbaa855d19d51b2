"""Results of steps by their content: what they depend on, and who takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.kitchen import DAY, Kitchen, missed
from windlass.engine.archiving import sweep
from windlass.engine.explaining import why
from windlass.engine.reading import list_artifacts
from windlass.engine.step_cache import cache_folder
from windlass.ids import id_text
from windlass.model.outcome import Failed

pytestmark = pytest.mark.promise("C19")


async def test_the_second_run_takes_the_result_of_the_first(kitchen: Kitchen) -> None:
    job = await kitchen.define()
    first, worked = await kitchen.served(job)
    assert worked == ["a"]
    kitchen.outputs = {"n": 2}
    second, worked = await kitchen.served(job)
    assert worked == []
    run, task = await kitchen.world.run(second), await kitchen.world.task(second, "a")
    assert (run["state"], run["outputs"]) == ("completed", {"n": 1, "said": "true"})
    assert {name: task[name] for name in ("state", "reason", "attempt", "exitCode", "keptFrom", "outputs")} == {
        "state": "completed",
        "reason": "cached",
        "attempt": 0,
        "exitCode": 0,
        "keptFrom": id_text(first),
        "outputs": {"n": 1, "said": "true"},
    }
    assert await kitchen.world.told(first) == [
        "run.created", "run.queued", "task.queued 0", "run.started", "task.cache_missed 0", "task.started 0",
        "task.completed 0", "run.completed",
    ]  # fmt: skip
    assert await kitchen.world.told(second) == [
        "run.created", "run.queued", "task.queued 0", "task.cached 0", "task.completed 0", "run.completed",
    ]  # fmt: skip
    assert await kitchen.world.attempts(second) == []
    (explained,) = (await why(kitchen.world.engine, second, "a"))["because"]
    assert (explained["kind"], explained["from"]) == ("cached", id_text(first))
    await kitchen.world.assert_sound(at_rest=True)


REGION = {"parameters": {"region": {"type": "string", "default": "eu"}, "day": {"type": "string", "default": "1"}}}


@pytest.mark.parametrize(
    ("step", "parameters", "differs"),
    [
        ({}, {}, None),
        ({}, {"region": "us"}, ["parameters"]),
        ({"cache": {"key": ["${{ parameters.day }}"]}}, {"region": "us"}, None),
        ({"cache": {"key": ["${{ parameters.day }}"]}}, {"day": "2"}, ["key"]),
        ({"cache": {"key": []}}, {"region": "us", "day": "2"}, None),
        ({"cache": {"key": []}, "env": {"R": "${{ parameters.region }}"}}, {"region": "us"}, ["env"]),
        ({"cache": {"key": []}, "run": "echo ${{ parameters.region }}"}, {"region": "us"}, ["env"]),
        ({"cache": {"key": []}, "env": {"R": "${{ env.X }}"}}, {}, None),
    ],
)
async def test_what_a_result_depends_on(
    kitchen: Kitchen, step: dict[str, Any], parameters: dict[str, str], differs: list[str] | None
) -> None:
    step = {"run": "true", **step}
    if step.get("env", {}).get("R") == "${{ env.X }}":
        step["env"] = {"R": "x"}
    job = await kitchen.define(step, **REGION)
    await kitchen.served(job)
    second, worked = await kitchen.served(job, parameters=parameters)
    assert worked == ([] if differs is None else ["a"])
    if differs is not None:
        assert (await missed(kitchen, second))["differs"] == differs


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"run": "echo other"}, ["config"]),
        ({"env": {"A": "1"}}, ["env"]),
        ({"cache": {"version": 2}}, ["version"]),
        ({"artifacts": ["*.txt"]}, ["step"]),
        ({"timeout": "5m", "retry": {"attempts": 3}, "logQuota": "1MiB"}, None),
    ],
)
async def test_a_changed_step_is_worked_for_again_where_the_change_counts(
    kitchen: Kitchen, change: dict[str, Any], differs: list[str] | None
) -> None:
    await kitchen.served(await kitchen.define())
    second, worked = await kitchen.served(await kitchen.define(change, description="other"))
    assert worked == ([] if differs is None else ["a"])
    if differs is not None:
        assert (await missed(kitchen, second))["differs"] == differs


async def test_no_job_takes_the_results_of_another_and_no_project_either(kitchen: Kitchen) -> None:
    await kitchen.served(await kitchen.define())
    assert (await kitchen.served(await kitchen.define(alias="other")))[1] == ["a"]
    job = await kitchen.define(project="second")
    run_id, worked = await kitchen.served(job, project="second")
    assert (worked, (await missed(kitchen, run_id))["missed"]) == (["a"], "nothing_kept")
    assert (await kitchen.served(job, project="second"))[1] == []


@pytest.mark.parametrize(
    ("ttl", "age", "found"), [(60, 59, []), (60, 60, ["a"]), (None, DAY - 1, []), (None, DAY, ["a"])]
)
async def test_a_result_has_an_end(kitchen: Kitchen, ttl: int | None, age: int, found: list[str]) -> None:
    job = await kitchen.define({"cache": True if ttl is None else {"ttl": ttl}})
    await kitchen.served(job)
    kitchen.world.clock.advance(age)
    run_id, worked = await kitchen.served(job)
    assert worked == found
    if found:
        assert (await missed(kitchen, run_id))["missed"] == "expired"
        assert (await kitchen.served(job))[1] == []  # the new result stands in its place


@pytest.mark.parametrize(("back", "found"), [(59, []), (60, ["a"]), (DAY, ["a"])])
async def test_a_clock_that_is_set_back_makes_no_result_last_for_ever(
    kitchen: Kitchen, back: int, found: list[str]
) -> None:
    job = await kitchen.define({"cache": {"ttl": 60}})
    await kitchen.served(job)
    kitchen.world.clock.advance(-back)
    assert (await kitchen.served(job))[1] == found


async def test_a_shorter_ttl_counts_for_what_was_kept_before(kitchen: Kitchen) -> None:
    await kitchen.served(await kitchen.define({"cache": {"ttl": "2h"}}))
    kitchen.world.clock.advance(3600)
    assert (await kitchen.served(await kitchen.define({"cache": {"ttl": "30m"}})))[1] == ["a"]


@pytest.mark.parametrize("allowed", [False, True])
async def test_only_what_completed_is_kept(kitchen: Kitchen, *, allowed: bool) -> None:
    job = await kitchen.define({"allowFailure": allowed})
    kitchen.outcome = Failed("error", "no")
    await kitchen.served(job)
    assert await kitchen.rows() == []
    kitchen.outcome = None
    assert (await kitchen.served(job))[1] == ["a"]
    assert (await kitchen.served(job))[1] == []


async def test_a_run_without_the_cache_works_and_leaves_its_results_for_others(kitchen: Kitchen) -> None:
    job = await kitchen.define()
    await kitchen.served(job)
    kitchen.outputs = {"n": 2}
    fresh, worked = await kitchen.served(job, no_cache=True)
    assert (worked, (await missed(kitchen, fresh))["missed"]) == (["a"], "not_asked")
    assert "task.cache_missed 0" not in await kitchen.world.told(fresh)
    third, worked = await kitchen.served(job)
    assert (worked, (await kitchen.world.task(third, "a"))["keptFrom"]) == ([], id_text(fresh))
    assert (await kitchen.world.run(third))["outputs"]["n"] == 2


async def test_an_idempotency_key_stands_for_a_run_with_or_without_the_cache(kitchen: Kitchen) -> None:
    from windlass.errors import UserError  # noqa: PLC0415 - here alone

    job = await kitchen.define()
    first = await kitchen.start(job, idempotency_key="k", no_cache=True)
    assert await kitchen.start(job, idempotency_key="k", no_cache=True) == first
    kitchen.world.accepted.pop()
    with pytest.raises(UserError, match="use another key"):
        await kitchen.start(job, idempotency_key="k")
    await kitchen.cook()


async def test_outputs_of_the_steps_before_count(kitchen: Kitchen) -> None:
    job = await kitchen.define({"name": "load", "cache": False}, {"name": "use", "dependsOn": "load"})
    assert (await kitchen.served(job))[1] == ["load", "use"]
    assert (await kitchen.served(job))[1] == ["load"]
    kitchen.outputs = {"n": 2}
    run_id, worked = await kitchen.served(job)
    assert (worked, (await missed(kitchen, run_id, "use"))["differs"]) == (["load", "use"], ["outputs"])


async def test_a_key_may_name_a_step_that_is_no_direct_predecessor(kitchen: Kitchen) -> None:
    job = await kitchen.define(
        {"name": "load", "cache": False},
        {"name": "between", "dependsOn": "load"},
        {"name": "use", "dependsOn": "between", "cache": {"key": ["${{ steps.load.outputs.n }}"]}},
    )
    await kitchen.served(job)
    kitchen.outputs = {"n": 2}
    run_id, worked = await kitchen.served(job)
    assert worked == ["load", "between", "use"]
    assert (await missed(kitchen, run_id, "use"))["differs"] == ["key", "outputs"]


async def test_each_cell_has_a_result_of_its_own(kitchen: Kitchen) -> None:
    cells = {"matrix": {"os": ["x", "y"]}}
    job = await kitchen.define(cells)
    assert sorted((await kitchen.served(job))[1]) == ["a[x]", "a[y]"]
    run_id, worked = await kitchen.served(job)
    assert (worked, await kitchen.world.states(run_id)) == ([], {"a[x]": "completed", "a[y]": "completed"})
    job = await kitchen.define({"matrix": {"os": ["y", "z"]}})
    assert (await kitchen.served(job))[1] == ["a[z]"]
    await kitchen.world.assert_sound(at_rest=True)


async def test_a_branch_chooses_as_it_did(kitchen: Kitchen) -> None:
    job = await kitchen.define(
        {"branch": True, "next": ["b", "c"]}, {"name": "b", "cache": False}, {"name": "c", "cache": False}
    )
    first, worked = await kitchen.served(job)
    second, again = await kitchen.served(job)
    assert (worked, again) == (["a", "b"], ["b"])
    assert await kitchen.world.states(second) == await kitchen.world.states(first)
    assert (await kitchen.world.task(second, "a"))["branches"] == ["b"]
    await kitchen.world.assert_sound(at_rest=True)


async def test_files_come_with_the_result_whatever_became_of_their_run(kitchen: Kitchen, tmp_path: Path) -> None:
    kitchen.files = {"out.txt": b"hello", "two.txt": b"hello"}
    job = await kitchen.define({"artifacts": ["*.txt"]}, retention={"runs": {"days": 1}})
    first, _ = await kitchen.served(job)
    second, worked = await kitchen.served(job)
    assert worked == []
    for name, file in zip(("out.txt", "two.txt"), await list_artifacts(kitchen.world.engine, second), strict=True):
        assert (file["name"], file["attempt"], file["size"]) == (name, 0, 5)
        assert (kitchen.artifacts / file["path"]).read_bytes() == b"hello"
        assert file["path"].startswith(id_text(second))
    # The first run leaves for good, with its files; its result stays.
    job = await kitchen.define({"artifacts": ["*.txt"], "cache": {"ttl": "9d"}}, retention={"runs": {"last": 1}})
    await kitchen.served(job, no_cache=True)
    kitchen.world.clock.advance(2 * DAY)
    await sweep(kitchen.world.engine)
    third, worked = await kitchen.served(job)
    assert worked == []
    assert [
        (tmp_path / "artifacts" / file["path"]).read_bytes()
        for file in await list_artifacts(kitchen.world.engine, third)
    ] == [b"hello"] * 2
    kitchen.world.accepted = [run for run in kitchen.world.accepted if run not in {first, second}]
    kitchen.world.accepted.clear()


@pytest.mark.parametrize("harm", ["change", "cut", "remove", "link"])
async def test_a_damaged_file_is_no_result(kitchen: Kitchen, harm: str) -> None:
    kitchen.files = {"one.txt": b"hello", "two.txt": b"world"}
    job = await kitchen.define({"artifacts": ["*.txt"]})
    await kitchen.served(job)
    file = min(cache_folder(kitchen.world.engine).iterdir())
    if harm == "change":
        file.write_bytes(b"jello")
    elif harm == "cut":
        file.write_bytes(b"")
    else:
        file.unlink()
        if harm == "link":
            file.symlink_to("/etc/hostname")
    run_id, worked = await kitchen.served(job)
    assert (worked, (await missed(kitchen, run_id))["missed"]) == (["a"], "damaged")
    assert (await kitchen.world.run(run_id))["state"] == "completed"
    assert len(await list_artifacts(kitchen.world.engine, run_id)) == 2
    last, worked = await kitchen.served(job)
    assert worked == []
    for one in await list_artifacts(kitchen.world.engine, last):
        assert (kitchen.artifacts / one["path"]).read_bytes() in {b"hello", b"world"}
