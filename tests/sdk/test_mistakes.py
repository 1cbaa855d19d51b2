"""What an application gets wrong is told in one sentence that names it."""

from __future__ import annotations

from typing import Any

import pytest

from windlass import Windlass, job
from windlass.errors import UserError


@job(isolation="inline")
async def one_number(seconds: float) -> None:
    """Take one value."""


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


@pytest.mark.parametrize(
    ("context", "options", "said"),
    [
        ({"second": 1}, {}, 'Job "one_number": it takes one value, "seconds"; it was given "second".'),
        (1.0, {"prio": 1}, 'There is no option "prio" of a submission; did you mean "priority"?'),
        (1.0, {"labels": {"a": 1}}, "labels are texts by name, not {'a': 1}."),
    ],
)
async def test_a_submission_that_cannot_be(context: Any, options: dict[str, Any], said: str) -> None:
    async with Windlass("memory://") as app:
        with pytest.raises(UserError) as refused:
            await app.submit(one_number, context, **options)
        assert str(refused.value).endswith(said)
