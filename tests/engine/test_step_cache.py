"""Results of steps by their content: taken, kept, replaced, forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.world import MakeWorld
from tests.oracle.world import ScriptedWorker, World
from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.archiving import sweep
from windlass.engine.cache_upkeep import tidy_cache
from windlass.engine.deleting import delete_run
from windlass.engine.explaining import why
from windlass.engine.manifests import ManifestText
from windlass.engine.pipeline import Pipeline, Workshop
from windlass.engine.reading import list_artifacts
from windlass.engine.resuming import Resume, resume_run
from windlass.engine.room import Room
from windlass.engine.secret import Secrets
from windlass.engine.starting import Start, retry_run, start_run
from windlass.engine.step_cache import cache_folder
from windlass.engine.worker import StopSignal
from windlass.ids import id_text, parse_id
from windlass.model.outcome import Completed, Failed, Outcome
from windlass.model.room import Disk
from windlass.model.steptypes.local import SPECS
from windlass.steps.contract import StepContext
from windlass.store.transaction import Transaction
from windlass.supervisor.contract import Child, Command

pytestmark = pytest.mark.promise("C19")

SHELL = next(spec for spec in SPECS if spec.name == "shell")
DAY = 86_400
_PATIENCE = 30


class NoProcesses:
    """A process host of which nothing is asked here."""

    async def spawn(self, command: Command) -> Child:
        raise NotImplementedError(command)


@dataclass
class Sources:
    """A source of secrets with values by reference."""

    values: dict[str, str] = field(default_factory=dict)

    async def resolve(self, references: Any, project: str) -> dict[str, str]:
        del project
        return {one: self.values[one] for one in references}


@dataclass
class Kitchen:
    """A worker whose steps do what a test says, with the whole way of a task around them."""

    world: World
    worker: ScriptedWorker
    pipeline: Pipeline
    artifacts: Path
    secrets: Sources
    #: Names of the steps that were worked for, cells in brackets.
    worked: list[str] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=lambda: {"n": 1})
    files: dict[str, bytes] = field(default_factory=dict)
    outcome: Outcome | None = None
    spec = SHELL

    def get(self, name: str) -> Kitchen:
        del name
        return self

    async def run(self, context: StepContext, config: Mapping[str, Any]) -> Outcome:
        key = f"[{context.identity.key}]" if context.identity.key else ""
        self.worked.append(context.identity.step + key)
        for name, data in self.files.items():
            (context.workdir / name).write_bytes(data)
        choices = context.choices[:1] if context.choices else None
        if self.outcome is not None:
            return self.outcome
        return Completed({**self.outputs, "said": config["run"]}, 0, choices)

    async def cook(self) -> list[str]:
        """Work until nothing is left; return what was worked for since the last time."""
        async with asyncio.timeout(_PATIENCE):
            while claims := await self.worker.take(1):
                for claim in claims:
                    report = await self.pipeline.run(claim, StopSignal())
                    if report is not None:
                        await self.worker.exchange([report])
        worked, self.worked = self.worked, []
        return worked

    async def define(self, *steps: Mapping[str, Any], alias: str = "job", **top: Any) -> str:
        written = [{"name": "a", "run": "true", "cache": True, **step} for step in steps or ({},)]
        job = {"apiVersion": "v1", "kind": "Job", "metadata": {"alias": alias}, **top, "steps": written}
        options = ApplyOptions(project=top.pop("project", "default"))
        text = ManifestText("job.yaml", _json({name: value for name, value in job.items() if name != "project"}))
        await apply(self.world.engine, [text], options)
        return alias

    async def start(self, job: str, **fields: Any) -> bytes:
        run, _ = await start_run(self.world.engine, Start(**{"project": "default"} | fields, job=job))
        found = parse_id(run["id"])
        assert found is not None
        self.world.accepted.append(found)
        return found

    async def served(self, job: str, **fields: Any) -> tuple[bytes, list[str]]:
        """Start a run, work for it, and return what was worked for."""
        run_id = await self.start(job, **fields)
        return run_id, await self.cook()

    async def rows(self) -> list[Any]:
        def read(tx: Transaction) -> list[Any]:
            return tx.cursor.execute("SELECT * FROM step_cache").fetchall()

        return await self.world.engine.store.read(read)


def _json(value: Any) -> bytes:
    import json  # noqa: PLC0415 - here alone

    return json.dumps(value).encode()


async def kitchen_of(world: World, tmp_path: Path) -> Kitchen:
    folders = tmp_path / "attempts", tmp_path / "artifacts"
    for folder in folders:
        folder.mkdir(exist_ok=True)
    found = Kitchen(world, await world.worker(), None, folders[1], Sources())  # type: ignore[arg-type]
    shop = Workshop(
        types=found,
        processes=NoProcesses(),
        secrets=found.secrets,  # type: ignore[arg-type]
        clock=world.clock,
        workspaces=folders[0],
        artifacts=folders[1],
    )
    found.pipeline = Pipeline(world.engine, found.worker.queue, shop, worker="w1")
    return found


@pytest.fixture
async def kitchen(world: World, tmp_path: Path) -> Kitchen:
    return await kitchen_of(world, tmp_path)


async def missed(kitchen: Kitchen, run_id: bytes, step: str = "a") -> dict[str, Any]:
    """Return why a step took no earlier result."""
    causes = (await why(kitchen.world.engine, run_id, step))["because"]
    return next(one for one in causes if one["kind"] == "cache_missed")


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


SECRET = {"parameters": {"token": {"type": "string", "secret": True}, "n": {"type": "integer", "default": 1}}}
VALUE = "s3cr3t-value-of-it"
REFERENCE = "secret://env/TOKEN"


async def test_a_secret_given_by_value_keeps_its_step_out_of_the_cache(kitchen: Kitchen) -> None:
    job = await kitchen.define({"env": {"T": "${{ parameters.token }}"}}, **SECRET)
    await kitchen.served(job, parameters={"token": VALUE})
    run_id, worked = await kitchen.served(job, parameters={"token": VALUE})
    assert (worked, await kitchen.rows()) == (["a"], [])
    assert (await missed(kitchen, run_id))["missed"] == "secret"
    assert VALUE not in str(await kitchen.world.events(run_id))


async def test_a_key_that_names_a_secret_keeps_it_out_too(kitchen: Kitchen) -> None:
    job = await kitchen.define({"cache": {"key": ["${{ parameters.token }}"]}}, **SECRET)
    await kitchen.served(job, parameters={"token": VALUE})
    assert await kitchen.rows() == []


async def test_a_secret_that_the_step_is_not_given_does_not_count(kitchen: Kitchen) -> None:
    job = await kitchen.define(**SECRET)
    await kitchen.served(job, parameters={"token": VALUE})
    assert (await kitchen.served(job, parameters={"token": "another value of it"}))[1] == []
    assert (await kitchen.served(job, parameters={"token": VALUE, "n": 2}))[1] == ["a"]


@pytest.mark.parametrize("place", ["step", "parameter"])
async def test_a_reference_counts_by_its_name(kitchen: Kitchen, place: str) -> None:
    written = REFERENCE if place == "step" else "${{ parameters.token }}"
    kitchen.secrets.values = {REFERENCE: VALUE, "secret://env/OTHER": VALUE}
    job = await kitchen.define({"env": {"T": written}}, **SECRET)
    given = {} if place == "step" else {"parameters": {"token": REFERENCE}}
    await kitchen.served(job, **given)
    kitchen.secrets.values[REFERENCE] = "a new value of the same secret"
    assert (await kitchen.served(job, **given))[1] == []
    kept = str(await kitchen.rows())
    assert VALUE not in kept
    if place == "parameter":
        assert (await kitchen.served(job, parameters={"token": "secret://env/OTHER"}))[1] == ["a"]


async def test_nothing_is_kept_that_holds_a_secret(kitchen: Kitchen) -> None:
    kitchen.secrets.values = {REFERENCE: VALUE}
    job = await kitchen.define({"env": {"T": REFERENCE}, "artifacts": ["*.txt"]})
    kitchen.outputs = {"said": "x", "token": f"it is {VALUE}"}
    await kitchen.served(job)
    assert await kitchen.rows() == []
    kitchen.outputs, kitchen.files = {}, {"out.txt": VALUE.encode()}
    await kitchen.served(job)
    assert await kitchen.rows() == []
    assert not cache_folder(kitchen.world.engine).exists()
    kitchen.files = {}
    await kitchen.served(job)
    assert VALUE not in str(await kitchen.rows())
    assert (await kitchen.served(job))[1] == []


async def test_a_key_that_cannot_be_computed_fails_the_task_before_its_start(kitchen: Kitchen) -> None:
    job = await kitchen.define({"cache": {"key": ["${{ parameters.absent }}"]}})
    run_id, worked = await kitchen.served(job)
    task = await kitchen.world.task(run_id, "a")
    assert (worked, task["state"], task["reason"], task["attempt"]) == ([], "failed", "expression_error", 0)


async def test_a_step_whose_config_cannot_be_computed_fails_as_it_always_does(kitchen: Kitchen) -> None:
    job = await kitchen.define({"env": {"A": "${{ parameters.absent }}"}})
    run_id, worked = await kitchen.served(job)
    task = await kitchen.world.task(run_id, "a")
    assert (worked, task["reason"], task["attempt"]) == ([], "expression_error", 1)


async def test_a_run_that_is_retried_takes_what_was_kept_and_one_that_is_resumed_from_a_step_does_not(
    kitchen: Kitchen,
) -> None:
    world = kitchen.world
    job = await kitchen.define({}, {"name": "b", "dependsOn": "a"}, {"name": "c", "dependsOn": "b", "cache": False})
    first, worked = await kitchen.served(job)
    assert worked == ["a", "b", "c"]
    again, _ = await retry_run(world.engine, first)
    assert await kitchen.cook() == ["c"]
    resumed, _ = await resume_run(world.engine, Resume(run_id=first, start=("a",)))
    assert await kitchen.cook() == ["a", "c"]
    for run in (again, resumed):
        run_id = parse_id(run["id"])
        assert run_id is not None
        world.accepted.append(run_id)
        assert (await world.run(run_id))["state"] == "completed"
    resumed_id = world.accepted[-1]
    assert (await world.task(resumed_id, "b"))["reason"] == "cached"
    await world.assert_sound(at_rest=True)


async def test_a_cached_result_is_kept_by_a_resume(kitchen: Kitchen) -> None:
    world = kitchen.world
    job = await kitchen.define({}, {"name": "b", "dependsOn": "a", "cache": False})
    first, _ = await kitchen.served(job)
    second, _ = await kitchen.served(job)
    run, _ = await resume_run(world.engine, Resume(run_id=second, start=("b",)))
    assert await kitchen.cook() == ["b"]
    third = parse_id(run["id"])
    assert third is not None
    world.accepted.append(third)
    assert (await world.task(third, "a"))["keptFrom"] == id_text(first)


async def test_a_later_attempt_takes_what_another_run_has_worked_for(kitchen: Kitchen) -> None:
    job = await kitchen.define({"retry": {"attempts": 2, "delay": 60}})
    kitchen.outcome = Failed("error", "no")
    first, worked = await kitchen.served(job)
    kitchen.outcome = None
    assert (worked, (await kitchen.served(job))[1]) == (["a"], ["a"])
    await kitchen.world.tick(61)
    assert await kitchen.cook() == []
    task = await kitchen.world.task(first, "a")
    assert (task["state"], task["reason"], task["attempt"]) == ("completed", "cached", 1)
    assert await kitchen.world.attempts(first) == [("a", 1, "failed")]
    await kitchen.world.assert_sound(at_rest=True)


async def test_two_at_once_work_both_and_one_result_is_kept(kitchen: Kitchen) -> None:
    job = await kitchen.define()
    runs = [await kitchen.start(job), await kitchen.start(job)]
    claims = await kitchen.worker.take(2)
    reports = [await kitchen.pipeline.run(claim, StopSignal()) for claim in claims]
    await kitchen.worker.exchange([report for report in reports if report is not None])
    assert [(await kitchen.world.run(run_id))["state"] for run_id in runs] == ["completed"] * 2
    assert (kitchen.worked, len(await kitchen.rows())) == (["a", "a"], 1)


@pytest.mark.promise("H07")
async def test_a_crash_before_the_end_is_recorded_keeps_nothing(tmp_path: Path) -> None:
    world = World(str(tmp_path / "windlass.db"), tmp_path)
    kitchen = await kitchen_of(world, tmp_path)
    kitchen.files = {"out.txt": b"hello"}
    job = await kitchen.define({"onWorkerLost": "retry", "artifacts": ["*.txt"]})
    run_id = await kitchen.start(job)
    report = await kitchen.pipeline.run(await kitchen.worker.take_one(), StopSignal())
    assert report is not None
    await world.reopen()
    assert (await kitchen.rows(), len(list(cache_folder(world.engine).iterdir()))) == ([], 1)
    await kitchen.worker.exchange([report])  # a ghost's: its fence no longer stands
    assert await kitchen.rows() == []
    kitchen = await kitchen_of(world, tmp_path)
    kitchen.files = {"out.txt": b"hello"}
    await world.tick()
    assert await kitchen.cook() == ["a"]
    assert (await kitchen.served(job))[1] == []
    assert (await world.run(run_id))["state"] == "completed"
    await world.assert_sound(at_rest=True)
    await world.close()


@pytest.mark.promise("H07")
async def test_a_crash_with_a_result_in_hand_lets_the_next_owner_take_it(tmp_path: Path) -> None:
    world = World(str(tmp_path / "windlass.db"), tmp_path)
    kitchen = await kitchen_of(world, tmp_path)
    job = await kitchen.define()
    await kitchen.served(job)
    run_id = await kitchen.start(job)
    report = await kitchen.pipeline.run(await kitchen.worker.take_one(), StopSignal())
    await world.reopen()
    assert report is not None
    await kitchen.worker.exchange([report])
    assert (await world.run(run_id))["state"] == "queued"
    kitchen = await kitchen_of(world, tmp_path)
    assert await kitchen.cook() == []
    assert (await world.task(run_id, "a"))["reason"] == "cached"
    await world.assert_sound(at_rest=True)
    await world.close()


async def test_a_cancel_that_was_first_stands(kitchen: Kitchen) -> None:
    job = await kitchen.define()
    await kitchen.served(job)
    run_id = await kitchen.start(job)
    report = await kitchen.pipeline.run(await kitchen.worker.take_one(), StopSignal())
    await kitchen.world.cancel(run_id)
    assert report is not None
    await kitchen.worker.exchange([report])
    assert (await kitchen.world.run(run_id))["state"] == "cancelled"
    await kitchen.world.assert_sound(at_rest=True)


async def test_what_cannot_be_kept_or_read_changes_no_run(kitchen: Kitchen) -> None:
    store = kitchen.world.engine.store
    job = await kitchen.define()
    await store.run(
        lambda tx: tx.cursor.execute(
            "CREATE TRIGGER no_room BEFORE INSERT ON step_cache BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    )
    run_id, _ = await kitchen.served(job)
    assert ((await kitchen.world.run(run_id))["state"], await kitchen.rows()) == ("completed", [])
    await store.run(lambda tx: tx.cursor.execute("DROP TRIGGER no_room"))
    await kitchen.served(job)
    await store.run(lambda tx: tx.cursor.execute("UPDATE step_cache SET files = '{'"))
    run_id, worked = await kitchen.served(job)
    assert (worked, (await missed(kitchen, run_id))["missed"]) == (["a"], "damaged")
    assert (await kitchen.served(job))[1] == []


async def test_the_cache_is_bounded_and_what_is_used_stays(make_world: MakeWorld, tmp_path: Path) -> None:
    world = make_world(cache_entries=3)
    kitchen = await kitchen_of(world, tmp_path)
    job = await kitchen.define({"run": "echo ${{ parameters.n }}"}, parameters={"n": {"type": "integer"}})
    for n in (1, 2, 3):
        await kitchen.served(job, parameters={"n": n})
        world.clock.advance(1)
    assert (await kitchen.served(job, parameters={"n": 1}))[1] == []
    world.clock.advance(1)
    await kitchen.served(job, parameters={"n": 4})
    assert len(await kitchen.rows()) == 3
    found = [(await kitchen.served(job, parameters={"n": n}))[1] for n in (1, 3, 4)]
    assert found == [[], [], []]
    assert (await kitchen.served(job, parameters={"n": 2}))[1] == ["a"]
    world.engine.settings = replace(world.engine.settings, cache_entries=1)
    assert await tidy_cache(world.engine) == 2
    await world.close()


async def test_files_are_bounded_by_their_bytes(make_world: MakeWorld, tmp_path: Path) -> None:
    world = make_world(cache_size=10)
    kitchen = await kitchen_of(world, tmp_path)
    job = await kitchen.define(
        {"run": "echo ${{ parameters.n }}", "artifacts": ["*"]}, parameters={"n": {"type": "integer"}}
    )
    for n in (1, 2, 3):
        kitchen.files = {"f": b"%d4567" % n}
        await kitchen.served(job, parameters={"n": n})
        world.clock.advance(1)
    assert [row[10] for row in await kitchen.rows()] == [5, 5]
    assert (await kitchen.served(job, parameters={"n": 1}))[1] == ["a"]
    await world.close()


async def test_what_has_ended_is_removed_with_its_files(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    kitchen.files = {"old": b"old"}
    old = await kitchen.define({"artifacts": ["*"], "cache": {"ttl": "1h"}}, alias="old")
    new = await kitchen.define({"artifacts": ["*"], "cache": {"ttl": "9d"}}, alias="new")
    await kitchen.served(old)
    kitchen.files = {"new": b"new"}
    await kitchen.served(new)
    kitchen.world.clock.advance(3600)
    folder = cache_folder(kitchen.world.engine)
    assert await tidy_cache(kitchen.world.engine) == 1
    assert len(list(folder.iterdir())) == 2  # one that is just being kept might be among them
    later = min(folder.iterdir()).stat().st_ctime + 4000
    monkeypatch.setattr("windlass.steps.kept_files.time.time", lambda: later)
    assert await tidy_cache(kitchen.world.engine) == 0
    assert len(list(folder.iterdir())) == 1
    assert (await kitchen.served(new))[1] == []


async def test_where_the_disk_is_short_no_file_is_kept_for_later(make_world: MakeWorld, tmp_path: Path) -> None:
    world = make_world()
    kitchen = await kitchen_of(world, tmp_path)
    kitchen.files = {"out.txt": b"hello"}
    files = await kitchen.define({"artifacts": ["*"]}, alias="files")
    plain = await kitchen.define(alias="plain")
    await kitchen.served(files)
    kitchen.files = {}
    await kitchen.served(plain)
    world.engine.room = Room(folders=(tmp_path,), look=lambda folder: Disk(str(folder), 0, 10**9), reserve=10**6)
    assert await tidy_cache(world.engine) == 1
    assert list(cache_folder(world.engine).iterdir()) == []
    assert [row[3] for row in await kitchen.rows()] == ["a"]
    await world.close()


async def test_a_run_that_somebody_deletes_leaves_no_result(kitchen: Kitchen) -> None:
    job = await kitchen.define()
    first, _ = await kitchen.served(job)
    await delete_run(kitchen.world.engine, first)
    kitchen.world.accepted.remove(first)
    assert await kitchen.rows() == []
    assert (await kitchen.served(job))[1] == ["a"]


async def test_the_files_of_a_result_go_with_its_run_but_for_those_that_others_have(kitchen: Kitchen) -> None:
    kitchen.files = {"both": b"both", "one": b"one"}
    first, _ = await kitchen.served(await kitchen.define({"artifacts": ["*"]}))
    kitchen.files = {"both": b"both"}
    await kitchen.served(await kitchen.define({"artifacts": ["*"]}, alias="other"))
    folder = cache_folder(kitchen.world.engine)
    assert len(list(folder.iterdir())) == 2
    await delete_run(kitchen.world.engine, first)
    kitchen.world.accepted.remove(first)
    assert [path.read_bytes() for path in folder.iterdir()] == [b"both"]


async def test_a_store_that_is_away_is_worked_without(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    from windlass.errors import Unavailable  # noqa: PLC0415 - here alone

    job = await kitchen.define()
    await kitchen.served(job)

    async def away(_: Any) -> Any:
        raise Unavailable("away")

    monkeypatch.setattr(kitchen.worker.queue, "recall", away)
    assert (await kitchen.served(job))[1] == ["a"]


def test_the_secrets_of_these_tests_are_asked_as_the_real_ones_are() -> None:
    assert Secrets.resolve.__code__.co_varnames[1:3] == Sources.resolve.__code__.co_varnames[1:3]
