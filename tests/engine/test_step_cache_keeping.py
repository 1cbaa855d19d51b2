"""Results of steps by their content: what is kept, through crashes and beside secrets, and what is forgotten."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.kitchen import Kitchen, Sources, kitchen_of, missed
from tests.fixtures.world import MakeWorld
from tests.oracle.world import World
from windlass.engine.cache_upkeep import tidy_cache
from windlass.engine.deleting import delete_run
from windlass.engine.resuming import Resume, resume_run
from windlass.engine.room import Room
from windlass.engine.secret import Secrets
from windlass.engine.starting import retry_run
from windlass.engine.step_cache import cache_folder
from windlass.engine.worker import StopSignal
from windlass.ids import id_text, parse_id
from windlass.model.outcome import Failed
from windlass.model.room import Disk
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("C19")

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


_ALLOW = {"sqlite": "DROP TRIGGER no_room", "postgresql": "DROP TRIGGER no_room ON step_cache"}


def _refuse(tx: Transaction) -> None:
    """Let the database refuse every result of a step."""
    if tx.dialect == "sqlite":
        tx.cursor.execute("CREATE TRIGGER no_room BEFORE INSERT ON step_cache BEGIN SELECT RAISE(ABORT, 'no'); END")
        return
    tx.cursor.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'; END $$"
    )
    tx.cursor.execute("CREATE TRIGGER no_room BEFORE INSERT ON step_cache FOR EACH ROW EXECUTE FUNCTION refuse()")


async def test_what_cannot_be_kept_or_read_changes_no_run(kitchen: Kitchen) -> None:
    store = kitchen.world.engine.store
    job = await kitchen.define()
    await store.run(_refuse)
    run_id, _ = await kitchen.served(job)
    assert ((await kitchen.world.run(run_id))["state"], await kitchen.rows()) == ("completed", [])
    await store.run(lambda tx: tx.cursor.execute(_ALLOW[tx.dialect]))
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

    async def away(_: Any, __: Any) -> Any:
        raise Unavailable("away")

    monkeypatch.setattr(kitchen.worker.queue, "recall", away)
    assert (await kitchen.served(job))[1] == ["a"]


def test_the_secrets_of_these_tests_are_asked_as_the_real_ones_are() -> None:
    assert Secrets.secrets.__code__.co_varnames[1:3] == Sources.secrets.__code__.co_varnames[1:3]
