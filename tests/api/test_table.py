"""The route table: what can be declared, and how a path finds its route."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.api.message import Answer, Request
from windlass.api.query import Query
from windlass.api.table import Body, Found, Route, RouteTable


async def handler(_: Any, __: Request) -> Answer:
    return Answer()


def route(method: Any, path: str, **more: Any) -> Route:
    given = {"permission": "view", "handler": handler, "summary": "a route", "changes": False} | more
    return Route(method=method, path=path, **given)


TABLE = RouteTable(
    [
        route("GET", "/api/v1/jobs"),
        route("POST", "/api/v1/jobs"),
        route("GET", "/api/v1/jobs/{job}"),
        route("GET", "/api/v1/jobs/health"),
        route("DELETE", "/api/v1/jobs/{job}"),
        route("GET", "/api/v1/jobs/{job}/runs/{run}"),
        route("GET", "/api/v1/jobs/health/runs/all"),
    ]
)


def found(method: str, path: str) -> tuple[str, dict[str, str]]:
    result = TABLE.find(method, path)
    assert isinstance(result, Found)
    return result.route.path, dict(result.params)


def test_a_route_without_a_known_permission_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match="permission"):
        Route(method="GET", path="/x", handler=handler, summary="x")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="no permission"):
        route("GET", "/x", permission="none")


def test_a_route_that_could_change_something_says_whether_it_does() -> None:
    with pytest.raises(ValueError, match="must say whether it changes anything"):
        route("POST", "/x", changes=None)
    with pytest.raises(ValueError, match="GET changes nothing"):
        route("GET", "/x", changes=True)
    route("POST", "/x", changes=None, permission="work")


@pytest.mark.parametrize("path", ["x", "/x/", "//x", "/{a b}", "/x?y", ""])
def test_a_wrong_path_cannot_be_declared(path: str) -> None:
    with pytest.raises(ValueError, match="path is wrong"):
        route("GET", path)


def test_two_routes_on_one_path_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="twice"):
        RouteTable([route("GET", "/a/{b}"), route("GET", "/a/{c}")])
    with pytest.raises(ValueError, match="declared twice"):
        route("GET", "/a", query=(Query("q", "a"), Query("q", "b")))
    with pytest.raises(ValueError, match="no body"):
        route("GET", "/a", body=Body())


def test_a_fixed_segment_wins_over_a_variable_one() -> None:
    assert found("GET", "/api/v1/jobs/health") == ("/api/v1/jobs/health", {})
    assert found("GET", "/api/v1/jobs/etl") == ("/api/v1/jobs/{job}", {"job": "etl"})


def test_a_method_that_the_fixed_segment_lacks_falls_to_the_variable_one() -> None:
    assert found("DELETE", "/api/v1/jobs/health") == ("/api/v1/jobs/{job}", {"job": "health"})
    assert found("GET", "/api/v1/jobs/health/runs/7") == (
        "/api/v1/jobs/{job}/runs/{run}",
        {"job": "health", "run": "7"},
    )


def test_values_are_decoded_once_and_never_split() -> None:
    assert found("GET", "/api/v1/jobs/a%2Fb%252F") == ("/api/v1/jobs/{job}", {"job": "a/b%2F"})
    assert found("GET", "/api/v1/jobs/%C3%BC") == ("/api/v1/jobs/{job}", {"job": "ü"})
    assert found("GET", "/api/v1/jobs/%7B%7D") == ("/api/v1/jobs/{job}", {"job": "{}"})


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/jobs/",
        "/api/v1//jobs",
        "//api/v1/jobs",
        "/api/v1/./jobs",
        "/api/v1/x/../jobs",
        "/api/v1/jobs/%2e%2e",
        "/api/v1/jobs/%ff",
        "/api/v1/jobs/a%00",
        "/API/v1/jobs",
        "/api/v1/jobs;x",
        "api/v1/jobs",
        "/",
        "",
    ],
)
def test_a_path_that_only_resembles_a_route_finds_none(path: str) -> None:
    assert TABLE.find("GET", path) == ()


def test_a_known_path_with_another_method_names_the_methods() -> None:
    assert TABLE.find("PUT", "/api/v1/jobs") == ("GET", "POST")
    assert TABLE.find("POST", "/api/v1/jobs/health") == ("DELETE", "GET")
