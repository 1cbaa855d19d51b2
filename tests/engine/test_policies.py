"""Retention policies: applied like jobs, and what runs they let leave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.world import World, always
from windlass.engine.applying import Applied, ApplyOptions, apply
from windlass.engine.archiving import preview_sweep, sweep
from windlass.engine.job_diff import diff_manifests
from windlass.engine.manifests import ManifestText
from windlass.engine.reading import list_runs
from windlass.engine.restoring import archive_figures
from windlass.engine.stored_documents import POLICIES
from windlass.errors import Conflict, InvalidDocument, NotFound
from windlass.model.apply_plan import Provenance
from windlass.model.outcome import Completed, Failed
from windlass.store.runs import RunFilter
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("K06")
DAY = 86_400.0
FAST = """
apiVersion: v1
kind: RetentionPolicy
metadata: {name: fast}
spec: {states: [completed], jobs: ["metrics-*"], minAge: 1h}
"""
DROP = """
apiVersion: v1
kind: RetentionPolicy
metadata: {name: drop}
spec: {partition: scratch, minAge: 2h, to: delete}
"""


@pytest.fixture
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Give a world in a file."""
    request.node.user_properties.append(("store", "sqlite"))
    found = World(str(tmp_path / "windlass.db"), tmp_path)
    yield found
    await found.close()


async def applied(world: World, *texts: str, **options: Any) -> Applied:
    manifests = [ManifestText(f"{number}.yaml", text) for number, text in enumerate(texts)]
    return await apply(world.engine, manifests, ApplyOptions(**options))


async def left(world: World) -> list[str]:
    """Return the notes of the runs that are left."""
    rows, _ = await list_runs(world.engine, RunFilter())
    return sorted(row["note"] for row in rows)


async def test_policies_choose_by_state_job_age_and_partition(kept: World) -> None:
    await applied(kept, FAST, DROP)
    metrics = await kept.define("metrics-cpu", steps={"a": {}})
    other = await kept.define("orders", steps={"a": {}})
    own = await kept.define("metrics-own", steps={"a": {}}, retention={"runs": {"days": 2}})
    worker = await kept.worker()
    await kept.submit(metrics, note="failed")
    await worker.work(always(Failed("exit", "no", 1)))
    for job, note, labels in (
        (metrics, "fast", None),
        (other, "slow", None),
        (own, "own", None),
        (other, "scratch", {"partition": "scratch"}),
        (other, "cold", {"partition": "cold"}),
    ):
        await kept.submit(job, note=note, labels=labels)
    await worker.work(always(Completed()))
    kept.clock.advance(3_601)
    assert await preview_sweep(kept.engine) == [{"rule": "policy fast", "to": "archive", "runs": 1}]
    await sweep(kept.engine)
    assert await left(kept) == ["cold", "failed", "own", "scratch", "slow"]
    kept.clock.advance(3_601)
    swept = await sweep(kept.engine)
    assert (swept.archived, swept.deleted) == (0, 1)
    assert await left(kept) == ["cold", "failed", "own", "slow"]
    assert (await archive_figures(kept.engine))["runs"] == 1
    kept.clock.advance(2 * DAY)
    await sweep(kept.engine)
    assert await left(kept) == ["cold", "failed", "slow"]
    kept.clock.advance(30 * DAY)
    await sweep(kept.engine)
    assert await left(kept) == ["failed"], "it has a dead letter"


async def test_a_deleted_heavy_run_leaves_nothing_not_even_files(kept: World, tmp_path: Path) -> None:
    await applied(kept, DROP)
    run_id = await kept.submit(await kept.define(steps={"a": {}}), labels={"partition": "scratch"})
    await (await kept.worker()).work()

    def write(tx: Transaction) -> None:
        tx.cursor.executemany(
            "INSERT INTO log_chunks (run_id, task, attempt, seq, at, stream, data) VALUES (?, 0, 1, ?, 0, 'out', ?)",
            [(run_id, seq, b"line\n") for seq in range(500)],
        )
        tx.cursor.execute("INSERT INTO artifacts VALUES (?, 0, 'a', 1, 1, 'x', 'y', 0, NULL, NULL)", (run_id,))

    await kept.engine.store.run(write)
    folder = tmp_path / "artifacts" / f"{run_id.hex()[:8]}-0000-0000-0000-{run_id.hex()[20:]}"
    folder.mkdir(parents=True)
    (folder / "1").write_text("x")
    kept.clock.advance(7_201)
    assert (await sweep(kept.engine)).deleted == 1
    assert not folder.exists()

    def rows(tx: Transaction) -> int:
        tables = ("runs", "tasks", "events", "log_chunks", "artifacts", "run_labels", "archived_runs")
        return sum(tx.cursor.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)  # noqa: S608 - constants

    assert await kept.engine.store.read(rows) == 0


async def test_policies_are_applied_and_compared_like_jobs(kept: World) -> None:
    first = await applied(kept, FAST + "---" + DROP)
    assert (first.created, first.changed) == (("RetentionPolicy/fast", "RetentionPolicy/drop"), ())
    assert (await applied(kept, FAST)).unchanged == ("RetentionPolicy/fast",)
    slower = FAST.replace("1h", "3h")
    text = ManifestText("p.yaml", slower)
    diff = await diff_manifests(kept.engine, [text], project="default")
    assert [str(change) for change in diff.modified["RetentionPolicy/fast"]] == ["~ spec.minAge: 3600 -> 10800"]
    assert (await applied(kept, slower, dry_run=True)).changed == ("RetentionPolicy/fast",)
    assert (await POLICIES.get(kept.engine, "default", "fast"))["spec"]["minAge"] == 3_600
    assert (await applied(kept, slower)).changed == ("RetentionPolicy/fast",)
    assert (await POLICIES.get(kept.engine, "default", "fast"))["spec"]["minAge"] == 10_800
    pruned = await applied(kept, slower, prune=True)
    assert pruned.pruned == ("RetentionPolicy/drop",)
    await applied(kept, DROP, provenance=Provenance(source="git"))
    with pytest.raises(Conflict, match='document "RetentionPolicy/drop" belongs to source "git"'):
        await applied(kept, DROP.replace("2h", "3h"))
    assert [one["name"] for one in await POLICIES.all_of(kept.engine, None)] == ["drop", "fast"]
    assert (await POLICIES.delete(kept.engine, "default", "fast"))["name"] == "fast"
    with pytest.raises(NotFound, match='There is no policy "fast"'):
        await POLICIES.delete(kept.engine, "default", "fast")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (FAST.replace("minAge: 1h", "minAge: soon"), "minAge"),
        (FAST.replace(", minAge: 1h", ""), 'missing key "minAge" in spec'),
        (FAST.replace("completed", "running"), "one of completed"),
        (FAST.replace("jobs:", "job:"), 'unknown key "job" in spec'),
        (FAST.replace("{name: fast}", "{}"), 'missing key "name" in metadata'),
        (FAST.replace("spec:", "to: archive\nspec:"), 'unknown key "to" in a RetentionPolicy'),
        (FAST + "---" + FAST, 'RetentionPolicy "fast" stands in this text twice, first at line 2'),
        (FAST.replace("Policy", "Polcy"), 'did you mean "RetentionPolicy"?'),
        (FAST.replace("{states: [completed], ", "[{").replace("1h}", "1h}]"), "must be a mapping"),
    ],
)
async def test_a_bad_policy_is_refused_with_its_place(kept: World, text: str, sentence: str) -> None:
    with pytest.raises(InvalidDocument, match=r"^0\.yaml:\d+:\d+: ") as caught:
        await applied(kept, text)
    assert sentence in str(caught.value)
    assert await POLICIES.all_of(kept.engine, None) == []
