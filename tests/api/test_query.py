"""Query parameters: typed, and unknown ones refused."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from windlass.api.query import Query, read_query
from windlass.errors import UserError

DECLARED = (
    Query("state", "states of a run", "texts", choices=("running", "failed")),
    Query("limit", "how many", "integer", default=50, lowest=1, highest=200),
    Query("follow", "go on", "boolean"),
    Query("since", "not before", "time"),
    Query("job", "alias of a job"),
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("limit=7&job=a%20b+c", {"limit": 7, "job": "a b c"}),
        ("state=running,failed&state=failed", {"state": ["running", "failed", "failed"]}),
        ("follow", {"follow": True}),
        ("follow=false", {"follow": False}),
        ("since=1970-01-01T00:00:01Z", {"since": 1_000_000}),
        ("job=", {"job": ""}),
    ],
)
def test_values_are_read_by_type(text: str, values: dict[str, Any]) -> None:
    assert read_query(DECLARED, text) == {"limit": 50} | values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stat=running", 'There is no query parameter "stat" here; did you mean "state"?'),
        ("zzzzzz=1", 'There is no query parameter "zzzzzz" here; it takes state, limit, follow, since, job.'),
        ("limit=1&limit=2", 'The query parameter "limit" is given more than once.'),
        ("limit=0", 'The query parameter "limit" must be from 1 to 200.'),
        ("limit=99999999999999999999999", 'The query parameter "limit" must be a whole number.'),
        ("limit=%C2%B2", 'The query parameter "limit" must be a whole number.'),
        ("state=runnin", 'The query parameter "state" must be one of running, failed.'),
        ("follow=perhaps", 'The query parameter "follow" must be true or false.'),
        ("since=tomorrow", 'The query parameter "since" must be a time such as 2026-01-31T12:00:00Z.'),
        ("job=%00", 'The query parameter "job" must not contain NUL.'),
        ("job=%ff", "The query cannot be read: it has too many parameters, or is no UTF-8."),
        ("&".join(["a=1"] * 300), "The query cannot be read: it has too many parameters, or is no UTF-8."),
    ],
)
def test_what_is_wrong_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_query(DECLARED, text)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["", "Bad Proj", "../x", "*x", "x" * 64, "-a", "a\nb"])
@pytest.mark.parametrize("kind", ["project", "projects"])
def test_a_project_has_a_name(text: str, kind: Any) -> None:
    with pytest.raises(UserError, match="is no name of a project: small letters"):
        read_query([Query("project", "p", kind)], urlencode({"project": text}))


def test_all_projects_are_none_where_one_is_meant() -> None:
    assert read_query([Query("project", "p", "projects")], "project=*") == {"project": "*"}
    with pytest.raises(UserError, match="This is done in one project"):
        read_query([Query("project", "p", "project")], "project=*")


def test_all_mistakes_are_told_at_once() -> None:
    declared = (*DECLARED, Query("left", "a revision", "integer", required=True))
    with pytest.raises(UserError) as caught:
        read_query(declared, "limit=x&joob=a")
    assert str(caught.value).splitlines() == [
        'The query parameter "limit" must be a whole number.',
        'There is no query parameter "joob" here; did you mean "job"?',
        'The query parameter "left" is missing: a revision.',
    ]
