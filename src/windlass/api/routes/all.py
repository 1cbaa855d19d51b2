"""The table of all routes."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from windlass.api.message import Answer, Request
from windlass.api.openapi import describe
from windlass.api.routes import (
    afterwards,
    archive,
    audit,
    bundles,
    dead_letters,
    definitions,
    figures,
    files,
    jobs,
    keys,
    many,
    moving,
    operating,
    policies,
    revisions,
    runs,
    secrets,
    statistics,
    streams,
    system,
    templates,
    work,
    working,
)
from windlass.api.routes.shared import ROOT
from windlass.api.table import Route, RouteTable

#: Version of the API; what it says stays valid for as long as this number.
VERSION: Final = "1"


@cache
def route_table() -> RouteTable:
    """Return the table of all routes, the description of itself included."""

    async def openapi(_: Any, __: Request) -> Answer:
        return Answer(body=describe(route_table(), VERSION))

    described = Route(
        method="GET",
        path=f"{ROOT}/openapi.json",
        permission="view",
        handler=openapi,
        summary="Return this description.",
    )
    groups = (
        definitions,
        jobs,
        bundles,
        revisions,
        statistics,
        runs,
        afterwards,
        many,
        streams,
        files,
        work,
        working,
        operating,
        moving,
        dead_letters,
        archive,
        policies,
        templates,
        secrets,
        keys,
        audit,
        system,
        figures,
    )
    return RouteTable([*(route for group in groups for route in group.ROUTES), described])
