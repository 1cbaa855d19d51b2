"""What an application gets wrong is told in one sentence that names it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from windlass import Windlass, job
from windlass.errors import UserError


@job(isolation="inline")
async def one_number(seconds: float) -> None:
    """Take one value."""


@job(isolation="inline")
async def with_a_default(count: int = 7) -> int:
    """Take one value, or none."""
    return count


async def test_an_empty_context_leaves_a_default_as_it_is() -> None:
    async with Windlass("memory://") as app:
        runs = [await app.submit(with_a_default, context) for context in (None, {}, {"count": 2}, 3)]
        assert [await run.wait() for run in runs] == [7, 7, 2, 3]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://user:secret@host/db", 'the scheme "mysql", which Windlass does not know'),
        ("nonsense", "has no scheme"),
        (5, "not by 5"),
    ],
)
def test_a_store_that_cannot_be(url: Any, said: str) -> None:
    with pytest.raises(UserError) as refused:
        Windlass(url)
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("project", ["", "*", "Bad Proj", "../x", 5])
def test_a_project_that_cannot_be(project: Any) -> None:
    with pytest.raises(UserError, match=r"project: .* is no name of a project: small letters"):
        Windlass("memory://", project=project)


@pytest.mark.parametrize(
    ("context", "options", "said"),
    [
        ({"second": 1}, {}, 'Job "one_number": it takes one value, "seconds"; it was given "second".'),
        (1.0, {"prio": 1}, 'There is no option "prio" of a submission; did you mean "priority"?'),
        (1.0, {"key": ""}, "key: an idempotency key has 1 to 200 printable characters of ASCII."),
        (1.0, {"key": "a\nb"}, "key: an idempotency key has 1 to 200 printable characters of ASCII."),
        (1.0, {"key": "x" * 201}, "key: an idempotency key has 1 to 200 printable characters of ASCII."),
        (1.0, {"key": 5}, "key: an idempotency key has 1 to 200 printable characters of ASCII."),
        (1.0, {"start_after": -5}, "-5 seconds is no length of time from 0 to a hundred years."),
        (1.0, {"start_after": timedelta(-1)}, "-86400.0 seconds is no length of time from 0 to a hundred years."),
        (1.0, {"depends_on": [("0" * 8, "")]}, "one of success, always, failure is meant."),
        ({}, {}, 'Job "one_number": it takes one value, "seconds"; it was given an empty mapping.'),
        (1.0, {"labels": {"a": 1}}, "labels are texts by name, not {'a': 1}."),
    ],
)
async def test_a_submission_that_cannot_be(context: Any, options: dict[str, Any], said: str) -> None:
    async with Windlass("memory://") as app:
        with pytest.raises(UserError) as refused:
            await app.submit(one_number, context, **options)
        assert str(refused.value).endswith(said)
