"""Query parameters and answers that many routes have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from windlass.api.message import Answer, Request
from windlass.api.query import Query
from windlass.errors import UserError
from windlass.ids import parse_id
from windlass.model.state import RUN_MOVES

ROOT: Final = "/api/v1"
PROJECT: Final = Query("project", "project that the objects belong to", "project", default="default")
LIST_PROJECT: Final = Query("project", "project that the objects belong to; * is all", "projects", default="default")
LABELS: Final = Query("label", "labels that an object must have, key=value; may be given several times", "texts")
TEXT: Final = Query("text", "stands in the alias, title, description or category")
CATEGORY: Final = Query("category", "category of the job")
STATES: Final = Query("state", "states of the runs", "texts", choices=tuple(RUN_MOVES))
PAGE: Final = (
    Query("limit", "most items of a page", "integer", default=50, lowest=1, highest=200),
    Query("cursor", "where the page begins: `next` of the page before"),
)


def page(items: Sequence[Mapping[str, Any]], cursor: str | None) -> Answer:
    """Return a page of a list."""
    return Answer(body={"items": items, "next": cursor})


def started(run: Mapping[str, Any], *, created: bool) -> Answer:
    """Return a run that was asked for: a new one, or the one that was started before under the same key."""
    return Answer(status=201 if created else 200, body=run, headers={"location": f"{ROOT}/runs/{run['id']}"})


def listed_project(request: Request) -> str | None:
    """Return the project that a list is about; None for all of them."""
    project: str = request.query["project"]
    return None if project == "*" else project


def any_labels(texts: Sequence[str]) -> dict[str, str | None]:
    """Return labels to look for; one without a value may have any."""
    found = (text.partition("=") for text in texts)
    return {name: value if equals else None for name, equals, value in found}


def id_cursor(request: Request) -> bytes | None:
    """Return the cursor of a list that is ordered by ids. Raises UserError where it is none."""
    text = request.query.get("cursor")
    if text is None:
        return None
    found = parse_id(text)
    if found is None:
        raise UserError(f'"{text[:80]}" is no cursor of this list: take it from the page before.')
    return found
