"""The routes over a store: definitions, jobs, runs, streams; and what holds for every one of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from windlass.api.dispatch import dispatch
from windlass.api.message import PERMISSIONS, Answer, Principal, Request, Stream, local_admin
from windlass.api.routes.all import route_table
from windlass.api.table import Route
from windlass.client.events import ServerEvent, server_events
from windlass.clock import ManualClock
from windlass.engine.engine import Engine
from windlass.errors import Unavailable
from windlass.model.manifest.rules.names import RESERVED
from windlass.store import runs

Api = Callable[..., Coroutine[Any, Any, Answer]]
ROUTES = list(route_table())


CALLBACK = {"type": "notification", "on": ["failed"], "configuration": {"url": "https://chat.example/hook"}}


def manifest(alias: str, **more: Any) -> dict[str, Any]:
    steps = [{"name": "one", "run": "echo 1"}, {"name": "two", "run": "echo 2", "dependsOn": ["one"]}]
    return {"apiVersion": "v1", "kind": "Job", "metadata": {"alias": alias}, "steps": steps} | more


@pytest.fixture
def api(engine: Engine) -> Api:
    async def call(method: str, path: str, body: Any = None, **headers: str) -> Answer:
        route, _, query = path.partition("?")
        request = Request(
            method=method,
            path=f"/api/v1/{route}",
            query_string=query,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            body=body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode(),
            principal=local_admin("tester"),
        )
        answer = await dispatch(route_table(), engine, request)
        assert isinstance(answer, Answer)
        return answer

    return call


async def stream(engine: Engine, path: str, **headers: str) -> bytes:
    route, _, query = path.partition("?")
    request = Request(
        method="GET", path=f"/api/v1/{route}", query_string=query, principal=local_admin("tester"), headers=headers
    )
    answer = await dispatch(route_table(), engine, request)
    assert isinstance(answer, Stream), answer
    return b"".join([chunk async for chunk in answer.chunks])


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


async def test_no_route_answers_who_lacks_its_permission(engine: Engine) -> None:
    for route in ROUTES:
        others = frozenset(PERMISSIONS) - {route.permission}
        request = Request(
            method=route.method,
            path=route.path.replace("{", "").replace("}", ""),
            query_string="surely=unknown",
            body=b"{}" if route.body else b"",
            principal=Principal("somebody", others),
        )
        answer = await dispatch(route_table(), engine, request)
        assert (answer.status, answer.media) == (403, "application/problem+json"), name_of(route)


async def test_every_route_refuses_an_unknown_query_parameter(engine: Engine) -> None:
    for route in ROUTES:
        request = Request(
            method=route.method,
            path=route.path.replace("{", "").replace("}", ""),
            query_string="surely=unknown",
            principal=local_admin("tester"),
        )
        answer = await dispatch(route_table(), engine, request)
        assert isinstance(answer, Answer), name_of(route)
        assert answer.status == 422, name_of(route)
        assert "surely" in answer.body["detail"], name_of(route)


def test_no_job_can_have_the_name_of_a_route() -> None:
    places = {route.path.split("/")[4] for route in ROUTES if route.path.startswith("/api/v1/jobs/")}
    assert places - {"{job}"} <= RESERVED


async def test_the_description_names_every_route(api: Api) -> None:
    paths = (await api("GET", "openapi.json")).body["paths"]
    assert {(method.upper(), path) for path, found in paths.items() for method in found} == {
        (route.method, route.path) for route in ROUTES
    }


@pytest.mark.promise("C06")
async def test_manifests_come_as_files_as_objects_or_as_yaml(api: Api) -> None:
    as_objects = await api("POST", "jobdefs/apply", {"definitions": [manifest("a"), manifest("b")], "message": "why"})
    assert as_objects.body["created"] == ["a", "b"]
    text = json.dumps(manifest("a"))
    as_files = await api("POST", "jobdefs/apply", {"files": [{"name": "a.json", "text": text}]})
    assert as_files.body["unchanged"] == ["a"]
    as_yaml = await api("POST", "jobdefs/apply", text.encode(), content_type="application/yaml")
    assert as_yaml.body["unchanged"] == ["a"]
    nothing = await api("POST", "jobdefs/apply", {})
    assert (nothing.status, "no manifest" in nothing.body["detail"]) == (422, True)


@pytest.mark.promise("C06")
async def test_a_bad_manifest_is_a_problem_with_all_its_findings(api: Api) -> None:
    files = [{"name": "x.yaml", "text": "apiVersion: v2\nkind: Job\nmetadata: {alias: x}\nsteps: [{nam: a}]\n"}]
    refused = await api("POST", "jobdefs/apply", {"files": files})
    assert (refused.status, refused.body["type"]) == (422, "urn:windlass:problem:invalid-document")
    assert len(refused.body["findings"]) > 1
    assert {(one["file"], one["level"]) for one in refused.body["findings"]} == {("x.yaml", "error")}
    lint = await api("POST", "jobdefs/lint", {"files": files})
    assert lint.status == 200
    assert lint.body["errors"] == refused.body["findings"]
    good = await api("POST", "jobdefs/lint", {"definitions": [manifest("fine")]})
    assert (good.body["errors"], good.body["documents"][0]["alias"]) == ([], "fine")
    assert (await api("GET", "jobs/fine")).status == 404


@pytest.mark.promise("C06")
async def test_diff_compares_with_what_is_stored(api: Api) -> None:
    await api("POST", "jobdefs/apply", {"definitions": [manifest("a")]})
    same = await api("POST", "jobdefs/diff", {"definitions": [manifest("a")]})
    assert same.body == {"added": [], "removed": [], "modified": [], "differs": False}
    other = await api("POST", "jobdefs/diff", {"definitions": [manifest("a", description="new"), manifest("b")]})
    assert (other.body["added"], other.body["differs"]) == (["b"], True)
    assert other.body["modified"][0]["changes"][0]["path"] == ["description"]


async def test_wrong_fields_of_a_body_are_all_named(api: Api) -> None:
    answer = await api("POST", "jobdefs/apply", {"definitons": [], "force": "yes", "files": [{"name": "a"}]})
    lines = answer.body["detail"].splitlines()
    assert answer.status == 422
    assert any('unknown key "definitons" in body; did you mean "definitions"?' in line for line in lines)
    assert any("force must be true or false" in line for line in lines)
    assert any('missing key "text"' in line for line in lines)


@pytest.mark.promise("O04", part=("history", "comparison"))
@pytest.mark.promise("O05", part="enabled")
async def test_jobs_with_their_graph_and_revisions(api: Api) -> None:
    await api("POST", "jobdefs/apply", {"definitions": [manifest("a", description="first")]})
    await api("POST", "jobdefs/apply", {"definitions": [manifest("a", description="second")]})
    job = (await api("GET", "jobs/a")).body
    assert (job["revision"], job["definition"]["description"]) == (2, "second")
    assert (await api("GET", f"jobs/{job['id']}?revision=1")).body["definition"]["description"] == "first"
    assert (await api("GET", "jobs/a/revisions/1")).body["digest"] != job["digest"]
    assert [one["revision"] for one in (await api("GET", "jobs/a/revisions")).body["items"]] == [2, 1]
    compared = (await api("GET", "jobs/a/revisions/compare?left=1&right=2")).body
    assert [change["path"] for change in compared["changes"]] == [["description"]]
    assert (await api("GET", "jobs/a/revisions/x")).status == 404
    dag = (await api("GET", "jobs/a/dag")).body
    assert (dag["order"], dag["layers"], dag["successors"]["one"]) == (["one", "two"], [["one"], ["two"]], ["two"])
    assert (await api("POST", "jobs/a/disable")).body["enabled"] is False
    assert (await api("POST", "jobs/a/run", {})).status == 409
    assert (await api("POST", "jobs/a/enable")).body["enabled"] is True
    assert (await api("DELETE", "jobs/a")).body["deletedAt"] is not None
    assert (await api("DELETE", "jobs/a")).status == 404


async def test_lists_have_pages(api: Api) -> None:
    await api("POST", "jobdefs/apply", {"definitions": [manifest(f"j{number}") for number in range(5)]})
    first = (await api("GET", "jobs?limit=3")).body
    second = (await api("GET", f"jobs?limit=3&cursor={first['next']}")).body
    assert [job["alias"] for job in first["items"] + second["items"]] == [f"j{number}" for number in range(5)]
    assert second["next"] is None
    for path in ("jobs?cursor=xyz", "runs?cursor=xyz", "jobs/j0/revisions?cursor=xyz"):
        wrong = await api("GET", path)
        assert (wrong.status, "no cursor" in wrong.body["detail"]) == (422, True)
    assert (await api("GET", "jobs?limit=201")).status == 422


@pytest.mark.promise("K07")
@pytest.mark.parametrize("change", ["disable", "delete", "apply"])
async def test_a_key_stands_for_its_run_whatever_became_of_the_job(api: Api, clock: ManualClock, change: str) -> None:
    await api("POST", "jobdefs/apply", {"definitions": [manifest("a")]})
    asked = {"delay": "1h", "parameterTexts": {}, "priority": "high"}
    first = await api("POST", "jobs/a/run", asked, idempotency_key="x")
    assert (first.status, first.body["state"], first.body["priority"]) == (201, "scheduled", 10)
    clock.advance(60)
    if change == "disable":
        await api("POST", "jobs/a/disable")
    elif change == "delete":
        await api("DELETE", "jobs/a")
    else:
        newer = manifest("a", parameters={"n": {"type": "integer", "required": True}})
        await api("POST", "jobdefs/apply", {"definitions": [newer]})
    again = await api("POST", "jobs/a/run", asked, idempotency_key="x")
    assert (again.status, again.body["id"]) == (200, first.body["id"])
    assert again.body["scheduledAt"] == first.body["scheduledAt"]
    other = await api("POST", "jobs/a/run", asked | {"delay": "2h"}, idempotency_key="x")
    assert (other.status, "use another key" in other.body["detail"]) == (422, True)
    assert (await api("POST", "jobs/a/run", asked, idempotency_key="y")).status == {
        "disable": 409, "delete": 404, "apply": 422,
    }[change]  # fmt: skip


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ({"delay": "soon"}, 'delay: "soon" is no duration'),
        ({"delay": -1}, 'delay: "-1" is no duration'),
        ({"delay": "1h", "scheduledAt": "2100-01-01T00:00:00Z"}, "give one of them"),
    ],
)
async def test_a_delay_is_a_duration(api: Api, when: dict[str, Any], told: str) -> None:
    await api("POST", "jobdefs/apply", {"definitions": [manifest("a")]})
    answer = await api("POST", "jobs/a/run", when)
    assert (answer.status, told in answer.body["detail"]) == (422, True)


async def test_runs_are_started_once_a_key_and_read_back(api: Api) -> None:
    await api("POST", "jobdefs/apply", {"definitions": [manifest("a", callbacks=[CALLBACK])]})
    started = await api("POST", "jobs/a/run", {"note": "n", "labels": {"k": "v"}, "priority": 12}, idempotency_key="x")
    run = started.body
    assert (started.status, started.headers["location"]) == (201, f"/api/v1/runs/{run['id']}")
    assert (run["priority"], run["note"], run["warnings"]) == (12, "n", ["not yet in force: callbacks"])
    again = await api("POST", "jobs/a/run", {"note": "n", "labels": {"k": "v"}, "priority": 12}, idempotency_key="x")
    assert (again.status, again.body["id"]) == (200, run["id"])
    other = await api("POST", "jobs/a/run", {}, idempotency_key="x")
    assert (other.status, "use another key" in other.body["detail"]) == (422, True)
    listed = (await api("GET", "runs?job=a&state=queued,running&label=k%3Dv")).body["items"]
    assert [one["id"] for one in listed] == [run["id"]]
    assert (await api("GET", "jobs/a/runs")).body["items"][0]["id"] == run["id"]
    assert (await api("GET", f"jobs/a/runs/{run['id']}")).body["id"] == run["id"]
    tasks = (await api("GET", f"jobs/a/runs/{run['id']}/tasks")).body["items"]
    assert [(task["step"], task["state"]) for task in tasks] == [("one", "queued"), ("two", "pending")]
    assert (await api("GET", f"runs/{run['id']}/executions")).body["items"] == []
    assert (await api("GET", f"runs/{run['id']}/graph")).body["nodes"][0]["counts"] == {"queued": 1}
    assert (await api("GET", f"runs/{run['id']}/progress")).body["counts"] == {"queued": 1, "pending": 1}
    cancelled = await api("POST", f"runs/{run['id']}/cancel")
    assert (cancelled.status, cancelled.body["state"]) == (202, "cancelled")
    retried = await api("POST", f"runs/{run['id']}/retry")
    assert (retried.status, retried.body["trigger"]["run"]) == (201, run["id"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("runs/nothing", 404),
        ("runs/01234567-0000-7000-8000-000000000000", 404),
        ("runs/" + "0" * 5000, 404),
        ("jobs/%F0%9F%92%A9", 404),
        ("jobs/" + "a" * 5000, 404),
        ("jobs/a/runs/nothing", 404),
        ("runs?since=9999-99-99", 422),
        ("runs?project=%27%20OR%201=1", 422),
        ("runs?label=a%22%27%24.b%3Dc", 200),
        ("jobs?text=%25%27_%5C", 200),
        ("events?type=run.nothing", 422),
        ("events?run=nothing", 404),
        ("events?after=x", 422),
        ("runs/nothing/logs", 404),
    ],
)
async def test_hostile_requests_are_answered_calmly(api: Api, path: str, status: int) -> None:
    answer = await api("GET", path)
    assert answer.status == status, answer.body


async def test_a_run_of_another_job_is_not_found_there(api: Api) -> None:
    await api("POST", "jobdefs/apply", {"definitions": [manifest("a"), manifest("b")]})
    run = (await api("POST", "jobs/a/run", {})).body["id"]
    assert (await api("GET", f"jobs/b/runs/{run}")).status == 404
    assert (await api("GET", f"jobs/b/runs/{run}/tasks")).status == 404


@pytest.mark.promise("H08")
async def test_events_are_streamed_behind_a_cursor(api: Api, engine: Engine) -> None:
    await api("POST", "jobdefs/apply", {"definitions": [manifest("a"), manifest("b")]})
    run = (await api("POST", "jobs/a/run", {})).body["id"]
    await api("POST", "jobs/b/run", {})
    await api("POST", f"runs/{run}/cancel")

    async def events(query: str, **headers: str) -> list[ServerEvent]:
        return list(server_events([await stream(engine, f"events?follow=false&{query}", **headers)]))

    everything = await events("after=0&project=*")
    assert [event.type for event in everything].count("run.created") == 2
    of_a = await events("after=0&job=a")
    assert {event.json()["runId"] for event in of_a} == {run}
    assert of_a == await events(f"after=0&run={run}")
    assert await events("after=0&job=a", **{"last-event-id": of_a[1].id or ""}) == of_a[2:]
    assert [event.type for event in await events("after=0&type=run.*&job=b")] == ["run.created", "run.queued"]
    assert await events("") == []
    assert await events("after=0&project=other") == []
    listed = (await api("GET", f"runs/{run}/events")).body
    assert [event["type"] for event in listed["items"]] == [event.type for event in of_a]


async def test_whose_events_they_are_is_looked_up_for_many_runs_at_once(
    api: Api, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api("POST", "jobdefs/apply", {"definitions": [manifest("a"), manifest("b")]})
    for number in range(30):
        await api("POST", f"jobs/{'ab'[number % 2]}/run", {})
    looks: list[Any] = []
    kind = type(engine.store)
    read = kind.read

    async def counted(self: Any, unit: Any, *arguments: Any, **more: Any) -> Any:
        looks.append(unit)
        return await read(self, unit, *arguments, **more)

    monkeypatch.setattr(kind, "read", counted)
    found = list(server_events([await stream(engine, "events?follow=false&after=0&job=a&type=run.created")]))
    assert len({event.json()["runId"] for event in found}) == 15
    assert looks.count(runs.owners) == 1


async def test_a_run_without_output_has_an_empty_log(api: Api, engine: Engine) -> None:
    await api("POST", "jobdefs/apply", {"definitions": [manifest("a")]})
    run = (await api("POST", "jobs/a/run", {})).body["id"]
    assert await stream(engine, f"runs/{run}/logs") == b""
    assert (await api("GET", f"runs/{run}/logs?step=nowhere")).status == 404
    assert (await api("GET", f"runs/{run}/logs?format=html")).status == 422


async def test_only_a_local_caller_may_name_a_folder(engine: Engine) -> None:
    body = json.dumps({"file": {"name": "x", "text": json.dumps(manifest("a"))}, "folder": "/etc"}).encode()
    request = Request(method="POST", path="/api/v1/runs", body=body, principal=Principal("far", frozenset(PERMISSIONS)))
    answer = await dispatch(route_table(), engine, request)
    assert isinstance(answer, Answer)
    assert (answer.status, "folder" in answer.body["detail"]) == (403, True)


async def test_health_needs_no_login(engine: Engine) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await dispatch(route_table(), engine, Request(method="GET", path=path, principal=Principal("nobody")))
        assert answer.status == 200


@pytest.mark.promise("K07")
async def test_whatever_starts_a_run_takes_a_key(api: Api) -> None:
    text = json.dumps(manifest("once"))
    body = {"file": {"name": "once.yaml", "text": text}}
    started = await api("POST", "runs", body, idempotency_key="x")
    again = await api("POST", "runs", body, idempotency_key="x")
    assert (started.status, again.status, again.body["id"]) == (201, 200, started.body["id"])
    changed = {"file": {"name": "once.yaml", "text": text.replace("echo 2", "echo 3")}}
    assert (await api("POST", "runs", changed, idempotency_key="x")).status == 422
    path = f"runs/{started.body['id']}"
    await api("POST", f"{path}/cancel")
    first = await api("POST", f"{path}/retry", idempotency_key="y")
    second = await api("POST", f"{path}/retry", idempotency_key="y")
    assert (first.status, second.status, second.body["id"]) == (201, 200, first.body["id"])
    assert (await api("POST", f"{path}/retry")).body["id"] != first.body["id"]
    assert (await api("POST", f"{path}/retry", idempotency_key="x")).status == 422


@pytest.mark.promise("H09")
async def test_readiness_names_the_parts_and_tells_when_nothing_is_accepted(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise Unavailable("The disk is full.")

    async def ask() -> Answer:
        request = Request(method="GET", path="/readyz", principal=Principal("somebody"))
        answer = await dispatch(route_table(), engine, request)
        assert isinstance(answer, Answer)
        return answer

    fine = await ask()
    assert (fine.status, fine.body["status"], fine.body["parts"]["writer"]) == (200, "ready", "ok")
    monkeypatch.setattr(engine.store, "run", refuse)
    full = await ask()
    assert (full.status, full.body["status"], full.body["parts"]["writer"]) == (503, "unready", "down")
    assert "disk is full" not in str(full.body)


@pytest.mark.promise("K07")
async def test_many_runs_are_started_at_once_or_none(api: Api) -> None:
    parameters = {"number": {"type": "integer"}}
    await api("POST", "jobdefs/apply", {"definitions": [manifest("a", parameters=parameters)]})
    body = {"parameters": [{"number": 1}, {"number": 2}], "labels": {"k": "v"}, "priority": "high"}
    started = await api("POST", "jobs/a/runs", body, idempotency_key="x")
    assert (started.status, len(started.body["ids"])) == (201, 2)
    runs = [(await api("GET", f"runs/{one}")).body for one in started.body["ids"]]
    assert [(run["parameters"], run["labels"], run["priority"]) for run in runs] == [
        ({"number": 1}, {"k": "v"}, 10),
        ({"number": 2}, {"k": "v"}, 10),
    ]
    again = await api("POST", "jobs/a/runs", body, idempotency_key="x")
    assert (again.status, again.body["ids"]) == (200, started.body["ids"])
    longer = body | {"parameters": [*body["parameters"], {"number": 3}]}
    assert (await api("POST", "jobs/a/runs", longer, idempotency_key="x")).status == 422
    wrong = await api("POST", "jobs/a/runs", {"parameters": [{"number": 1}, {"number": "a"}, {"nmber": 1}]})
    assert [one["path"][1] for one in wrong.body["findings"]] == [1, 2]
    assert wrong.body["findings"][0]["message"].startswith("parameters[1]: number must be an integer")
    assert (await api("POST", "jobs/a/runs", {"parameters": [{}] * 1001})).status == 422
    assert len((await api("GET", "jobs/a/runs")).body["items"]) == 2
