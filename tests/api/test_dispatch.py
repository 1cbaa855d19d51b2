"""From a request to its answer: permission, query, body, and errors as problem documents."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from windlass.api.dispatch import dispatch
from windlass.api.message import Answer, Principal, Request, local_admin
from windlass.api.query import Query
from windlass.api.table import Body, Route, RouteTable
from windlass.client.problem import error_of
from windlass.errors import (
    Conflict,
    CorruptStore,
    ExpressionError,
    InvalidDocument,
    LimitExceeded,
    NotFound,
    Refused,
    Unavailable,
    Unexpected,
    UserError,
    WindlassError,
)
from windlass.model.finding import Finding, Position

ERRORS: list[WindlassError] = [
    UserError("a"),
    NotFound("b"),
    Conflict("c"),
    Refused("d"),
    Unavailable("e"),
    CorruptStore("f"),
    ExpressionError("g"),
    Unexpected("h"),
    LimitExceeded("steps", 20_001, 20_000),
    InvalidDocument(
        [Finding("error", "wrong", Position("a.yaml", 3, 5), ("steps", 0)), Finding("warning", "odd", None, ())]
    ),
]


async def echo(engine: Any, request: Request) -> Answer:
    if isinstance(engine, Exception):
        raise engine
    return Answer(body={"params": request.params, "query": request.query, "body": request.data})


TABLE = RouteTable(
    [
        Route(
            method="POST",
            path="/api/v1/jobs/{job}/run",
            permission="operate",
            handler=echo,
            summary="start",
            changes=True,
            query=(Query("wait", "w", "boolean"),),
            body=Body(limit=100),
        ),
        Route(method="GET", path="/api/v1/jobs", permission="view", handler=echo, summary="list"),
    ]
)
ADMIN = local_admin("root")


HERE = SimpleNamespace(store=SimpleNamespace(moved=None))


async def ask(method: str, path: str, engine: Any = HERE, **more: Any) -> Answer:
    answer = await dispatch(TABLE, engine, Request(method=method, path=path, **({"principal": ADMIN} | more)))
    assert isinstance(answer, Answer)
    return answer


async def test_a_handler_gets_what_the_route_declares() -> None:
    answer = await ask("POST", "/api/v1/jobs/etl/run", query_string="wait=1", body=b'{"a": 1}')
    assert answer.body == {"params": {"job": "etl"}, "query": {"wait": True}, "body": {"a": 1}}


async def test_permission_is_asked_before_anything_of_the_request_is_judged() -> None:
    nobody = Principal("nobody", frozenset({"open", "view"}))
    answer = await ask("POST", "/api/v1/jobs/etl/run", principal=nobody, query_string="what", body=b"x" * 200)
    assert answer.status == 403
    assert answer.media == "application/problem+json"


async def test_an_unknown_path_is_404_and_a_wrong_method_405() -> None:
    assert (await ask("GET", "/api/v1/job")).status == 404
    answer = await ask("PUT", "/api/v1/jobs")
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[]", 422),
        (b"{", 422),
        (b'{"a": 1, "a": 2}', 422),
        (b'{"a": NaN}', 422),
        (b'{"a": "\\ud800"}', 422),
        (b'{"a": "\\u0000"}', 422),
        (b'{"a": "\xff"}', 422),
        (b'{"a": "' + b"x" * 100 + b'"}', 413),
        (b"[" * 99, 422),
        (b'{"a": "\\\\u0000 \\ud83d\\ude00"}', 200),
        (b"", 200),
    ],
)
async def test_bodies_are_judged(body: bytes, status: int) -> None:
    assert (await ask("POST", "/api/v1/jobs/etl/run", body=body)).status == status


async def test_a_body_of_another_type_or_where_none_belongs_is_415() -> None:
    text = {"content-type": "text/plain"}
    assert (await ask("POST", "/api/v1/jobs/etl/run", body=b"{}", headers=text)).status == 415
    assert (await ask("GET", "/api/v1/jobs", body=b"{}")).status == 415
    json_type = {"content-type": "application/json; charset=utf-8"}
    assert (await ask("POST", "/api/v1/jobs/etl/run", body=b"{}", headers=json_type)).status == 200


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_error_comes_back_as_itself(error: WindlassError) -> None:
    answer = await ask("GET", "/api/v1/jobs", error)
    assert answer.status == error.status == answer.body["status"]
    again = error_of(answer.status, answer.body)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert getattr(again, "findings", None) == getattr(error, "findings", None)


async def test_an_unforeseen_error_shows_an_id_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await ask("GET", "/api/v1/jobs", ZeroDivisionError("secret/path"))
    assert answer.status == 500
    assert "secret" not in str(answer.body)
    assert answer.body["errorId"] in caplog.text
    assert "secret/path" in caplog.text
    assert type(error_of(500, answer.body)) is Unexpected


@pytest.mark.parametrize(
    ("status", "kind"), [(400, UserError), (401, Refused), (404, NotFound), (418, UserError), (503, Unavailable)]
)
def test_a_foreign_problem_is_judged_by_its_status(status: int, kind: type[WindlassError]) -> None:
    error = error_of(status, {})
    assert type(error) is kind
    assert str(status) in str(error)
