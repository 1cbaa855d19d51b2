"""Every route that changes something leaves an entry of who asked; a new route in the table needs a case here."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from tests.fixtures.world import MakeWorld
from tests.oracle.world import World, by_step
from windlass.api.dispatch import dispatch
from windlass.api.message import Answer, Principal, Request, local_admin
from windlass.api.routes.all import route_table
from windlass.api.table import Route
from windlass.engine.auditing.verifying import list_entries, verify
from windlass.engine.sealing.known import keyring_of
from windlass.ids import id_text
from windlass.model.outcome import Completed, Failed
from windlass.store.audit import AuditFilter

pytestmark = [pytest.mark.promise("O12", part="audit")]
CHANGES: Final = {f"{route.method} {route.path}": route for route in route_table() if route.changes}
LOOKS: Final = [
    f"{route.method} {route.path}" for route in route_table() if not route.changes and route.permission != "work"
]
ANN: Final = local_admin("ann")
CANARY: Final = "canary-72be10"


@dataclass
class Scene:
    """A world with what the cases are about."""

    world: World
    names: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, body: Any = None, *, by: Principal = ANN) -> Answer:
        route, _, query = path.format_map(self.names).partition("?")
        request = Request(
            method=method,
            path=f"/api/v1/{route}",
            query_string=query,
            body=b"" if body is None else json.dumps(body).encode(),
            principal=by,
        )
        answer = await dispatch(route_table(), self.world.engine, request)
        assert isinstance(answer, Answer)
        return answer

    async def entries(self) -> list[dict[str, Any]]:
        return (await list_entries(self.world.engine, AuditFilter(limit=1000), None))[0]

    async def ended(self, *, well: bool) -> str:
        run_id = await self.world.submit(self.job)
        end = Completed() if well else Failed("exit", "it ended with exit code 1", 1)
        await self.worker.work(by_step(a=end))
        self.names["run"] = id_text(run_id)
        return id_text(run_id)

    async def prepare(self) -> None:
        self.job = await self.world.define("known", steps={"a": {}})
        self.worker = await self.world.worker()


Before = Callable[[Scene], Awaitable[object]]


@dataclass(frozen=True)
class Case:
    """How a route is asked so that it changes something, and what the entry says then."""

    path: str
    action: str
    what: str | None
    body: Any = None
    before: Before | None = None
    project: str | None = "default"


def document(kind: str, name: str, **content: Any) -> dict[str, Any]:
    file = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **content}
    return {"files": [{"name": f"{name}.json", "text": json.dumps(file)}]}


JOB: Final = {"apiVersion": "v1", "kind": "Job", "metadata": {"alias": "new"}, "steps": [{"name": "a", "type": "fake"}]}
APPLY: Final = {"files": [{"name": "new.json", "text": json.dumps(JOB)}]}


async def revised(scene: Scene) -> None:
    await scene.world.define("known", steps={"a": {}, "b": {}})


async def queued(scene: Scene) -> None:
    scene.names["run"] = id_text(await scene.world.submit(scene.job))


def applied(body: Any) -> Before:
    return lambda scene: scene.ask("POST", "jobdefs/apply", body)


def asked(method: str, path: str, body: Any = None) -> Before:
    return lambda scene: scene.ask(method, path, body)


KNOWN: Final = "jobs/known"
POLICY: Final = document("RetentionPolicy", "short", spec={"states": ["completed"], "minAge": "1d", "to": "delete"})
TEMPLATE: Final = document("JobTemplate", "etl", parameters={}, spec={"steps": [{"name": "a", "run": "true"}]})
CASES: Final[dict[str, Case]] = {
    "POST /api/v1/jobdefs/apply": Case("jobdefs/apply", "job.apply", "Job/new", APPLY),
    "POST /api/v1/jobs/import": Case("jobs/import", "job.apply", "Job/new", {"files": APPLY["files"]}),
    "DELETE /api/v1/jobs/{job}": Case(KNOWN, "job.delete", "Job/known"),
    "POST /api/v1/jobs/{job}/enable": Case(f"{KNOWN}/enable", "job.enable", "Job/known"),
    "POST /api/v1/jobs/{job}/disable": Case(f"{KNOWN}/disable", "job.disable", "Job/known"),
    "POST /api/v1/jobs/{job}/rollback": Case(
        f"{KNOWN}/rollback", "job.rollback", "Job/known", {"revision": 1}, before=revised
    ),
    "PUT /api/v1/jobs/{job}/tags/{tag}": Case(f"{KNOWN}/tags/stable", "job.tag", "Job/known", {"revision": 1}),
    "DELETE /api/v1/jobs/{job}/tags/{tag}": Case(
        f"{KNOWN}/tags/stable", "job.untag", "Job/known", before=asked("PUT", f"{KNOWN}/tags/stable", {"revision": 1})
    ),
    "POST /api/v1/jobs/{job}/run": Case(f"{KNOWN}/run", "run.start", "Run/*", {}),
    "POST /api/v1/jobs/{job}/runs": Case(f"{KNOWN}/runs", "run.start", "Run/*", {"parameters": [{}, {}]}),
    "POST /api/v1/runs": Case("runs", "run.start", "Run/*", {"file": {"name": "x.json", "text": json.dumps(JOB)}}),
    "POST /api/v1/runs/{run}/cancel": Case("runs/{run}/cancel", "run.cancel", "Run/{run}", before=queued),
    "POST /api/v1/executor/cancel/{run}": Case("executor/cancel/{run}", "run.cancel", "Run/{run}", before=queued),
    "POST /api/v1/runs/{run}/retry": Case(
        "runs/{run}/retry", "run.retry", "Run/*", {}, before=lambda scene: scene.ended(well=False)
    ),
    "POST /api/v1/runs/{run}/resume": Case(
        "runs/{run}/resume", "run.resume", "Run/*", {}, before=lambda scene: scene.ended(well=False)
    ),
    "PUT /api/v1/runs/{run}/note": Case("runs/{run}/note", "run.note", "Run/{run}", {"note": "x"}, before=queued),
    "DELETE /api/v1/runs/{run}": Case(
        "runs/{run}", "run.delete", "Run/{run}", before=lambda scene: scene.ended(well=True)
    ),
    "POST /api/v1/dead-letters/requeue": Case(
        "dead-letters/requeue", "run.resume", "Run/*", {"all": True}, before=lambda scene: scene.ended(well=False)
    ),
    "POST /api/v1/queues/{queue}/pause": Case("queues/q/pause", "queue.pause", "Queue/q", {}, project=None),
    "POST /api/v1/queues/{queue}/resume": Case("queues/q/resume", "queue.resume", "Queue/q", project=None),
    "PUT /api/v1/queues/{queue}/limit": Case("queues/q/limit", "queue.limit", "Queue/q", {"limit": 2}, project=None),
    "POST /api/v1/workers/{worker}/drain": Case("workers/w1/drain", "worker.drain", "Worker/w1", project=None),
    "PUT /api/v1/workers/{worker}/slots": Case(
        "workers/w1/slots", "worker.slots", "Worker/w1", {"slots": 2}, project=None
    ),
    "PUT /api/v1/maintenance": Case("maintenance", "maintenance.on", None, {"on": True}, project=None),
    "DELETE /api/v1/policies/{policy}": Case(
        "policies/short", "policy.delete", "RetentionPolicy/short", before=applied(POLICY)
    ),
    "DELETE /api/v1/templates/{template}": Case(
        "templates/etl", "template.delete", "JobTemplate/etl", before=applied(TEMPLATE)
    ),
    "PUT /api/v1/secrets/{secret}": Case("secrets/db", "secret.set", "Secret/db", {"value": CANARY}),
    "DELETE /api/v1/secrets/{secret}": Case(
        "secrets/db", "secret.delete", "Secret/db", before=asked("PUT", "secrets/db", {"value": CANARY})
    ),
    "POST /api/v1/keys/rotate": Case("keys/rotate", "keys.rotate", None, {}, project=None),
    "POST /api/v1/archive/run": Case("archive/run", "archive.run", None, {}, project=None),
    "POST /api/v1/archive/adopt": Case("archive/adopt", "archive.adopt", None, {}, project=None),
    "POST /api/v1/events": Case("events", "event.send", "Event/order.paid", {"type": "order.paid", "source": "shop"}),
    "POST /api/v1/doctor/repair": Case("doctor/repair", "store.repair", None, project=None),
    "POST /api/v1/store/moved": Case("store/moved", "store.moved", None, {"to": "postgresql://db/jobs"}, project=None),
    "POST /api/v1/store/tend": Case("store/tend", "store.tend", None, project=None),
}


@pytest.fixture
async def scene(make_world: MakeWorld) -> AsyncIterator[Scene]:
    world = make_world()
    engine = world.engine
    engine.keyring = keyring_of(engine.settings, engine.ids, "sqlite")
    found = Scene(world)
    await found.prepare()
    yield found
    await world.close()


def test_every_route_that_changes_something_has_a_case() -> None:
    without = (
        set(CHANGES)
        - set(CASES)
        - {
            "POST /api/v1/archive/{run}/restore",  # below
            "POST /api/v1/store/forget-home",  # where homes have files apart: tests/e2e/test_file_homes.py
        }
    )
    assert without == set()
    assert set(CASES) - set(CHANGES) == set()
    assert all(line.startswith("GET ") or "lint" in line or "diff" in line or "preview" in line for line in LOOKS)


@pytest.mark.parametrize("name", sorted(CASES))
async def test_a_change_leaves_an_entry_of_who_asked(scene: Scene, name: str) -> None:
    case, route = CASES[name], CHANGES[name]
    assert isinstance(route, Route)
    if case.before is not None:
        await case.before(scene)
    before = len(await scene.entries())
    answer = await scene.ask(route.method, case.path, case.body)
    assert answer.status < 300, answer.body
    new = (await scene.entries())[: len(await scene.entries()) - before]
    assert new, "nothing was noted"
    what = None if case.what is None else case.what.format_map(scene.names)
    for entry in new:
        assert (entry["actor"], entry["actorKind"], entry["outcome"]) == ("ann", "local", "done")
        assert entry["request"] == new[0]["request"]
        assert entry["action"] == case.action
        assert entry["project"] == case.project
        assert entry["object"] == what or (what == "Run/*" and entry["object"].startswith("Run/"))
    assert CANARY not in repr(new)
    assert (await verify(scene.world.engine))["broken"] is None


async def test_what_is_refused_or_changes_nothing_leaves_none(scene: Scene) -> None:
    await scene.ask("POST", "jobdefs/apply", APPLY)
    before = await scene.entries()
    for method, path, body in (
        ("POST", "jobdefs/apply", APPLY),
        ("POST", "jobdefs/diff", APPLY),
        ("POST", "jobs/none/run", {}),
        ("POST", "jobs/known/run", {"priority": "never"}),
        ("DELETE", "jobs/none", None),
        ("POST", "jobs/known/preview", {}),
        ("GET", "jobs", None),
    ):
        await scene.ask(method, path, body)
    assert await scene.entries() == before


async def test_one_wish_under_a_key_is_one_entry(scene: Scene) -> None:
    for _ in range(2):
        request = Request(
            method="POST",
            path="/api/v1/jobs/known/run",
            headers={"idempotency-key": "k"},
            body=b"{}",
            principal=ANN,
        )
        await dispatch(route_table(), scene.world.engine, request)
    assert [entry["action"] for entry in await scene.entries()] == ["run.start"]


# What is in memory does not go to an archive.
@pytest.mark.parametrize("make_world", ["sqlite", "postgres"], indirect=True)
async def test_a_run_that_is_brought_back_is_told(scene: Scene) -> None:
    await scene.ended(well=True)
    scene.world.clock.advance(40 * 86400)
    assert (await scene.ask("POST", "archive/run", {})).body["archived"] == 1
    answer = await scene.ask("POST", "archive/{run}/restore")
    assert answer.status == 200, answer.body
    newest = (await scene.entries())[0]
    assert (newest["action"], newest["object"], newest["project"]) == (
        "archive.restore", f"Run/{scene.names['run']}", "default",
    )  # fmt: skip
